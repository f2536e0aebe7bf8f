"""What the receiver gets is what was handed in, byte by byte."""

import base64
import email
import email.policy
import random

from harness import WholeRun, mail, raw_job, settings, wait_until

MESSAGES = 1000
HEAD = (b"From: News <news@news.example>\r\nTo: %s\r\nSubject: message %d\r\n"
        b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d@news.example>\r\n")
EIGHT_BIT = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def varied_body(choose, number):
    """A body of one of the kinds that have broken mailers."""
    kinds = [
        lambda: b"",
        lambda: b"plain text\r\n",
        lambda: b".\r\n..\r\n.a\r\n...\r\n",
        lambda: b".\r\n",
        lambda: b"x" * 998 + b"\r\n",
        lambda: b"." * 998 + b"\r\n" + b"y" * 997 + b".\r\n",
        lambda: "Grüße aus Köln — 日本語 \U0001f600\r\n".encode() * choose.randint(1, 30),
        lambda: bytes(choose.choice(b"\t !\"#$%&.abcXYZ~") for _ in range(choose.randint(1, 900))) + b"\r\n",
        lambda: b"\r\n" * choose.randint(1, 50),
        lambda: b"\r\n.\r\n" + b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<b@one.test>\r\nDATA\r\n",
        lambda: b"".join(b"." * choose.randint(0, 3) + b"line %d\r\n" % n for n in range(choose.randint(1, 200))),
        lambda: b"trailing blanks   \r\n\t\r\nFrom here\r\n",
        lambda: bytes(choose.randint(1, 255) for _ in range(400)).replace(b"\r", b"?").replace(b"\n", b"?") + b"\r\n",
        lambda: (b"a" * 70 + b"\r\n") * choose.randint(1000, 2000),
    ]
    return kinds[number % len(kinds)]()


class Fidelity(WholeRun):
    def test_a_thousand_varied_messages_arrive_byte_by_byte(self):
        choose = random.Random(settings()["seed"])
        expected = {}
        for number in range(MESSAGES):
            to = f"m{number}@one.test"
            body = varied_body(choose, number)
            eight_bit = EIGHT_BIT if any(octet > 127 for octet in body) else b""
            expected[to] = HEAD % (to.encode(), number, number) + eight_bit + b"\r\n" + body
            self.daemon.submit(raw_job(expected[to], to))
        def mine():
            return [entry for entry in self.world.receiver.messages() if entry["to"][0] in expected]
        wait_until(lambda: len(mine()) >= MESSAGES, 120, "a thousand messages")
        got = {}
        for entry in mine():
            self.assertEqual(len(entry["to"]), 1)
            self.assertNotIn(entry["to"][0], got, "received twice")
            self.assertEqual(entry["from"], "bounce@news.example")
            got[entry["to"][0]] = entry["data"]
        self.assertEqual(set(got), set(expected))
        wrong = [to for to in expected if got[to] != expected[to]]
        for to in wrong[:3]:
            print(f"{to}: sent {expected[to][:300]!r}\n  got {got[to][:300]!r}")
        self.assertEqual(wrong, [])

    def test_a_message_without_a_last_line_end_is_completed(self):
        to = "unended@two.test"
        raw = HEAD % (to.encode(), 1, 1) + b"\r\nno line end"
        self.daemon.submit(raw_job(raw, to))
        entry = wait_until(lambda: self.world.receiver.received_by(to), 30, "the message")[0]
        self.assertEqual(entry["data"], raw + b"\r\n")

    def test_an_object_content_arrives_as_the_mail_it_describes(self):
        attachment = bytes(range(256)) * 20
        job = mail([{"to": "ann@two.test", "vars": {"name": "Änn & Co", "token": "t/1"}}])
        job["content"] = {
            "from": "News <news@news.example>", "subject": "Grüße, {{name}}!",
            "text": "Hello {{name}}\n.dot\n..two\n", "html": "<p>Hello {{name}} {{{name}}} {{who|you}}</p>\n",
            "headers": {"List-Unsubscribe": "<https://news.example/u/{{token}}>"},
            "attachments": [{"filename": "Bücher.bin", "type": "application/octet-stream",
                             "data": base64.b64encode(attachment).decode()}]}
        self.daemon.submit(job)
        entry = wait_until(lambda: self.world.receiver.received_by("ann@two.test"), 30, "the message")[0]
        got = email.message_from_bytes(entry["data"], policy=email.policy.default)
        self.assertEqual(got["Subject"], "Grüße, Änn & Co!")
        self.assertEqual(got["From"], "News <news@news.example>")
        self.assertEqual(got["To"].addresses[0].display_name, "Änn & Co")
        self.assertEqual(got["To"].addresses[0].addr_spec, "ann@two.test")
        self.assertEqual(got["List-Unsubscribe"], "<https://news.example/u/t/1>")
        self.assertIsNotNone(got["Date"])
        self.assertIsNotNone(got["Message-ID"])
        self.assertEqual(got.get_body(("plain",)).get_content().replace("\r\n", "\n"),
                         "Hello Änn & Co\n.dot\n..two\n")
        self.assertEqual(got.get_body(("html",)).get_content().replace("\r\n", "\n"),
                         "<p>Hello Änn &amp; Co Änn & Co you</p>\n")
        parts = list(got.iter_attachments())
        self.assertEqual([part.get_filename() for part in parts], ["Bücher.bin"])
        self.assertEqual(parts[0].get_content(), attachment)
        for line in entry["data"].split(b"\r\n"):
            self.assertLessEqual(len(line), 998)

    def test_a_message_of_ten_megabytes_arrives_whole(self):
        to = "big@two.test"
        raw = HEAD % (to.encode(), 2, 2) + b"\r\n" + (b"." + b"z" * 75 + b"\r\n") * 135_000
        self.daemon.submit(raw_job(raw, to))
        entry = wait_until(lambda: self.world.receiver.received_by(to), 60, "the message")[0]
        self.assertEqual(len(entry["data"]), len(raw))
        self.assertTrue(entry["data"] == raw)
