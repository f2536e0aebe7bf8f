"""`sluice explain`: where mail for a domain goes, under which limits, and what holds it."""

import json
import subprocess

from harness import BINARY, RECEIVER, WholeRun, mail, wait_until


class Explain(WholeRun):
    daemon_settings = {
        "delivery": {"connections": 7},
        "provider": [{"name": "one", "mx_suffix": [".one.test"], "connections": 3, "rate": "2/s", "total_per_day": 9000},
                     {"name": "third", "mx_suffix": [".third.test"], "total_rate": "7/s"}],
        "source": [{"name": "cold", "connections": 1}],
        "pool": [{"name": "default", "sources": ["cold"]}],
        "domain": [{"name": "fixed.test", "route": [f"[{RECEIVER}]:2525"], "connections": 1, "tls": "required"}],
    }

    def explain(self, domain, *words):
        done = subprocess.run([BINARY, "explain", domain, "--server", f"127.0.0.1:{self.daemon.http_port}", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout) if "--json" in words else done.stdout

    def limit(self, said, name):
        return {one["limit"]: one for one in said["limits"]}[name]

    def test_it_names_route_provider_and_each_limit_with_its_line(self):
        said = self.explain("someone@one.test", "--json")
        self.assertEqual((said["site"], said["provider"], said["mx_suffix"]), ("mx.one.test", "one", ".one.test"))
        host = said["route"]["hosts"][0]
        self.assertEqual((host["host"], host["addresses"], host["tls"]), ("mx.one.test", [RECEIVER], "when offered"))
        connections = self.limit(said, "connections")
        self.assertEqual((connections["value"], connections["section"]), ("3", "[[provider]] one"))
        self.assertEqual([step["value"] for step in connections["overrode"]], ["7"])
        path, line = connections["origin"].rsplit(":", 1)
        self.assertEqual(open(path, encoding="utf-8").read().splitlines()[int(line) - 1], "connections = 3")
        self.assertEqual(self.limit(said, "window")["section"], "default")
        text = self.explain("one.test")
        self.assertIn("provider  one, by the suffix .one.test", text)
        self.assertRegex(text, r"connections +3 +\[\[provider\]\] one, .*sluice.toml:\d+ +instead of 7 \(\[delivery\], ")

    def test_it_names_stricter_sources_and_totals_with_their_lines(self):
        said = self.explain("one.test", "--json")
        source, = said["sources"]
        self.assertEqual((source["source"], source["limit"], source["value"]), ("cold", "connections", "1"))
        total, = said["totals"]
        self.assertEqual((total["name"], total["limit"], total["words"]),
                         ("one", "total_per_day", "provider one: 9000 messages a day in all"))
        for one, text in ((source, "connections = 1"), (total, "total_per_day = 9000")):
            path, line = one["origin"].rsplit(":", 1)
            self.assertEqual(open(path, encoding="utf-8").read().splitlines()[int(line) - 1], text)
        text = self.explain("one.test")
        self.assertRegex(text, r"source cold +connections +1 +.*sluice.toml:\d+")
        self.assertRegex(text, r"provider one: 9000 messages a day in all +.*sluice.toml:\d+")
        self.assertEqual([one["name"] for one in self.explain("fixed.test", "--json")["totals"]], [])

    def test_it_says_what_holds_mail_back_now(self):
        self.assertNotIn("now", self.explain("two.test", "--json"))
        self.daemon.submit(mail([f"held{n}@one.test" for n in range(60)]))
        said = wait_until(lambda: (lambda s: s if s.get("now", {}).get("limit") else None)(self.explain("one.test", "--json")),
                          20, "the limit")
        self.assertEqual(said["now"]["limit"], "rate")
        self.assertIn("sluice.toml:", said["now"]["limit_origin"])
        self.assertIn("held back", self.explain("one.test"))

    def test_it_tells_fixed_routes_orders_and_domains_without_one(self):
        said = self.explain("fixed.test", "--json")
        self.assertEqual(said["route"]["by"], "[[domain]] fixed.test")
        self.assertEqual(said["route"]["hosts"][0]["port"], 2525)
        self.assertEqual(said["route"]["hosts"][0]["tls"], "encrypted")
        status, _, body = self.daemon.request("POST", "/v1/suspensions", json.dumps({"provider": "one", "campaign": "x", "reason": "why not"}),
                                              {"Content-Type": "application/json"})
        self.assertEqual(status, 201, body)
        self.assertEqual([order["reason"] for order in self.explain("one.test", "--json")["orders"]], ["why not"])
        self.assertEqual(self.explain("two.test", "--json")["orders"], [])
        self.assertIn("why not", self.explain("one.test"))
        self.assertIn("such mail bounces", self.explain("nowhere.test"))
