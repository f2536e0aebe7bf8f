"""DKIM over the bytes that a receiver got, judged by dkimpy; and what a receiver without 8BITMIME gets."""

import email
import email.policy
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile

import dkim

from harness import BINARY, WholeRun, wait_until

UTF8_MAIL = ("From: Jörg <a@signed.test>\r\nTo: x@old.test\r\nSubject: grüße\r\n"
             "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
             "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
             "Grüße = Gruß \r\n.\r\n" + "lang " * 60 + "\r\n--b\r\n"
             "Content-Type: application/octet-stream; name=\"ä.bin\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
             "\u00ff\u00fe\r\n--b--\r\n").encode()


def make_key(path, *words):
    subprocess.run(["openssl", "genpkey", "-out", str(path), *words], check=True, capture_output=True)
    path.chmod(0o600)


class Dkim(WholeRun):
    @classmethod
    def setUpClass(cls):
        cls.keys = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e-keys-"))
        cls.addClassCleanup(shutil.rmtree, cls.keys, ignore_errors=True)
        for name in ("one", "two"):
            make_key(cls.keys / f"{name}.pem", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        make_key(cls.keys / "ed.pem", "-algorithm", "ED25519")
        cls.entries = [
            {"domain": "signed.test", "selector": "s1", "key": str(cls.keys / "one.pem")},
            {"domain": "signed.test", "selector": "e1", "key": str(cls.keys / "ed.pem")},
            {"domain": "below.test", "selector": "s1", "key": str(cls.keys / "one.pem"), "signs": "subdomains"},
            {"domain": "acme.test", "selector": "s1", "key": str(cls.keys / "one.pem"), "tenant": "acme"},
        ]
        cls.daemon_settings = {"dkim": cls.entries}
        super().setUpClass()
        cls.records = {}
        cls.learn_records()

    @classmethod
    def learn_records(cls):
        """The DNS as `sluice check` says that it should be."""
        checked = subprocess.run([str(BINARY), "check", "--json", "--offline", "--config", str(cls.daemon.write_config())],
                                 capture_output=True, text=True, check=False)
        for finding in json.loads(checked.stdout)["findings"]:
            if "record" in finding:
                name, text = finding["record"].split(" TXT ")
                cls.records[name] = text.strip('"').encode()

    def dns(self, name, timeout=5):
        return self.records.get(name.decode().rstrip("."))

    def delivered(self, to):
        return wait_until(lambda: self.world.receiver.received_by(to), 30, to)[0]["data"]

    def raw(self, to, mail, tenant="default"):
        status, _, body = self.daemon.request("POST", f"/v1/messages?from=b@signed.test&to={to}&tenant={tenant}", mail,
                                              {"Content-Type": "message/rfc822"})
        self.assertEqual(status, 202, body)
        return self.delivered(to)

    def signers(self, data):
        """Domain and selector of each signature; all of them must hold."""
        found = []
        count = len(email.message_from_bytes(data).get_all("DKIM-Signature") or [])
        for index in range(count):
            judge = dkim.DKIM(data)
            self.assertTrue(judge.verify(index, dnsfunc=self.dns), data)
            found.append((judge.domain.decode(), judge.selector.decode()))
        return found

    def test_both_signatures_hold_whatever_the_mail_is(self):
        job = {"from": "b@signed.test", "recipients": [
            {"to": f"j{n}@one.test", "vars": {"name": "ü " * n, "token": str(n)}} for n in range(20)]}
        job["content"] = {"from": "Nachrichten für Sie <news@signed.test>", "subject": "Hallo {{name}}", "text": "{{name}}\n\n \n",
                          "html": "<p>{{name}}</p>\n" * 30,
                          "headers": {"List-Unsubscribe": "<https://signed.test/u/{{token}}>",
                                      "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}}
        self.daemon.submit(job)
        for n in range(20):
            self.assertEqual(self.signers(self.delivered(f"j{n}@one.test")), [("signed.test", "s1"), ("signed.test", "e1")])
        head = b"From: a@signed.test\r\nX-Fold: a\r\n\t b\r\nReferences: <1@x>\r\n <2@x>\r\n\r\n"
        for n, body in enumerate((b"", b"\r\n\r\n", b"a  b\t c \r\n\r\n \r\n", b".\r\n..x\r\n", b"x" * 990 + b"\r\n" + b" y" * 400,
                                  "ünï\r\n".encode() * 2000)):
            self.assertEqual(len(self.signers(self.raw(f"r{n}@one.test", head + body))), 2)

    def test_unsubscribe_and_the_shown_fields_cannot_be_added(self):
        data = self.raw("add@one.test", b"From: a@signed.test\r\n\r\nhi\r\n")
        for field in (b"From: b@evil.test", b"Subject: other", b"To: y@x.test", b"List-Unsubscribe: <https://evil.test/>"):
            self.assertFalse(dkim.DKIM(field + b"\r\n" + data).verify(0, dnsfunc=self.dns), field)

    def test_one_mail_for_many_is_signed_once(self):
        job = {"from": "b@signed.test", "recipients": [{"to": f"m{n}@{d}.test"} for n in range(120) for d in ("one", "two")],
               "content": {"raw": "From: a@signed.test\r\nSubject: to all\r\n\r\nsame\r\n"}}
        self.daemon.submit(job)
        wait_until(lambda: sum(b"to all" in entry["data"] for entry in self.world.receiver.messages()
                               for _ in entry["to"]) >= 240, 30, "all of them")
        mails = {entry["data"] for entry in self.world.receiver.messages() if b"to all" in entry["data"]}
        self.assertLessEqual(len(mails), 2)  # a shard signs for itself
        for mail in mails:
            self.assertEqual(len(self.signers(mail)), 2)

    def test_who_signs_is_a_matter_of_from_and_tenant(self):
        text = b"\r\nSubject: x\r\n\r\nhi\r\n"
        self.assertEqual(self.signers(self.raw("w1@one.test", b"From: a@other.test" + text)), [])
        self.assertEqual(self.signers(self.raw("w2@one.test", b"From: a@sub.signed.test" + text)), [])
        self.assertEqual(self.signers(self.raw("w3@one.test", b"From: a@sub.below.test" + text)), [("below.test", "s1")])
        self.assertEqual(self.signers(self.raw("w4@one.test", b"From: a@acme.test" + text)), [])
        self.assertEqual(self.signers(self.raw("w5@one.test", b"From: a@acme.test" + text, "acme")), [("acme.test", "s1")])

    def test_an_old_receiver_gets_the_same_in_ascii_and_signed(self):
        data = self.raw("o1@old.test", UTF8_MAIL)
        data.decode("ascii")
        self.assertEqual(len(self.signers(data)), 2)
        got, sent = (email.message_from_bytes(mail, policy=email.policy.default) for mail in (data, UTF8_MAIL))
        self.assertEqual(got["Subject"], "grüße")
        self.assertEqual(got["From"].addresses[0].display_name, "Jörg")
        for one, other in zip(got.walk(), sent.walk()):
            self.assertEqual(one.get_content_type(), other.get_content_type())
            self.assertEqual(one.get_payload(decode=True), other.get_payload(decode=True))
        self.assertEqual([part.get_filename() for part in got.walk()][2], "ä.bin")

    def test_what_cannot_be_converted_bounces_with_words(self):
        mail = (b"From: a@signed.test\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xc3\xbc\r\n--b\r\n"
                b"Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n")
        self.daemon.request("POST", "/v1/messages?from=b@signed.test&to=o2@old.test", mail, {"Content-Type": "message/rfc822"})
        event = wait_until(lambda: self.daemon.events(to="o2@old.test", type="bounced"), 30, "the bounce")[0]
        self.assertEqual(event["enhanced"], "5.6.3")

    def test_keys_are_read_anew_at_a_hangup_and_a_bad_file_changes_nothing(self):
        def reload(word):
            before = self.daemon.process.text().count(word)
            self.daemon.process.child.send_signal(signal.SIGHUP)
            wait_until(lambda: self.daemon.process.text().count(word) > before, 10, word)
        text = b"From: a@late.test\r\n\r\nhi\r\n"
        self.assertEqual(self.signers(self.raw("k1@one.test", text)), [])
        self.entries.append({"domain": "late.test", "selector": "s9", "key": str(self.keys / "late.pem")})
        self.daemon.write_config()
        reload("reload_refused")
        self.assertIn("late.pem", self.daemon.process.text())
        make_key(self.keys / "late.pem", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        reload("daemon.reloaded")
        self.learn_records()
        self.assertEqual(self.signers(self.raw("k2@one.test", text)), [("late.test", "s9")])
        shutil.copy(self.keys / "two.pem", self.keys / "late.pem")
        reload("daemon.reloaded")
        self.learn_records()
        self.assertEqual(self.signers(self.raw("k3@one.test", text)), [("late.test", "s9")])
        output = self.daemon.process.text()
        for line in (self.keys / "two.pem").read_text().splitlines()[1:-1]:
            self.assertNotIn(line, output)
