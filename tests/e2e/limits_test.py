"""Limits hold exactly, seen from the receiver."""

import collections
import time

from harness import WholeRun, mail, wait_until


class Limits(WholeRun):
    daemon_settings = {"delivery": {"connections": 3, "messages_per_connection": 10}}

    def test_no_more_connections_than_allowed_and_no_more_mail_on_each(self):
        self.daemon.submit(mail([f"{'slow-' if n < 20 else ''}c{n}@one.test" for n in range(150)]))
        wait_until(lambda: len(self.world.receiver.messages()) == 150, 60, "the mail")
        entries = self.world.receiver.messages()
        self.assertLessEqual(max(entry["open"] for entry in entries), 3)
        self.assertEqual(max(entry["open"] for entry in entries), 3, "work enough for all three")
        on_each = collections.Counter(entry["connection"] for entry in entries)
        self.assertLessEqual(max(on_each.values()), 10)


class Rate(WholeRun):
    daemon_settings = {"delivery": {"rate": "20/s"}}

    def test_mail_leaves_no_faster_than_allowed(self):
        began = time.monotonic()
        self.daemon.submit(mail([f"r{n}@one.test" for n in range(61)]))
        wait_until(lambda: len(self.world.receiver.messages()) == 61, 60, "the mail")
        seconds = time.monotonic() - began
        self.assertGreater(seconds, 2.9)
        self.assertLess(seconds, 15)

    def test_a_stop_does_not_wait_for_mail_that_the_rate_holds_back(self):
        daemon = self.world.daemon("stopping", delivery={"rate": "5/s"}).start()
        daemon.submit(mail([f"s{n}@two.test" for n in range(50)]))
        wait_until(lambda: self.world.receiver.received_by("s0@two.test"), 20, "the first mail")
        status, seconds = daemon.stop()
        self.assertEqual(status, 0)
        self.assertLess(seconds, 10)
