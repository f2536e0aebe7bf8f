"""A site that keeps its shard busy is sent to by both shards, never over more connections than it allows, and comes back
as soon as its host complains, or other settings come."""

import json
import pathlib
import subprocess

from harness import BINARY, wait_until
from totals_test import Totals

CONNECTIONS, MAILS = 8, 60_000  # a spread takes three seconds to begin, in which 20,000 are gone
# A domain that is its own mail host: its queues and its site belong to one shard, whose work the rest of the machine
# cannot outdo.
SITE = "mx.full"


class HotSite(Totals):
    daemon_settings = {
        # A shard is called busy long before it is: what matters here is what follows.
        "node": {"spread_above": 1},
        "delivery": {"connections": CONNECTIONS, "messages_per_connection": 50, "depth": "lock_step"},
    }

    def site(self):
        return self.daemon.get(f"/v1/sites/{SITE}.test")

    def sluice(self, *words):
        done = subprocess.run([BINARY, *words, "--server", f"127.0.0.1:{self.daemon.http_port}"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def order(self, method, path, body=None):
        status, _, answer = self.daemon.request(method, path, body and json.dumps(body))
        self.assertIn(status, (200, 201), answer)
        return json.loads(answer)

    def send_until_spread(self):
        """All of it waits before the first is sent: no shard is busy with taking mail in meanwhile."""
        held = self.order("POST", "/v1/suspensions", {"domain": f"{SITE}.test", "reason": "all at once"})
        self.submit(MAILS, (SITE,))
        self.order("DELETE", f"/v1/suspensions/{held['suspension']}")
        wait_until(lambda: self.received() > 0 and self.site()["shards"] == 2, 60, "both shards", every=0.2)

    def assert_all_arrive_once(self, count, seconds):
        wait_until(lambda: self.received() >= count, seconds, "the rest")
        wait_until(lambda: all(t["open"] == 0 for t in self.daemon.get("/v1/status")["tenants"].values()), 30, "outcomes")
        self.assertEqual(self.received(), count, "each once")
        self.assertLessEqual(self.crowd.most, CONNECTIONS)
        self.assert_complete(self.daemon.events())


class OneHotSite(HotSite):
    def cpu_of_shards(self):
        """Of each of the two threads, in ticks."""
        used = {}
        for task in pathlib.Path(f"/proc/{self.daemon.process.child.pid}/task").iterdir():
            name, _, rest = (task / "stat").read_text().partition(" (")[2].rpartition(") ")
            if name.startswith("shard"):
                used[name] = sum(int(ticks) for ticks in rest.split()[11:13])
        return [used[name] for name in sorted(used)]

    def test_is_sent_to_by_all_shards_within_its_limits_and_comes_back(self):
        self.send_until_spread()
        wait_until(lambda: self.daemon.metric("sluice_sites_spread") == 1, 10, "the metric")
        self.assertIn("site.spread", self.daemon.process.text())
        self.assertRegex(self.sluice("sites"), rf"{SITE}\.test .* all 2: one was too busy")
        self.assertIn("all 2 send to it", self.sluice("explain", f"{SITE}.test"))
        self.assertRegex(self.sluice("top", "--once"), r"shards 2, busy \d+% to \d+%   all send to 1 site: one was too busy")

        self.submit(6000, (SITE,))
        before, count = self.cpu_of_shards(), self.received() + 4000
        wait_until(lambda: self.received() >= count, 60, "mail of both shards")
        used = sorted(after - cpu for after, cpu in zip(self.cpu_of_shards(), before))
        print(f"CPU of the shards: {used} ticks", flush=True)
        self.assertGreater(used[0], sum(used) * 0.1, "both have sent")
        self.assertNotIn("site.on_one_shard", self.daemon.process.text())

        wait_until(lambda: self.received() >= MAILS + 6000 - 3000, 120, "most of the mail")
        self.crowd.complains = True
        site = wait_until(lambda: (now := self.site())["shards"] == 1 and now, 10, "its way back")
        self.crowd.complains = False
        self.assertEqual(site["spread_ended"], "a host complains")
        self.assertRegex(self.sluice("sites"), rf"{SITE}\.test .* 1 again: a host complains")
        self.assertIn("one sends to it again, after all have: a host complains", self.sluice("explain", f"{SITE}.test"))
        self.assert_all_arrive_once(MAILS + 6000, 240)


class LowerLimit(HotSite):
    def test_holds_on_both_shards_as_soon_as_it_is_in_force(self):
        self.send_until_spread()
        wait_until(lambda: self.crowd.open == CONNECTIONS, 30, "all connections")
        self.daemon.config["delivery"]["connections"] = 3
        self.daemon.write_config()
        self.order("POST", "/v1/reload")
        # Those that are too many end after ten mails; for each that ends none may begin.
        wait_until(lambda: self.crowd.open <= 3, 10, "fewer connections")
        self.crowd.most = self.crowd.open
        self.assertEqual(self.site()["spread_ended"], "other settings")
        self.submit(4000, (SITE,))  # however few of the first are left
        before = self.received()
        wait_until(lambda: self.received() >= before + 2000, 60, "mail over three connections")
        self.assertLessEqual(self.crowd.most, 3)
        self.crowd.most = 0
        self.assert_all_arrive_once(MAILS + 4000, 120)
