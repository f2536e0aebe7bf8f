"""A site that keeps its shard busy is sent to by both shards, never over more connections than it allows, and comes back
as soon as its host complains."""

import pathlib
import time

from harness import wait_until
from totals_test import Conversation, Totals

CONNECTIONS = 8


class Moody(Conversation):
    """Takes mail, or says that it comes too fast."""

    def speak(self, crowd):
        self.say("220 crowd.test ESMTP")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"MAIL" and crowd.complains:
                self.say("450 4.7.1 rate limit exceeded, slow down")
            elif word == b"DATA":
                self.say("354 go")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                crowd.begun.append(time.monotonic())
                self.say("250 2.0.0 taken")
            elif word == b"QUIT":
                self.no_more(crowd)
                return self.say("221 bye")
            else:
                self.say("250 ok")


class OneHotSite(Totals):
    daemon_settings = {
        # A shard is called busy long before it is: what matters here is what follows.
        "node": {"spread_above": 1},
        "delivery": {"connections": CONNECTIONS, "messages_per_connection": 50, "depth": "lock_step"},
    }

    def setUp(self):
        super().setUp()
        self.crowd.complains = False
        for server in self.crowd.servers:
            server.RequestHandlerClass = Moody

    def site(self):
        return self.daemon.get("/v1/sites")["sites"][0]

    def cpu_of_shards(self):
        """Of each of the two threads, in ticks."""
        used = {}
        for task in pathlib.Path(f"/proc/{self.daemon.process.child.pid}/task").iterdir():
            name, _, rest = (task / "stat").read_text().partition(" (")[2].rpartition(") ")
            if name.startswith("shard"):
                used[name] = sum(int(ticks) for ticks in rest.split()[11:13])
        return [used[name] for name in sorted(used)]

    def test_is_sent_to_by_all_shards_within_its_limits_and_comes_back(self):
        submitted = 0
        most_shards = 0
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and (most_shards < 2 or submitted < 12000):
            self.submit(3000, ("full",))
            submitted += 3000
            wait_until(lambda: len(self.crowd.begun) > submitted - 1500, 60, "most of the mail")
            most_shards = max(most_shards, self.site()["shards"])
        self.assertEqual(most_shards, 2, "it is on both shards")
        self.assertEqual(self.daemon.metric("sluice_sites_spread"), 1)
        spread = self.daemon.process.text()
        self.assertIn("site.spread", spread)
        self.assertNotIn("site.on_one_shard", spread)

        before = self.cpu_of_shards()
        self.submit(6000, ("full",))
        submitted += 6000
        wait_until(lambda: len(self.crowd.begun) == submitted, 120, "mail of both shards")
        used = sorted(after - cpu for after, cpu in zip(self.cpu_of_shards(), before))
        print(f"CPU of the shards: {used} ticks", flush=True)
        self.assertGreater(used[0], sum(used) * 0.1, "both have sent")

        self.submit(3000, ("full",))
        submitted += 3000
        self.crowd.complains = True
        wait_until(lambda: self.site()["shards"] == 1, 10, "its way back")
        self.assertIn("a host complains", self.daemon.process.text())
        time.sleep(0.5)
        self.crowd.complains = False

        wait_until(lambda: len(self.crowd.begun) >= submitted, 240, "the rest")
        wait_until(lambda: all(t["open"] == 0 for t in self.daemon.get("/v1/status")["tenants"].values()), 30, "outcomes")
        self.assertEqual(len(self.crowd.begun), submitted, "each once")
        self.assertLessEqual(self.crowd.most, CONNECTIONS)
        self.assert_complete(self.daemon.events())
