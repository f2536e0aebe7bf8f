"""The command line against a running daemon."""

import json
import subprocess

from harness import BINARY, WholeRun, free_port, mail, wait_until


class CommandLine(WholeRun):
    def run_sluice(self, *words):
        return subprocess.run([BINARY, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              check=False)

    def server(self):
        return "--server", f"127.0.0.1:{self.daemon.http_port}"

    def test_a_file_is_submitted_and_its_events_are_read(self):
        path = self.world.folder / "jobs.ndjson"
        head = {key: value for key, value in mail("x@one.test").items() if key != "recipients"}
        path.write_text("".join(json.dumps(line) + "\n"
                                for line in [head] + [{"to": f"cli{n}@one.test"} for n in range(300)]))
        done = self.run_sluice("submit", str(path), *self.server())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("300", done.stdout + done.stderr)
        wait_until(lambda: sum(to.startswith("cli") for to in self.world.receiver.recipients()) == 300, 60, "the mail")
        wait_until(lambda: self.daemon.events(to="cli7@one.test", type="delivered"), 30, "its event")
        told = self.run_sluice("events", "--json", "--after", "0", "--to", "cli7@one.test", *self.server())
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertEqual([json.loads(line)["type"] for line in told.stdout.splitlines()], ["accepted", "delivered"])

    def test_status_says_what_the_api_says(self):
        done = self.run_sluice("status", "--json", *self.server())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["node"], "out1.e2e.test")
        for_people = self.run_sluice("status", *self.server())
        self.assertEqual(for_people.returncode, 0)
        self.assertNotIn("\x1b", for_people.stdout, "no colour where there is no terminal")

    def test_one_mail_is_sent_without_the_daemon_and_the_conversation_shown(self):
        done = self.run_sluice("send", "--config", str(self.daemon.folder / "sluice.toml"), "--from",
                               "a@news.example", "--to", "direct@two.test", "--subject", "direct", "--text", "hello")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("RCPT TO:<direct@two.test>", done.stdout + done.stderr)
        self.assertEqual(len(self.world.receiver.received_by("direct@two.test")), 1)

    def test_wrong_use_is_status_2_and_a_failure_1(self):
        wrong = self.run_sluice("statsu")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("status", wrong.stderr)
        dead = self.run_sluice("status", "--server", f"127.0.0.1:{free_port()}")
        self.assertEqual(dead.returncode, 1)
        self.assertEqual(len(dead.stderr.strip().splitlines()), 1, dead.stderr)

    def test_top_and_the_lists_say_what_the_api_says(self):
        job = self.daemon.submit(mail([f"r451-top{n}@one.test" for n in range(3)], campaign="top"))
        wait_until(lambda: self.daemon.job(job)["deferrals"] >= 3, 30, "the deferrals")
        top = self.run_sluice("top", "--once", *self.server())
        self.assertEqual(top.returncode, 0, top.stderr)
        for words in ("out1.e2e.test", "accepting", "open ", "PROVIDER"):
            self.assertIn(words, top.stdout)
        self.assertNotIn("\x1b", top.stdout)
        self.assertTrue(all(len(line) <= 80 for line in top.stdout.splitlines()), top.stdout)
        as_json = self.run_sluice("top", "--once", "--json", *self.server())
        self.assertEqual(json.loads(as_json.stdout)["node"], "out1.e2e.test")
        no_terminal = self.run_sluice("top", *self.server())
        self.assertEqual((no_terminal.returncode, "--once" in no_terminal.stderr), (1, True))
        for words, wanted in ((("queue",), "one.test"), (("sites",), "mx.one.test"), (("providers",), "default"),
                              (("jobs", "--campaign", "top"), job)):
            done = self.run_sluice(*words, *self.server())
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(wanted, done.stdout)
            self.assertIsInstance(json.loads(self.run_sluice(*words, "--json", *self.server()).stdout), dict)

    def test_why_tells_what_became_of_mail_and_what_it_waits_for(self):
        job = self.daemon.submit(mail(["r550-why@one.test", "why@one.test"]))
        wait_until(lambda: self.daemon.job(job)["open"] == 0, 30, "their ends")
        by_address = self.run_sluice("why", "r550-why@one.test", *self.server())
        self.assertEqual(by_address.returncode, 0, by_address.stderr)
        self.assertIn("bounced", by_address.stdout)
        self.assertIn("550", by_address.stdout)
        by_id = self.run_sluice("why", f"{job}-1", *self.server())
        self.assertIn("to why@one.test", by_id.stdout)
        self.assertIn("delivered", by_id.stdout)
        waits = self.daemon.submit(mail("why@dead.test"))
        wait_until(lambda: self.daemon.job(waits)["deferrals"] > 0, 60, "a deferral")
        self.assertIn("It waits for ", self.run_sluice("why", "why@dead.test", *self.server()).stdout)
        unknown = self.run_sluice("why", "nobody@one.test", *self.server())
        self.assertEqual((unknown.returncode, "nothing is known" in unknown.stderr), (1, True), unknown.stderr)

    def test_events_of_the_last_minutes_by_type(self):
        job = self.daemon.submit(mail(["r550-ev1@one.test", "ev2@one.test"], campaign="since"))
        wait_until(lambda: self.daemon.job(job)["open"] == 0, 30, "their ends")
        told = self.run_sluice("events", "--json", "--since", "5m", "--type", "bounced", "--campaign", "since", *self.server())
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertEqual([json.loads(line)["to"] for line in told.stdout.splitlines()], ["r550-ev1@one.test"])
        self.assertEqual(self.run_sluice("events", "--since", "2031-01-01T00:00:00Z", *self.server()).stdout, "")

    def test_bash_completes_commands_options_and_pages_are_read_by_man(self):
        script = self.world.folder / "completion.bash"
        script.write_text(self.run_sluice("completion", "bash").stdout)
        def completed(*words):
            line = " ".join(f"'{word}'" for word in words)
            done = subprocess.run(["bash", "-c", f". {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _sluice; "
                                   "printf '%s\\n' \"${COMPREPLY[@]}\""], capture_output=True, text=True, timeout=20, check=True)
            return done.stdout.split()
        self.assertEqual(completed("sluice", "prov"), ["providers"])
        self.assertEqual(completed("sluice", "events", "--sin"), ["--since"])
        for words in (("man",), ("man", "queue"), ("man", "sluice.toml")):
            page = self.run_sluice(*words)
            self.assertTrue(page.stdout.startswith(".TH SLUICE"), page.stdout[:200])
