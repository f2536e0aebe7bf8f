"""A big job: streamed in, delivered to Postfix's own sink, and every count agrees."""

import time

from harness import WholeRun, ledger, mail, settings, wait_until


class Volume(WholeRun):
    receivers = ("sink",)
    daemon_settings = {"delivery": {"connections": 50, "messages_per_connection": 1000}}

    def test_twenty_thousand_recipients_reach_the_sink(self):
        count = 200_000 if settings()["long"] else 20_000
        head = {key: value for key, value in mail("x@sink.test", text="Hello {{name}}\n" * 20).items()
                if key != "recipients"}
        began = time.monotonic()
        answers = self.daemon.submit_lines([head] + [{"to": f"u{n}@sink.test", "vars": {"name": f"User {n}"}}
                                                     for n in range(count)])
        taken = time.monotonic() - began
        self.assertEqual(answers[-1]["accepted"], count, answers[-1])
        events = self.daemon.settled(count, 300)
        print(f"      {count} recipients taken in {taken:.1f} s, delivered in {time.monotonic() - began:.1f} s")
        self.assert_complete(events)
        self.assertEqual(sum(event["type"] == "delivered" for event in events), count)
        wait_until(lambda: self.world.sink.messages() == count, 20, "the sink's count")
        self.assertEqual(ledger(self.daemon)["default"]["delivered"], count)
