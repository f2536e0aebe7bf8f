"""Suppression lists: at ingest, again before sending, by themselves, in and out."""

import hashlib
import json
import smtplib
import subprocess

from harness import BINARY, WholeRun, ledger, mail, wait_until


class Suppression(WholeRun):
    daemon_settings = {"suppression": {"bounces": ["invalid_recipient"]},
                       "tenant": [{"name": "s6", "suppressed_bounces": []}]}

    def put(self, *entries):
        body = "".join(json.dumps(entry) + "\n" for entry in entries)
        status, _, answer = self.daemon.request("POST", "/v1/suppressions", body,
                                                {"Content-Type": "application/x-ndjson"})
        return status, json.loads(answer)

    def sluice(self, *words):
        return subprocess.run([str(BINARY), "suppress", *words, "--server", f"127.0.0.1:{self.daemon.http_port}"],
                              capture_output=True, text=True, timeout=60)

    def listed(self, tenant="default"):
        status, _, body = self.daemon.request("GET", f"/v1/suppressions?tenant={tenant}")
        self.assertEqual(status, 200)
        return [json.loads(line) for line in body.splitlines()]

    def types(self, to):
        return [event["type"] for event in self.daemon.events(to=to)]

    def test_suppressed_recipients_are_accepted_and_ended_at_once(self):
        self.assertEqual(self.put({"address": "Gone.1@ONE.test", "reason": "asked us", "tenant": "s1"},
                                  {"address": "gone2@one.test", "tenant": "*"})[1]["added"], 2)
        status, answer = self.daemon.post(mail(["gone.1@one.test", "gone2@one.test", "here@one.test"], tenant="s1"))
        self.assertEqual((status, answer["accepted"], answer["suppressed"]), (202, 3, 2))
        wait_until(lambda: self.daemon.job(answer["job"])["open"] == 0, 20, "the job's end")
        counts = self.daemon.job(answer["job"])
        self.assertEqual((counts["delivered"], counts["suppressed"]), (1, 2))
        self.assertEqual(self.types("gone.1@one.test"), ["accepted", "suppressed"])
        other = self.daemon.submit(mail("gone.1@one.test", tenant="s2"))
        wait_until(lambda: self.daemon.job(other)["delivered"] == 1, 20, "another tenant's mail")
        answers = self.daemon.submit_lines([{k: v for k, v in mail("x@one.test", tenant="s1").items() if k != "recipients"},
                                            {"to": "gone.1@one.test"}, {"to": "here2@one.test"}])
        self.assertEqual((answers[-1]["accepted"], answers[-1]["suppressed"]), (2, 1))
        ledger(self.daemon)

    def test_an_entry_stops_mail_that_was_accepted_before_it_also_over_a_kill(self):
        hold = json.loads(self.daemon.request("POST", "/v1/suspensions", '{"tenant":"s3"}')[2])["suspension"]
        job = self.daemon.submit(mail([f"s3-{n}@one.test" for n in range(6)], tenant="s3"))
        self.assertEqual(self.put({"address": "s3-1@one.test", "tenant": "s3"})[0], 200)
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.put({"address": "s3-2@one.test", "tenant": "s3"})[0], 200)
        self.assertEqual(self.daemon.request("DELETE", f"/v1/suspensions/{hold}")[0], 200)
        wait_until(lambda: self.daemon.job(job)["open"] == 0, 30, "the job's end")
        self.assertEqual([self.daemon.job(job)[kind] for kind in ("delivered", "suppressed")], [4, 2])
        self.assertEqual(self.world.receiver.received_by("s3-1@one.test") + self.world.receiver.received_by("s3-2@one.test"), [])
        ledger(self.daemon)

    def test_a_hard_bounce_puts_its_recipient_on_the_list(self):
        first = self.daemon.submit(mail("r550-auto@one.test", tenant="s4"))
        wait_until(lambda: self.daemon.job(first)["bounced"] == 1, 20, "the bounce")
        entry = self.listed("s4")[0]
        self.assertEqual((entry["address"], entry["source"]), ("r550-auto@one.test", "bounce"))
        self.assertIn("5.1.1", entry["reason"])
        second = self.daemon.submit(mail("r550-auto@one.test", tenant="s4"))
        wait_until(lambda: self.daemon.job(second)["suppressed"] == 1, 20, "the second one's end")

    def test_a_tenant_has_its_own_say_on_bounces(self):
        first = self.daemon.submit(mail("r550-own@one.test", tenant="s6"))
        wait_until(lambda: self.daemon.job(first)["bounced"] == 1, 20, "the bounce")
        self.assertEqual(self.listed("s6"), [])

    def test_mail_by_smtp_is_ended_with_a_report_to_its_sender(self):
        self.put({"address": "s7@one.test"})
        with smtplib.SMTP("127.0.0.1", self.daemon.smtp_port) as client:
            client.sendmail("sender7@one.test", ["s7@one.test", "s7b@one.test"], "From: <sender7@one.test>\r\nSubject: x\r\n\r\nHello\r\n")
        wait_until(lambda: self.world.receiver.received_by("sender7@one.test"), 20, "the report")
        report = self.world.receiver.received_by("sender7@one.test")[0]["data"].decode()
        self.assertIn("s7@one.test", report)
        self.assertIn("suppression list", report)
        self.assertEqual(self.types("s7@one.test"), ["accepted", "suppressed"])
        wait_until(lambda: self.types("s7b@one.test") == ["accepted", "delivered"], 20, "the other one")
        self.assertEqual(self.world.receiver.received_by("s7@one.test"), [])

    def test_a_backup_has_the_lists_and_fsck_counts_them(self):
        self.put(*({"address": f"s8-{n}@one.test", "tenant": "s8"} for n in range(50)))
        target = self.world.folder / "suppression.backup"
        words = ["--server", f"127.0.0.1:{self.daemon.http_port}"]
        subprocess.run([BINARY, "backup", target, *words], check=True, capture_output=True, timeout=60)
        restored = self.world.folder / "suppression-restored.data"
        subprocess.run([BINARY, "restore", target, "--data-dir", restored], check=True, capture_output=True, timeout=60)
        second = self.world.daemon("suppression-restored", data_dir=restored)
        report = subprocess.run([BINARY, "fsck", "--config", second.write_config(), "--json"], check=True, capture_output=True, timeout=60)
        self.assertGreaterEqual(json.loads(report.stdout)["suppressions"], 50)
        second.start()
        status, answer = second.post(mail("s8-49@one.test", tenant="s8"))
        self.assertEqual((status, answer["suppressed"]), (202, 1))
        second.stop()

    def test_a_key_opens_only_its_own_tenants_list(self):
        daemon = self.world.daemon("suppression-keys", tenant=[
            {"name": name, "api_key_sha256": hashlib.sha256(f"key of {name}".encode()).hexdigest()} for name in ("k1", "k2")]).start()
        def ask(method, query="", *entries):
            status, _, body = daemon.request(method, "/v1/suppressions" + query, "".join(json.dumps(one) + "\n" for one in entries),
                                             {"Content-Type": "application/x-ndjson", "Authorization": "Bearer key of k1"})
            return status, body.decode()
        self.assertEqual(ask("POST", "", {"address": "a@one.test"})[0], 200)
        for other in ("k2", "*"):
            status, body = ask("POST", "", {"address": "a@one.test", "tenant": other})
            self.assertEqual((status, json.loads(body)["errors"][0]["code"]), (422, "tenant.other"))
            self.assertEqual(ask("GET", f"?tenant={other}")[0], 422)
            self.assertEqual(ask("DELETE", f"?tenant={other}&address=a@one.test")[0], 422)
        self.assertEqual([json.loads(line)["tenant"] for line in ask("GET")[1].splitlines()], ["k1"])
        daemon.stop()

    def test_lists_are_imported_exported_and_taken_from(self):
        file = self.world.folder / "list.csv"
        file.write_text("id,Email,Reason\n1,a@x.test,\"said \"\"no\"\"\"\n2,b@x.test,\n3,no address,\n")
        imported = self.sluice("import", str(file), "--tenant", "s5", "--reason", "old system")
        self.assertEqual(imported.returncode, 1, "one line was wrong")
        self.assertIn("added 2, rejected 1", imported.stdout)
        self.assertIn("line 4", imported.stderr)
        self.assertEqual([(one["address"], one["reason"]) for one in self.listed("s5")],
                         [("a@x.test", 'said "no"'), ("b@x.test", "old system")])
        exported = self.world.folder / "list.ndjson"
        self.assertEqual(self.sluice("export", str(exported), "--tenant", "s5").returncode, 0)
        self.assertEqual(self.sluice("remove", "B@x.test", "--tenant", "s5").returncode, 0)
        self.assertEqual(len(self.listed("s5")), 1)
        self.assertEqual(self.sluice("remove", "b@x.test", "--tenant", "s5").returncode, 1)
        self.assertIn("added 2", self.sluice("import", str(exported), "--tenant", "s5").stdout)
        self.assertEqual(len(self.listed("s5")), 2)
        self.assertIn("added 1", self.sluice("add", "c@x.test", "--tenant", "s5").stdout)
        one = self.daemon.request("GET", "/v1/suppressions?tenant=s5&address=C@X.test")[2]
        self.assertEqual(json.loads(one)["address"], "c@x.test")
        self.assertEqual(self.put({"adress": "a@x.test"})[0], 422)
