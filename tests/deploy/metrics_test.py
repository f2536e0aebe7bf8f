"""The metrics page as Prometheus sees it, and what it costs where there are many sites and providers."""

import json
import re
import subprocess
import time
import unittest

import lab
import world as worlds

ROOT = worlds.ROOT
SITES, PROVIDERS = 1000, 200
SCRAPE_SECONDS_MAX, PAGE_BYTES_MAX = 1.0, 2_000_000


class MetricsPage(unittest.TestCase):
    def test_promtool_finds_nothing_to_complain_of(self):
        page = worlds.world().page()
        done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_prometheus_scrapes_it(self):
        world = worlds.world()
        lab.wait_until(lambda: world.values("up"), 15, "a first scrape")
        self.assertEqual(list(world.values("up").values()), [1.0])

    def test_no_family_is_declared_that_nobody_counts(self):
        declared = set(re.findall(r"constexpr Family (\w+)", (ROOT / "metrics/catalog.h").read_text()))
        used = set()
        for folder in ("metrics", "storage", "engine", "ingest"):
            for file in (ROOT / folder).rglob("*.cc"):
                used |= set(re.findall(r"catalog::(\w+)", file.read_text()))
        self.assertEqual(declared - used, set())
        self.assertGreater(len(declared), 40)

    def test_a_scrape_stays_cheap_at_a_thousand_sites_and_two_hundred_providers(self):
        with lab.Lab("scrape") as folder:
            http, metrics, dns, stats = lab.free_ports(4)
            port, = lab.free_ports(1, worlds.RECEIVER)
            worlds.start_dns(folder, dns, {f"d{n}.test": f"mx{n}.p{n % PROVIDERS}.test" for n in range(SITES)})
            folder.start_sink(f"{worlds.RECEIVER}:{port}", stats, "--rcpt",
                              "10% 550 5.1.1 no such user, 20% 451 4.7.1 greylisted, come again")
            folder.start_engine(lab.settings(
                folder.folder / "data", http, metrics=metrics, dns=dns, delivery={"port": port, "connections": 1}, retry={"schedule": ["1s"]},
                provider=[{"name": f"provider{n}", "mx_suffix": [f".p{n}.test"]} for n in range(PROVIDERS)]), http)
            job = {"from": "a@news.test", "content": {"from": "a@news.test", "subject": "s", "text": "t"},
                   "recipients": [{"to": f"r{n}@d{n % SITES}.test"} for n in range(3 * SITES)]}
            path = folder.folder / "job.json"
            path.write_text(json.dumps(job))
            subprocess.run(["curl", "-sf", "-H", "Content-Type: application/json", "--data-binary", f"@{path}",
                            f"http://127.0.0.1:{http}/v1/messages"], check=True, stdout=subprocess.DEVNULL)
            lab.wait_until(lambda: lab.get_json(http, "/v1/status")["open"] == 0, 60, "all mail has ended")
            times = []
            for _ in range(5):
                began = time.monotonic()
                page = lab.get(metrics, "/metrics")[1]
                times.append(time.monotonic() - began)
        text = page.decode()
        series = sum(1 for line in text.splitlines() if not line.startswith("#"))
        print(f"      a scrape: {min(times) * 1000:.1f} ms, {len(page):,} octets, {series:,} series", flush=True)
        self.assertEqual(len(set(re.findall(r'attempts_total{provider="(provider\d+)"', text))), PROVIDERS)
        self.assertNotIn('provider="other"', text)
        self.assertNotRegex(text, r"@|\bd\d+\.test", "an address or a domain is on the page")
        self.assertLess(min(times), SCRAPE_SECONDS_MAX)
        self.assertLess(len(page), PAGE_BYTES_MAX)
