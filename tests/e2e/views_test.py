"""What operators look at: queues, sites, providers, jobs, an address's mail, the live stream."""

import hashlib
import json
import urllib.parse

from harness import WholeRun, mail, wait_until

KEY = "an operators' key, for this test alone"


class Views(WholeRun):
    daemon_settings = {"retry": {"schedule": ["1h"], "expires": "2h"}, "delivery": {"connections": 3},
                       "provider": [{"name": "slowly", "mx_suffix": [".two.test"], "rate": "1/s", "connections": 1}]}

    def test_what_waits_is_shown_by_domain_and_age(self):
        job = self.daemon.submit(mail([f"t2-q{n}@one.test" for n in range(12)], campaign="q1"))
        wait_until(lambda: self.daemon.job(job)["deferrals"] == 12, 30, "the deferrals")
        wait_until(lambda: self.daemon.get("/v1/queues?campaign=q1")["waiting"] == 12, 20, "all of them waiting")
        queues = self.daemon.get("/v1/queues?campaign=q1")
        self.assertEqual([row["domain"] for row in queues["domains"]], ["one.test"])
        self.assertEqual(queues["ages"][0], 12)
        self.assertTrue(queues["whole"])
        self.assertEqual(self.daemon.get("/v1/queues?campaign=nothing")["domains_count"], 0)
        found = self.daemon.get("/v1/deliveries?to=" + urllib.parse.quote("t2-q3@one.test"))["deliveries"]
        self.assertEqual([(one["state"], one["last_event"]["type"]) for one in found], [("open", "deferred")])

    def test_a_site_and_its_provider_say_what_holds_them_back(self):
        job = self.daemon.submit(mail([f"p{n}@two.test" for n in range(20)], campaign="p1"))
        site = wait_until(lambda: next((one for one in self.daemon.get("/v1/sites?provider=slowly")["sites"]
                                        if one.get("limit") == "rate"), None), 15, "a rate that binds")
        self.assertEqual((site["provider"], site["connections_max"], site["rate_max"]), ("slowly", 1, 1))
        self.assertGreater(site["ready"] + site["sending"], 0)
        # The turn after the one that is taken: at one a second at most two ahead.
        self.assertLessEqual(site["limited_for_seconds"], 2.1)
        self.assertEqual(self.daemon.get("/v1/sites/mx.two.test")["site"], "mx.two.test")
        providers = {one["provider"]: one for one in self.daemon.get("/v1/providers")["providers"]}
        self.assertEqual(providers["slowly"]["connections_max_per_site"], 1)
        self.assertEqual(self.daemon.request("GET", "/v1/sites/mx.nowhere.test")[0], 404)
        rows = self.daemon.get("/v1/jobs?state=open&campaign=p1")["jobs"]
        self.assertEqual([row["job"] for row in rows], [job])
        self.assertEqual(rows[0]["accepted"], 20)

    def test_the_live_stream_tells_each_second_what_came(self):
        self.daemon.submit(mail([f"l{n}@one.test" for n in range(5)]))
        status, fields, body = self.daemon.request("GET", "/v1/live?count=2")
        self.assertEqual((status, fields["Content-Type"]), (200, "text/event-stream"))
        snapshots = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]
        self.assertEqual(len(snapshots), 2)
        self.assertGreater(snapshots[1]["number"], snapshots[0]["number"])
        self.assertGreaterEqual(snapshots[1]["totals"]["accepted"], 5)
        self.assertEqual(len(snapshots[1]["shards_busy"]), 2)


class OperatorsKey(WholeRun):
    daemon_settings = {"listen": {"admin_key_sha256": hashlib.sha256(KEY.encode()).hexdigest()}}

    def test_with_it_everything_over_tcp_asks_for_a_key(self):
        for path in ("/v1/status", "/v1/queues", "/v1/config", "/v1/live?count=1"):
            with self.subTest(path=path):
                self.assertEqual(self.daemon.request("GET", path)[0], 401)
                self.assertEqual(self.daemon.request("GET", path, headers={"Authorization": "Bearer no"})[0], 401)
                self.assertEqual(self.daemon.request("GET", path, headers={"Authorization": f"Bearer {KEY}"})[0], 200)
        _, _, body = self.daemon.request("GET", "/v1/config", headers={"Authorization": f"Bearer {KEY}"})
        self.assertNotIn(hashlib.sha256(KEY.encode()).hexdigest().encode(), body)
