"""A backlog in many queues outlives kill -9 with every attempt count and every due time."""

import collections
import datetime
import os
import pwd
import signal
import time

from harness import SINK, Process, Sink, WholeRun, accepts, ledger, mail, settings, wait_until

QUEUES = 2_000
AHEAD_SECONDS = 25
LATE_SECONDS_MAX = 120  # of the last one, on a machine with other work; what is early is never right


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Backlog(WholeRun):
    receivers = ()

    @classmethod
    def setUpClass(cls):
        cls.daemon_settings = {"retry": {"schedule": ["20s"], "expires": "1h"}, "delivery": {"connections": 50}}
        super().setUpClass()
        cls.daemon.stop()
        cls.daemon.config["domain"] = [{"name": "*", "route": [f"[{SINK}]:{cls.world.mail_port}"],
                                        "messages_per_connection": 1000}]
        cls.daemon.start()

    def busy_receiver(self):
        """Postfix's smtp-sink, which puts off every recipient."""
        user = pwd.getpwuid(os.getuid()).pw_name
        root = ["-u", user] if os.getuid() == 0 else []
        process = Process("busy-sink", ["/usr/sbin/smtp-sink", *root, "-r", "RCPT", f"{SINK}:{self.world.mail_port}", "1000"],
                          self.world.folder)
        wait_until(lambda: accepts(SINK, self.world.mail_port), 20, "smtp-sink's start")
        return process

    def submit(self, name, count, **more):
        head = {key: value for key, value in mail("x@d0.many.test", text="Hello {{name}}\n", **more).items() if key != "recipients"}
        lines = [{"to": f"{name}{n}@d{n % QUEUES}.many.test", "vars": {"name": f"User {n}"}} for n in range(count)]
        answer = self.daemon.submit_lines([head] + lines)[-1]
        self.assertEqual(answer["accepted"], count, answer)

    def test_attempts_and_due_times_are_exact_after_kill_9(self):
        tried, later = QUEUES, (200_000 if settings()["long"] else 40_000) - QUEUES
        busy = self.busy_receiver()
        self.submit("tried", tried)
        wait_until(lambda: len(self.daemon.events(type="deferred")) == tried, 60, "one attempt at each of the first job", 0.5)
        send_at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=AHEAD_SECONDS)
        self.submit("later", later, send_at=send_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), campaign="later")
        self.daemon.kill()
        busy.end(signal.SIGKILL)
        self.world.others.append(Sink(self.world.folder, self.world.mail_port).process)

        self.daemon.start()
        started = time.time()
        counts = ledger(self.daemon)["default"]
        self.assertEqual((counts["accepted"], counts["open"]), (tried + later, tried + later))
        events = self.daemon.settled(tried + later, 300)
        self.assert_complete(events)

        story = collections.defaultdict(list)
        for event in events:
            if event["type"] != "accepted":
                story[event["to"]].append(event)
        lateness = []
        for to, told in story.items():
            first_attempts = 1 if to.startswith("later") else 2
            self.assertEqual([event["attempt"] for event in told], list(range(1, first_attempts + 1)), told)
            self.assertEqual(told[-1]["type"], "delivered")
            due = send_at.timestamp() if to.startswith("later") else seconds(told[0]["next_attempt"])
            sent = seconds(told[-1]["time"])
            self.assertGreaterEqual(sent, due - 0.001, f"sent before its time: {told}")
            lateness.append(sent - max(due, started))
        self.assertEqual(len(story), tried + later)
        print(f"      {tried + later} deliveries in {2 * QUEUES} queues: at most {max(lateness):.1f} s behind their due times")
        self.assertLess(max(lateness), LATE_SECONDS_MAX)
        self.assertEqual(ledger(self.daemon)["default"]["delivered"], tried + later)
