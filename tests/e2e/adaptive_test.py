"""The engine finds out by itself what a receiver takes: sluice-sink with limits that nobody has told it of."""

import json
import os
import pathlib
import re
import subprocess
import time
import urllib.request

from fairness_test import bulk
from harness import BINARY, SINK, Process, WholeRun, accepts, free_port, settings, wait_until

STRICT = pathlib.Path(os.environ.get("SLUICE_SINK", BINARY.parent / "bench/sluice-sink"))


class Learning(WholeRun):
    receivers = ()
    daemon_settings = {"delivery": {"connections": 20}, "retry": {"schedule": ["10m"]}}

    @classmethod
    def setUpClass(cls):
        if not STRICT.exists():
            subprocess.run(["deploy/build.sh", "release", "sluice-sink"], check=True, cwd=BINARY.parents[2])
        super().setUpClass()
        cls.stats_port = free_port()
        cls.world.others.append(Process("strict", [STRICT, "--listen", f"{SINK}:{cls.world.mail_port}", "--connections", "5",
                                                   "--rate", "50", "--stats", f"127.0.0.1:{cls.stats_port}"],
                                        cls.world.folder))
        wait_until(lambda: accepts(SINK, cls.world.mail_port), 10, "the sink's start")

    def outcomes(self):
        text = self.daemon_metrics()
        count = lambda outcome: sum(int(float(n)) for n in re.findall(
            r'sluice_delivery_attempts_total\{[^}]*outcome="%s"[^}]*\} ([0-9.e+]+)' % outcome, text))
        return count("delivered"), count("deferred")

    def daemon_metrics(self):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=10).read().decode()

    def test_a_receiver_of_five_connections_and_fifty_messages_a_second_is_used_to_the_full(self):
        self.daemon.submit_lines(bulk("t", 30_000, "sink.test"))
        warm, measured = (60, 120) if settings()["long"] else (15, 30)
        time.sleep(warm)  # the figures of issue 5 are those after a minute: --long
        taken, refused = self.outcomes()
        began = time.monotonic()
        time.sleep(measured)
        taken_later, refused_later = self.outcomes()
        seconds = time.monotonic() - began
        taken, refused = taken_later - taken, refused_later - refused
        print(f"      {taken / seconds:.1f} of 50/s, {refused} of {taken + refused} attempts deferred")
        least, most = (0.95, 0.03) if settings()["long"] else (0.9, 0.05)
        self.assertGreater(taken, least * 50 * seconds)
        self.assertLess(refused, most * (taken + refused))
        text = self.daemon_metrics()
        learned = float(re.search(r'sluice_limit_effective\{[^}]*limit="learned_rate"[^}]*\} ([0-9.e+]+)', text)[1])
        self.assertTrue(40 < learned < 60, learned)
        self.assertRegex(text, r'sluice_throttled_seconds_total\{[^}]*limit="learned_rate"[^}]*\} [1-9]')
        self.assertRegex(text, r'sluice_limit_effective\{[^}]*limit="learned_connections"[^}]*\} [56]\b')
        # What was learned is there after a restart: no storm at the receiver's door.
        stats = lambda: json.loads(urllib.request.urlopen(f"http://127.0.0.1:{self.stats_port}/", timeout=10).read())
        self.daemon.stop()
        self.daemon.start()
        time.sleep(5)
        again, refused_again = self.outcomes()
        print(f"      after a restart: {again / 5:.1f}/s, {refused_again} deferred; {json.dumps(stats())[:300]}")
        self.assertGreater(again, 100)
        self.assertLess(refused_again, 15)
