"""Suspensions, reroutes and cancellations: at once, over restarts, and the ledger stays exact."""

import json
import subprocess
import time

from harness import BINARY, RECEIVER, WholeRun, ledger, mail, settings, wait_until


def of(events, kind):
    return [event for event in events if event["type"] == kind]


class Orders(WholeRun):
    daemon_settings = {"retry": {"schedule": ["1s"], "expires": "1h"}}

    def order(self, path, body=None, method="POST"):
        status, _, answer = self.daemon.request(method, path, None if body is None else json.dumps(body),
                                                {"Content-Type": "application/json"})
        return status, json.loads(answer)

    def suspend(self, **body):
        status, answer = self.order("/v1/suspensions", body)
        self.assertEqual(status, 201, answer)
        return answer["suspension"]

    def resume(self, suspension):
        status, answer = self.order(f"/v1/suspensions/{suspension}", method="DELETE")
        self.assertEqual(status, 200, answer)

    def held(self, suspension):
        status, answer = self.order("/v1/suspensions", method="GET")
        self.assertEqual(status, 200)
        return {one["suspension"]: one.get("held") for one in answer["suspensions"]}.get(suspension)

    def sluice(self, *words):
        return subprocess.run([str(BINARY), *words, "--server", f"127.0.0.1:{self.daemon.http_port}"],
                              capture_output=True, text=True, timeout=60)

    def states(self, job):
        return self.daemon.job(job)

    def test_a_held_campaign_waits_while_others_go_and_outlives_a_kill(self):
        suspension = self.suspend(campaign="hold1", reason="wrong subject")
        job = self.daemon.submit(mail([f"h1-{n}@one.test" for n in range(20)], campaign="hold1"))
        other = self.daemon.submit(mail("h1-other@one.test"))
        wait_until(lambda: self.states(other)["delivered"] == 1, 20, "mail that is not held")
        wait_until(lambda: self.held(suspension) == 20, 20, "the count of what is held")
        self.daemon.kill()
        self.daemon.start()
        third = self.daemon.submit(mail("h1-third@one.test"))
        wait_until(lambda: self.states(third)["delivered"] == 1, 20, "mail after the restart")
        wait_until(lambda: self.held(suspension) == 20, 20, "held again after the restart")
        self.assertEqual(self.states(job)["delivered"], 0)
        self.resume(suspension)
        wait_until(lambda: self.states(job)["delivered"] == 20, 20, "what was held")
        self.assertIsNone(self.held(suspension))

    def test_every_reach_holds_what_it_names(self):
        cases = [({"tenant": "hold2"}, mail("a@one.test", tenant="hold2")),
                 ({"domain": "two.test"}, mail("b@two.test")),
                 ({"provider": "default", "tenant": "hold3"}, mail("c@one.test", tenant="hold3")),
                 ({"site": "mx.two.test"}, mail("d@two.test", tenant="hold4")),
                 ({"class": "transactional"}, mail("e@one.test", **{"class": "transactional"}))]
        for reach, job in cases:
            with self.subTest(reach=reach):
                suspension = self.suspend(**reach)
                held = self.daemon.submit(job)
                free = self.daemon.submit(mail("free@one.test", tenant="free"))
                wait_until(lambda: self.states(free)["delivered"] == 1, 20, "what is not named")
                wait_until(lambda: self.held(suspension) == 1, 20, "what is named to be held")
                self.assertEqual(self.states(held)["open"], 1)
                self.resume(suspension)
                wait_until(lambda: self.states(held)["delivered"] == 1, 20, "what was held")

    def test_what_is_held_expires_in_its_time(self):
        suspension = self.suspend(campaign="hold5")
        job = self.daemon.submit(mail("late@one.test", campaign="hold5", expires_in="3s"))
        wait_until(lambda: self.states(job)["expired"] == 1, 40, "the expiry of what is held")
        self.resume(suspension)

    def test_a_suspension_ends_by_itself(self):
        suspension = self.suspend(campaign="hold6", **{"for": "2s"})
        job = self.daemon.submit(mail("soon@one.test", campaign="hold6"))
        time.sleep(0.5)
        self.assertEqual(self.states(job)["open"], 1)
        wait_until(lambda: self.states(job)["delivered"] == 1, 20, "its end")
        self.assertIsNone(self.held(suspension))

    def test_mail_goes_another_way_for_a_time(self):
        route = [f"[{RECEIVER}]:{self.world.mail_port}"]
        suspension = self.suspend(domain="dead.test", route=route)
        job = self.daemon.submit(mail("way@dead.test"))
        wait_until(lambda: self.states(job)["delivered"] == 1, 20, "the relay's 250")
        event = of(self.daemon.events(to="way@dead.test"), "delivered")[0]
        self.assertTrue(event["site"].startswith("via:"), event)
        self.resume(suspension)
        back = self.daemon.submit(mail("back@dead.test"))
        wait_until(lambda: self.states(back)["deferrals"] > 0, 40, "the usual way, to a dead host")
        self.assertEqual(self.order("/v1/cancellations", {"job": back})[0], 202)

    def test_cancelled_mail_is_ended_with_one_event_each_and_later_mail_goes(self):
        suspension = self.suspend(campaign="c1")
        job = self.daemon.submit(mail([f"c1-{n}@one.test" for n in range(30)], campaign="c1"))
        status, answer = self.order("/v1/cancellations?dry_run=true", {"campaign": "c1"})
        self.assertEqual((status, answer["deliveries"]), (200, 30))
        self.assertEqual(self.states(job)["open"], 30)
        status, answer = self.order("/v1/cancellations", {"campaign": "c1", "reason": "wrong price"})
        self.assertEqual(status, 202, answer)
        after = self.daemon.submit(mail("c1-after@one.test", campaign="c1"))
        self.resume(suspension)
        wait_until(lambda: self.states(after)["delivered"] == 1, 20, "mail accepted after the order")
        wait_until(lambda: self.states(job)["cancelled"] == 30, 20, "the events")
        events = of(self.daemon.events(campaign="c1"), "cancelled")
        self.assertEqual(len(events), 30)
        self.assertTrue(all(event["reply"] == "cancelled: wrong price" for event in events), events[0])
        wait_until(lambda: self.order("/v1/cancellations", method="GET")[1]["cancellations"] == [], 20,
                   "the mark to go")
        self.assertEqual([to for to in self.world.receiver.recipients() if to.startswith("c1-")], ["c1-after@one.test"])
        ledger(self.daemon)

    def test_a_job_a_recipient_and_a_domain_are_cancelled_alone(self):
        suspension = self.suspend(tenant="c2")
        one = self.daemon.submit(mail(["x@one.test", "y@two.test"], tenant="c2"))
        two = self.daemon.submit(mail(["x@one.test", "y@two.test", "z@one.test"], tenant="c2"))
        self.assertEqual(self.order(f"/v1/jobs/{one}/cancel")[0], 202)
        wait_until(lambda: self.states(one)["cancelled"] == 2, 20, "the job's end")
        self.assertEqual(self.order("/v1/cancellations", {"recipient": "X@one.test", "tenant": "c2"})[0], 202)
        wait_until(lambda: self.states(two)["cancelled"] == 1, 20, "the recipient's end")
        self.assertEqual(self.order("/v1/cancellations", {"domain": "TWO.test", "tenant": "c2"})[0], 202)
        wait_until(lambda: self.states(two)["cancelled"] == 2, 20, "the domain's end")
        self.resume(suspension)
        wait_until(lambda: self.states(two)["delivered"] == 1, 20, "the one that is left")
        self.assertEqual(self.order("/v1/jobs/0000000000000/cancel")[0], 404)

    def test_mail_in_a_transaction_is_delivered_all_the_same(self):
        job = self.daemon.submit(mail("slow-c3@one.test", campaign="c3"))
        wait_until(lambda: self.daemon.get("/v1/status")["delivery"]["sending"] >= 1, 20, "the transaction")
        self.assertEqual(self.order("/v1/cancellations", {"campaign": "c3"})[0], 202)
        wait_until(lambda: self.states(job)["open"] == 0, 60, "its end")
        self.assertEqual(self.states(job)["delivered"], 1)

    def test_cancelled_mail_stays_unsent_when_the_daemon_is_killed_in_the_middle(self):
        count = 200000 if settings()["long"] else 40000
        suspension = self.suspend(campaign="c4")
        lines = [{key: value for key, value in mail("x@one.test", campaign="c4").items() if key != "recipients"}]
        lines += [{"to": f"c4-{n}@{('one', 'two')[n % 2]}.test"} for n in range(count)]
        job = self.daemon.submit_lines(lines)[0]["job"]
        self.assertEqual(self.order("/v1/cancellations", {"campaign": "c4"})[0], 202)
        ended = []

        def begun():
            ended.append(self.states(job)["cancelled"])
            return ended[-1] > 0

        wait_until(begun, 20, "the first event", every=0.002)
        self.daemon.kill()
        self.assertLess(ended[-1], count, "it was over before the kill")
        self.daemon.start()
        self.resume(suspension)
        wait_until(lambda: self.states(job)["open"] == 0, 60, "the events")
        print(f"      {ended[-1]} of {count} had ended before the kill")
        self.assertEqual(self.states(job)["cancelled"], count)
        self.assertEqual([to for to in self.world.receiver.recipients() if to.startswith("c4-")], [])
        events = of(self.daemon.events(campaign="c4"), "cancelled")
        self.assertEqual((len(events), len({event["delivery"] for event in events})), (count, count))
        ledger(self.daemon)

    def test_wrong_orders_are_refused_with_what_to_do(self):
        cases = [({}, "order.everything"), ({"campain": "x"}, "field.unknown"), ({"domain": "a b"}, "field.domain"),
                 ({"tenant": "t", "for": "soon"}, "field.duration"), ({"tenant": "t", "all": True}, "order.all"),
                 ({"tenant": "t", "route": ["no host"]}, "route.host"),
                 ({"tenant": "t", "until": "2001-01-01T00:00:00Z"}, "field.range")]
        for body, code in cases:
            status, answer = self.order("/v1/suspensions", body)
            with self.subTest(body=body):
                self.assertEqual((status, answer["errors"][0]["code"]), (422, code), answer)
        self.assertEqual(self.order("/v1/suspensions/0000000000000", method="DELETE")[0], 404)

    def test_the_command_line_pauses_resumes_and_cancels(self):
        paused = self.sluice("pause", "--campaign", "cli1", "--for", "1h", "--reason", "test")
        self.assertEqual(paused.returncode, 0, paused.stderr)
        self.assertIn("campaign cli1", paused.stdout)
        job = self.daemon.submit(mail(["cli1@one.test", "cli2@one.test"], campaign="cli1"))
        wait_until(lambda: "2 deliveries held" in self.sluice("pause").stdout, 20, "the list")
        asked = self.sluice("cancel", job)
        self.assertEqual(asked.returncode, 1)
        self.assertIn("2 deliveries would be cancelled", asked.stdout)
        self.assertIn("--yes", asked.stderr)
        self.assertEqual(self.states(job)["open"], 2)
        done = self.sluice("cancel", job, "--yes", "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["deliveries"]), (0, 2), done.stderr)
        wait_until(lambda: self.states(job)["cancelled"] == 2, 20, "the events")
        resumed = self.sluice("resume", "--campaign", "cli1")
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertIn("nothing is suspended", self.sluice("resume").stdout)
