"""What becomes of mail that is not simply taken: bounces, deferrals, other mail hosts, expiry."""

from harness import RECEIVER, WholeRun, mail, wait_until


class Outcomes(WholeRun):
    daemon_settings = {"retry": {"schedule": ["1s"], "expires": "20s"}}

    def story(self, to, ends=1, seconds=40, **more):
        """Sends one mail and gives all events of its delivery, once it has ended."""
        before = self.last_seq()
        self.daemon.submit(mail(to, **more))
        wait_until(lambda: [e for e in self.daemon.events(before) if e.get("to") == to and e["type"] in
                            ("delivered", "bounced", "expired")], seconds, f"the end of {to}")
        return [event for event in self.daemon.events(before) if event.get("to") == to]

    def last_seq(self):
        events = self.daemon.events()
        return events[-1]["seq"] if events else 0

    def test_a_delivered_mail_is_told_with_host_address_and_reply(self):
        accepted, delivered = self.story("fine@one.test", campaign="nov")
        self.assertEqual(accepted["type"], "accepted")
        self.assertEqual(delivered["type"], "delivered")
        self.assertEqual((delivered["mx"], delivered["ip"], delivered["domain"], delivered["campaign"]),
                         ("mx.one.test", RECEIVER, "one.test", "nov"))
        self.assertEqual((delivered["code"], delivered["attempt"]), (250, 1))
        self.assertEqual(delivered["job"], accepted["job"])
        self.assertRegex(delivered["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_a_recipient_that_is_refused_bounces_at_once(self):
        events = self.story("r550-nobody@one.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "bounced"])
        self.assertEqual((events[1]["code"], events[1]["enhanced"], events[1]["stage"]), (550, "5.1.1", "rcpt"))
        self.assertIn("No such user", events[1]["reply"])

    def test_content_that_is_refused_bounces_with_its_stage(self):
        events = self.story("d552-big@one.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "bounced"])
        self.assertEqual((events[1]["code"], events[1]["stage"]), (552, "body"))

    def test_a_greylisted_recipient_gets_its_mail_on_the_third_try(self):
        events = self.story("t2-grey@one.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "deferred", "deferred", "delivered"])
        self.assertEqual([event.get("attempt") for event in events[1:]], [1, 2, 3])
        self.assertTrue(all("next_attempt" in event for event in events[1:3]))
        self.assertEqual(len(self.world.receiver.received_by("t2-grey@one.test")), 1)

    def test_mail_that_is_deferred_to_its_end_expires(self):
        events = self.story("r451-never@one.test", expires_in="3s")
        types = [event["type"] for event in events]
        self.assertEqual((types[0], types[-1]), ("accepted", "expired"))
        self.assertGreaterEqual(types.count("deferred"), 1)
        self.assertEqual(self.world.receiver.received_by("r451-never@one.test"), [])

    def test_the_next_mail_host_is_tried_when_one_refuses_connections(self):
        events = self.story("friend@next.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "delivered"])
        self.assertEqual(events[1]["mx"], "mx.next.test")

    def test_a_domain_whose_only_host_is_down_is_deferred_and_expires(self):
        events = self.story("someone@dead.test", expires_in="3s")
        self.assertEqual(events[-1]["type"], "expired")
        deferred = [event for event in events if event["type"] == "deferred"]
        self.assertGreaterEqual(len(deferred), 1)
        self.assertEqual(deferred[0]["stage"], "connect")

    def test_a_null_mx_bounces_at_once(self):
        events = self.story("x@null.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "bounced"])
        self.assertEqual((events[1]["code"], events[1]["enhanced"], events[1]["stage"]), (556, "5.1.10", "dns"))

    def test_a_domain_that_does_not_exist_bounces_at_once(self):
        events = self.story("x@nowhere.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "bounced"])
        self.assertEqual((events[1]["code"], events[1]["enhanced"]), (550, "5.1.2"))

    def test_a_domain_without_mx_gets_its_mail_at_its_own_address(self):
        events = self.story("x@plain.test")
        self.assertEqual(events[-1]["type"], "delivered")
        self.assertEqual(events[-1]["mx"], "plain.test")

    def test_no_connection_is_made_to_a_loopback_address(self):
        events = self.story("x@evil.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "bounced"])
        self.assertEqual(events[1]["enhanced"], "5.4.4")

    def test_mail_hosts_without_addresses_bounce(self):
        events = self.story("x@hollow.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "bounced"])
        self.assertEqual(events[1]["enhanced"], "5.4.4")

    def test_a_domain_whose_dns_fails_is_deferred(self):
        events = self.story("x@outside.example", expires_in="3s")  # dnsmasq answers REFUSED
        self.assertEqual(events[-1]["type"], "expired")
        self.assertEqual([event["stage"] for event in events if event["type"] == "deferred"][0], "dns")

    def test_recipients_of_one_job_end_each_in_its_own_way(self):
        before = self.last_seq()
        job = self.daemon.submit(mail(["mix1@one.test", "r550-mix@one.test", "mix2@two.test", "x@null.test",
                                       "t1-mix@two.test"]))
        wait_until(lambda: self.daemon.job(job)["open"] == 0, 30, "the job's end")
        events = [event for event in self.daemon.events(before) if event.get("job") == job]
        self.assert_complete(events)
        ends = {event["to"]: event["type"] for event in events if event["type"] in ("delivered", "bounced")}
        self.assertEqual(ends, {"mix1@one.test": "delivered", "r550-mix@one.test": "bounced",
                                "mix2@two.test": "delivered", "x@null.test": "bounced",
                                "t1-mix@two.test": "delivered"})
