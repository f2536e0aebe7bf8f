"""Starting, stopping and refusing to start."""

import json
import subprocess
import unittest

from harness import BINARY, World, mail, wait_until


class Lifecycle(unittest.TestCase):
    def setUp(self):
        self.world = World("lifecycle")
        self.addCleanup(self.world.end)

    def refused(self, daemon):
        """Status and log of a daemon that must not start."""
        daemon.spawn()
        status = daemon.process.child.wait(30)
        daemon.process.output.close()
        return status, daemon.process.text()

    def test_a_stop_while_sending_finishes_what_is_in_hand_and_loses_nothing(self):
        receiver = self.world.start_receiver()
        daemon = self.world.daemon().start()
        recipients = [f"{'slow-' if n % 4 == 0 else ''}d{n}@one.test" for n in range(600)]
        daemon.submit(mail(recipients))
        wait_until(lambda: len(receiver.messages()) > 20, 30, "the first mails")
        status, seconds = daemon.stop()
        self.assertEqual(status, 0, daemon.process.text()[-2000:])
        self.assertLess(seconds, 35)
        at_stop = len(receiver.messages())
        self.assertLess(at_stop, 600, "there was nothing left to do at the stop: the test shows nothing")
        daemon.start()
        wait_until(lambda: len(set(receiver.recipients())) == 600, 120, "the rest after the restart")
        wait_until(lambda: daemon.get("/v1/status")["tenants"]["default"]["open"] == 0, 30, "nothing open")
        self.assertEqual(sorted(receiver.recipients()), sorted(recipients), "an orderly stop makes no duplicates")
        print(f"      stopped in {seconds:.1f} s with {at_stop} of 600 delivered")

    def test_a_stop_right_after_the_start_is_in_order(self):
        daemon = self.world.daemon()
        for before in range(30):
            daemon.spawn()
            wait_until(lambda: daemon.process.text().count("daemon.ready") > before, 30, "the daemon", every=0.001)
            self.assertEqual(daemon.stop()[0], 0, daemon.process.text()[-1000:])

    def test_a_restart_keeps_mail_events_and_answers(self):
        receiver = self.world.start_receiver()
        daemon = self.world.daemon().start()
        job = mail(["before@one.test", "x@dead.test"])
        first = daemon.post(job, Idempotency_Key="restart")
        wait_until(lambda: receiver.received_by("before@one.test"), 30, "the mail")
        wait_until(lambda: daemon.events(type="deferred"), 30, "the deferral")
        daemon.stop()
        known = daemon.start().events()
        self.assertTrue({"accepted", "delivered", "deferred"} <= {event["type"] for event in known})
        self.assertEqual(daemon.post(job, Idempotency_Key="restart"), first)
        last = known[-1]["seq"]
        wait_until(lambda: daemon.events(last, to="x@dead.test"), 30, "the next try after the restart")
        self.assertEqual(len(receiver.received_by("before@one.test")), 1)

    def test_a_second_daemon_on_the_same_data_is_refused_in_a_line(self):
        first = self.world.daemon().start()
        second = self.world.daemon("second", data_dir=first.data_dir)
        status, log = self.refused(second)
        self.assertEqual(status, 1, log)
        self.assertIn(str(first.data_dir), log)
        self.assertEqual(len(log.strip().splitlines()), 1, log)
        self.assertEqual(first.request("GET", "/healthz")[0], 200)

    def test_a_taken_port_is_refused_with_its_address(self):
        first = self.world.daemon().start()
        for section, key in (("http", "http_port"), ("smtp", "smtp_port"), ("metrics", "metrics_port")):
            with self.subTest(listener=section):
                address = f"127.0.0.1:{getattr(first, key)}"
                value = address if section == "metrics" else [address]
                second = self.world.daemon(f"taken-{section}", listen={section: value})
                status, log = self.refused(second)
                self.assertEqual(status, 1, log)
                self.assertIn(address, log)

    def test_a_wrong_configuration_is_refused_with_all_its_lines(self):
        path = self.world.folder / "wrong.toml"
        path.write_text('[node]\nnam = "out1.e2e.test"\n[delivery]\nport = 70000\nallow_addresses = ["localhost"]\n')
        done = subprocess.run([BINARY, "serve", "--config", path], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 2)
        for place in ("wrong.toml:2", "wrong.toml:4", "wrong.toml:5"):
            self.assertIn(place, done.stderr)
        self.assertIn("did you mean", done.stderr.lower())

    def test_nothing_is_taken_when_the_disk_is_low_and_the_answer_says_so(self):
        daemon = self.world.daemon(queue={"free_disk_min": "1000000GiB"})
        daemon.spawn()
        def alive():
            try:
                return daemon.request("GET", "/healthz")[0] in (200, 503)
            except OSError:
                return False
        wait_until(alive, 30, "the daemon's start")
        status, headers, body = daemon.request("POST", "/v1/messages", json.dumps(mail("x@one.test")),
                                               {"Content-Type": "application/json"})
        self.assertEqual(status, 503, body)
        self.assertIn("free_disk_min", body.decode())
        self.assertIn("retry-after", {name.lower() for name in headers})
        self.assertEqual(daemon.events(), [])
