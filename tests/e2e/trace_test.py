"""sluice trace: conversations while they go on, by filter, without contents and secrets."""

import json
import subprocess

import jsonschema
import yaml

from harness import BINARY, ROOT, Process, WholeRun, mail, wait_until


class Trace(WholeRun):
    daemon_settings = {"retry": {"schedule": ["1h"], "expires": "2h"}}

    def tracing(self, name, *words):
        """A `sluice trace` that has its place already: nothing of what is sent now can be missed."""
        traced = Process(name, [BINARY, "trace", "--server", f"127.0.0.1:{self.daemon.http_port}", *words], self.world.folder)
        self.addCleanup(traced.end)
        return traced

    def heard(self, traced, sends, until):
        """What it printed once `until` stands in it. Sends until then: a look begins when it begins."""
        number = 0
        def there():
            nonlocal number
            number += 1
            sends(number)
            return until in traced.text()
        wait_until(there, 30, f"{until} in what {traced.name} heard", every=0.3)
        return traced.text()

    def test_a_domains_conversations_and_no_others(self):
        traced = self.tracing("by-domain", "--domain", "ONE.test")
        def send(n):
            self.daemon.submit(mail([f"d{n}@one.test", f"r550-d{n}@one.test"], text="the text of the mail\n"))
            self.daemon.submit(mail(f"other{n}@old.test"))
        text = self.heard(traced, send, "< 550")
        self.assertIn("> MAIL FROM:<bounce@news.example>", text)
        self.assertRegex(text, r"> RCPT TO:<d\d+@one.test>")
        self.assertIn("mx.one.test [127.60.1.1] site mx.one.test", text)
        self.assertIn("octets of content were sent", text)
        self.assertNotIn("the text of the mail", text)
        self.assertNotIn("old.test", text)

    def test_a_host_that_cannot_be_reached_says_so_there(self):
        traced = self.tracing("dead", "--host", "mx.dead.test")
        text = self.heard(traced, lambda n: self.daemon.submit(mail(f"x{n}@dead.test")), "connecting to")
        self.assertIn("[127.60.1.9]", text)
        wait_until(lambda: "refused" in traced.text(), 10, "why it failed")

    def test_lines_are_as_described_and_contents_shown_to_who_asks(self):
        traced = self.tracing("content", "--json", "--tenant", "seen", "--content")
        text = self.heard(traced, lambda n: self.daemon.submit(mail(f"c{n}@two.test", text="for your eyes only\n", tenant="seen")),
                          "for your eyes only")
        document = yaml.safe_load((ROOT / "ingest/openapi.yaml").read_text())
        resolver = jsonschema.RefResolver("", document)
        lines = [json.loads(line) for line in text.splitlines()]
        for line in lines:
            jsonschema.validate(line, document["components"]["schemas"]["TraceLine"], resolver=resolver)
        self.assertEqual({"we", "host", "content", "note"}, {line["who"] for line in lines})

    def test_it_ends_when_it_is_told_to(self):
        ended = subprocess.run([BINARY, "trace", "--server", f"unix:{self.world.folder}/sluice.sock", "--for", "300ms"],
                               capture_output=True, text=True, timeout=20)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
