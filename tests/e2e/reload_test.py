"""The configuration is changed while the daemon sends: by a signal, by the command, by the watch on its files."""

import copy
import hashlib
import json
import re
import signal
import smtplib
import subprocess
import threading
import time
import urllib.request

from harness import BINARY, MOODY, NOBODY, RECEIVER, WholeRun, free_port, ledger, mail, wait_until
from login_test import PASSWORD, hash_of
from sources_test import IP1, IP2, Observer


class Reload(WholeRun):
    daemon_settings = {"delivery": {"rate": "200/s"}, "provider": [{"name": "one", "mx_suffix": [".one.test"]}]}

    def setUp(self):
        self.before = copy.deepcopy(self.daemon.config)

    def tearDown(self):
        self.daemon.config = self.before
        self.daemon.write_config()
        self.reload()
        super().tearDown()

    def reload(self, *words, status=0):
        """`sluice reload`: what it answers as JSON, or what it says of a refusal."""
        self.daemon.write_config()
        done = subprocess.run([BINARY, "reload", "--json", "--server", f"unix:{self.world.folder}/sluice.sock", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return json.loads(done.stdout) if status == 0 else done.stderr

    def changes(self, report):
        return {change["name"]: (change.get("old"), change.get("value"), change["needs_restart"])
                for change in report["changes"]}

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=10) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def received(self, prefix):
        return sum(to.startswith(prefix) for to in self.world.receiver.recipients())

    def value(self, name):
        return {one["name"]: one["value"] for one in self.daemon.get("/v1/config?name=" + name)["settings"]}.get(name)

    # ---- what is told

    def test_it_says_what_has_changed_from_what_to_what_and_where(self):
        self.daemon.config["provider"][0]["connections"] = 4
        self.daemon.config["retry"]["expires"] = "2h"
        tried = self.reload("--dry-run")
        self.assertFalse(tried["reloaded"])
        self.assertEqual(self.value("retry.expires"), '"1h"')
        report = self.reload()
        self.assertEqual(self.changes(report), {"provider.one.connections": (None, "4", False),
                                                "retry.expires": ('"1h"', '"2h"', False)})
        origins = {change["name"]: change["origin"] for change in report["changes"]}
        path, line = origins["retry.expires"].rsplit(":", 1)
        self.assertEqual(open(path, encoding="utf-8").read().splitlines()[int(line) - 1], 'expires = "2h"')
        self.assertEqual(self.value("retry.expires"), '"2h"')
        self.assertEqual(self.daemon.get("/v1/config")["hash"], report["hash"])
        self.assertEqual(self.reload()["changes"], [])
        for_people = subprocess.run([BINARY, "reload", "--server", f"127.0.0.1:{self.daemon.http_port}"],
                                    capture_output=True, text=True, timeout=60, check=True)
        self.assertIn("in force on all shards; changed: nothing", for_people.stdout)

    def test_a_wrong_file_changes_nothing_and_every_error_is_told_with_its_place(self):
        self.daemon.config["retry"].update({"schedule": ["3s"], "expires": "soon"})
        self.daemon.config["provider"][0]["conections"] = 4
        told = self.reload(status=1)
        self.assertRegex(told, r"sluice\.toml:\d+:\d+.*")
        self.assertIn("did you mean connections?", told)
        self.assertIn("soon", told)
        self.assertIn("nothing has changed", told)
        self.assertEqual(self.value("retry.schedule"), '[ "1s" ]')
        wait_until(lambda: self.metric("sluice_config_last_reload_successful") == 0, 5, "the metric")
        self.assertGreater(self.metric('sluice_config_reloads_total{result="refused"}'), 0)
        self.daemon.config = copy.deepcopy(self.before)
        self.reload()
        wait_until(lambda: self.metric("sluice_config_last_reload_successful") == 1, 5, "the metric")

    def test_what_takes_a_restart_is_named_and_stays_as_it_was(self):
        self.daemon.config["listen"]["smtp"] = [f"127.0.0.1:{free_port()}"]
        self.daemon.config["node"]["shards"] = 1
        self.daemon.config["retry"]["expires"] = "3h"
        report = self.reload()
        changes = self.changes(report)
        self.assertTrue(changes["listen.smtp"][2] and changes["node.shards"][2])
        self.assertFalse(changes["retry.expires"][2])
        self.assertEqual(self.value("node.shards"), "2")
        self.assertEqual(self.value("retry.expires"), '"3h"')
        wait_until(lambda: self.metric("sluice_config_restart_needed") == 2, 5, "the metric")
        self.assertEqual({change["name"] for change in self.reload()["changes"]}, {"listen.smtp", "node.shards"},
                         "told again as long as it waits")

    # ---- what it does

    def test_a_rate_that_is_lifted_holds_what_waits_no_longer(self):
        self.daemon.config["delivery"]["rate"] = "1/s"
        self.reload()
        self.daemon.submit(mail([f"rate{n}@one.test" for n in range(100)]))
        time.sleep(2)
        self.assertLess(self.received("rate"), 10)
        self.daemon.config["delivery"]["rate"] = "1000/s"
        self.reload()
        wait_until(lambda: self.received("rate") == 100, 20, "the mail")

    def test_fewer_connections_hold_for_those_that_are_open(self):
        self.daemon.config["delivery"].update({"connections": 6, "rate": "1000/s"})
        self.reload()
        self.daemon.submit(mail([f"slow-open{n}@one.test" for n in range(120)]))
        wait_until(lambda: self.received("slow-open") >= 20, 20, "the first mail")
        self.daemon.config["delivery"]["connections"] = 2
        self.reload()
        at_reload = self.received("slow-open")
        wait_until(lambda: self.received("slow-open") == 120, 60, "the mail")
        entries = [entry for entry in self.world.receiver.messages() if entry["to"][0].startswith("slow-open")]
        self.assertEqual(max(entry["open"] for entry in entries[:at_reload]), 6)
        # What was in hand finishes, with one mail behind it at most.
        self.assertLessEqual(max(entry["open"] for entry in entries[at_reload + 18:]), 2)

    def test_mail_that_waits_for_a_dead_host_takes_a_new_route_at_once(self):
        self.daemon.config["retry"]["schedule"] = ["1h"]
        self.reload()
        self.daemon.submit(mail("kept@silent.test"))  # its host never greets
        self.daemon.submit(mail([f"way{n}@silent.test" for n in range(30)]))
        time.sleep(0.5)
        self.daemon.config["domain"] = [{"name": "silent.test", "route": [f"[{RECEIVER}]:{self.world.mail_port}"]}]
        self.reload()
        wait_until(lambda: self.received("way") == 30, 10, "the mail over its new route")
        del self.daemon.config["domain"]
        self.reload()
        self.assertNotIn("domain.silent.test.route", str(self.daemon.get("/v1/config")))

    def test_sources_and_pools_are_others(self):
        observer = Observer(MOODY["rate"], self.world.mail_port)
        self.addCleanup(observer.shutdown)
        self.daemon.config["source"] = [{"name": "a", "address": IP1, "ehlo": "a.pool.test"}]
        self.reload()
        def send(name):
            seen = len(observer.mails)
            self.daemon.submit(mail(f"{name}@rate.test"))
            wait_until(lambda: len(observer.mails) > seen, 20, "the mail")
            return observer.mails[-1]
        self.assertEqual(send("s1"), (IP1, "a.pool.test"))
        self.daemon.config["source"] = [{"name": "b", "address": IP2, "ehlo": "b.pool.test"},
                                        {"name": "a", "address": IP1, "ehlo": "new.pool.test"}]
        self.daemon.config["pool"] = [{"name": "default", "sources": ["b"]}, {"name": "old", "sources": ["a"]}]
        self.reload()
        self.assertEqual(send("s2"), (IP2, "b.pool.test"))
        self.daemon.submit(mail("s3@rate.test", pool="old"))
        wait_until(lambda: (IP1, "new.pool.test") in observer.mails, 20, "mail by the pool that is new")

    def test_tenants_and_users_come_and_go(self):
        def posts(key):
            status, _, _ = self.daemon.request("POST", "/v1/messages", json.dumps(mail("k@one.test")),
                                               {"Content-Type": "application/json", "Authorization": "Bearer " + key})
            return status
        self.daemon.config["tenant"] = [{"name": "acme", "api_key_sha256": hashlib.sha256(b"first").hexdigest()}]
        self.daemon.config["credential"] = [{"user": "u", "password_hash": hash_of(PASSWORD), "tenant": "acme"}]
        self.reload()
        self.assertEqual((posts("first"), posts("second")), (202, 401))
        with smtplib.SMTP("127.0.0.1", self.daemon.smtp_port) as client:
            client.login("u", PASSWORD)
        self.daemon.config["tenant"][0]["api_key_sha256"] = hashlib.sha256(b"second").hexdigest()
        del self.daemon.config["credential"]
        report = self.reload()
        self.assertIn("tenant.acme.api_key_sha256", self.changes(report))
        self.assertNotIn(hashlib.sha256(b"second").hexdigest(), json.dumps(report))
        self.assertEqual((posts("first"), posts("second")), (401, 202))
        with smtplib.SMTP("127.0.0.1", self.daemon.smtp_port) as client:
            client.ehlo()
            self.assertFalse(client.has_extn("auth"))
        self.daemon.config = copy.deepcopy(self.before)
        self.reload()

    def test_a_watched_file_is_read_by_itself(self):
        self.daemon.config["node"]["watch_config"] = True
        self.reload()
        self.daemon.config["retry"]["expires"] = "5h"
        self.daemon.write_config()
        wait_until(lambda: self.value("retry.expires") == '"5h"', 15, "the change")
        refused = self.metric('sluice_config_reloads_total{result="refused"}')
        self.daemon.config["retry"]["expires"] = "never"
        self.daemon.write_config()
        wait_until(lambda: self.metric('sluice_config_reloads_total{result="refused"}') == refused + 1, 15, "the refusal")
        self.assertEqual(self.value("retry.expires"), '"5h"')

    def test_a_hangup_and_a_command_at_once_both_end(self):
        done = self.metric('sluice_config_reloads_total{result="ok"}')
        for _ in range(3):
            self.daemon.process.child.send_signal(signal.SIGHUP)
        self.reload()
        wait_until(lambda: self.metric('sluice_config_reloads_total{result="ok"}') >= done + 2, 15, "both")


class ReloadUnderLoad(WholeRun):
    """Whatever is changed while mail flows, each delivery ends once."""

    daemon_settings = {"delivery": {"connections": 5}}

    def test_nothing_is_lost_and_nothing_goes_twice(self):
        names = [f"{kind}{n}@{domain}.test" for n in range(1500) for kind, domain in (("a", "one"), ("b", "two"), ("c", "next"))]
        self.daemon.submit(mail(names))
        stop = threading.Event()
        def configs():
            while True:
                for change in ({"delivery": {"connections": 2}},
                               {"provider": [{"name": "p", "mx_suffix": [".one.test"], "tls": "none"}]},
                               {"domain": [{"name": "two.test", "route": [f"[{RECEIVER}]:{self.world.mail_port}"]}]},
                               {"source": [{"name": "a", "address": IP1}, {"name": "b", "address": IP2}]},
                               {"source": [{"name": "b", "address": IP2, "weight": 3}], "delivery": {"connections": 9}},
                               {"provider": [{"name": "q", "mx_suffix": [".next.test"], "connections": 1}],
                                "tenant": [{"name": "default", "weight": 7}]}):
                    yield change
        reloads = 0
        plain = copy.deepcopy(self.daemon.config)
        for change in configs():
            if self.received() >= len(names) or reloads > 400:
                break
            self.daemon.config = copy.deepcopy(plain)
            for section, values in change.items():
                if isinstance(values, dict):
                    self.daemon.config[section].update(values)
                else:
                    self.daemon.config[section] = values
            self.daemon.write_config()
            status, _, body = self.daemon.request("POST", "/v1/reload")
            self.assertEqual(status, 200, body)
            reloads += 1
            stop.wait(0.03)
        self.daemon.settled(len(names), 60)
        self.assertGreater(reloads, 10)
        self.assertEqual(sorted(self.world.receiver.recipients()), sorted(names))
        self.assert_complete(self.daemon.events())
        self.assertEqual(sum(counts["open"] for counts in ledger(self.daemon).values()), 0)

    def received(self):
        return len(self.world.receiver.messages())
