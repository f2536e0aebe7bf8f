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
