"""Many receivers at once: more than descriptors are left for, and thousands that hold a connection without an answer."""

import collections
import json
import resource
import time
import urllib.request

from harness import ROOT, TERMINAL, Process, WholeRun, World, answers_dns, free_port, mail, wait_until

SITES = 600
DESCRIPTORS = 512  # the fewest that the daemon starts with


class Crowd(WholeRun):
    """The usual receiver, and sluice-sink as SITES mail hosts: d0.crowd.test, d1.crowd.test ..."""

    manners = ()

    @classmethod
    def setUpClass(cls):
        dns, stats = free_port(), free_port()
        cls.world = World(cls.__name__.lower(), zone=[f"--server=/crowd.test/127.0.0.1#{dns}", "--dns-forward-max=2000"])
        cls.addClassCleanup(cls.finish)
        cls.world.start_receiver()
        cls.world.others.append(Process("crowd", [
            ROOT / "build/release/bench/sluice-sink", "--listen", f"127.61.0.0/22:{cls.world.mail_port}", "--dns", f"127.0.0.1:{dns}",
            "--zone-suffix", "crowd.test", "--domains", SITES, "--sites", SITES, "--stats",
            f"127.0.0.1:{stats}", *cls.manners], cls.world.folder))
        wait_until(lambda: answers_dns(dns), 10, "the crowd's DNS")
        cls.stats = f"http://127.0.0.1:{stats}/"
        cls.start_daemon()

    @classmethod
    def start_daemon(cls):
        cls.daemon = cls.world.daemon(**cls.daemon_settings).start()

    def crowd(self):
        with urllib.request.urlopen(self.stats, timeout=10) as answer:
            return json.load(answer)

    def submit_to_all(self, each):
        """`each` deliveries to every host of the crowd."""
        recipients = [f"r{n}@d{site}.crowd.test" for n in range(each) for site in range(SITES)]
        self.daemon.submit(mail(recipients))
        return len(recipients)


class FewDescriptors(Crowd):
    manners = ("--final-delay", "50ms")
    daemon_settings = {"delivery": {"connections": 10}}

    @classmethod
    def start_daemon(cls):
        cls.daemon = cls.world.daemon(**cls.daemon_settings)
        cls.daemon.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)))

    def test_mail_to_more_sites_than_descriptors_arrives_without_a_restart(self):
        count = self.submit_to_all(5)
        events = self.daemon.settled(count, 120)
        self.assert_complete(events)
        ends = collections.Counter(event["type"] for event in events if event["type"] in TERMINAL)
        self.assertEqual(ends, {"delivered": count})
        self.assertFalse([event for event in events if event["type"] == "deferred"], "sites wait, nothing fails for want of one")
        self.assertEqual(self.daemon.request("GET", "/readyz")[0], 200)


class Tarpits(Crowd):
    manners = ("--delay", "60s",)
    daemon_settings = {"delivery": {"connections": 5}, "timeouts": {"banner": "5m", "command": "5m"}}

    def test_they_hold_up_neither_mail_to_others_nor_a_stop(self):
        self.submit_to_all(5)
        wait_until(lambda: self.crowd()["connections"]["open"] == 5 * SITES, 60, "the tarpits' connections")
        began = time.monotonic()
        self.daemon.submit(mail([f"t{n}@one.test" for n in range(40)]))
        wait_until(lambda: len(self.world.receiver.messages()) == 40, 20, "the mail to the others")
        self.assertLess(time.monotonic() - began, 20)
        status, seconds = self.daemon.stop()
        self.assertEqual(status, 0)
        self.assertLess(seconds, 10, "of the 30 s that mail in hand would have")
