"""Submission by strangers: TLS, logins, keys."""

import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import postfix  # noqa: E402

from harness import BINARY, World, WholeRun, free_port, mail, wait_until

RAW = (b"From: a@news.example\r\nTo: s@one.test\r\nSubject: in by SMTP\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
       b"Message-ID: <in@news.example>\r\n%s\r\nhello\r\n")
PASSWORD = "correct horse"


def hash_of(password):
    made = subprocess.run([BINARY, "password", "--json"], input=password + "\n", capture_output=True, text=True, check=True)
    return json.loads(made.stdout)["password_hash"]


class Login(WholeRun):
    @classmethod
    def setUpClass(cls):
        cls.world = World(cls.__name__.lower())
        cls.addClassCleanup(cls.finish)
        cls.world.start_receiver()
        cls.smtps_port, cls.https_port = free_port(), free_port()
        cls.hash = hash_of(PASSWORD)
        cls.certificate, key = cls.world.folder / "cert.pem", cls.world.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", str(key), "-out", str(cls.certificate)], check=True, capture_output=True)
        cls.daemon = cls.world.daemon(
            listen={"smtp_trusted": []},
            tls={"certificate": str(cls.certificate), "key": str(key)},
            tenant=[{"name": "acme", "api_key_sha256": hashlib.sha256(b"key-a").hexdigest()},
                    {"name": "beta", "api_key_sha256": hashlib.sha256(b"key-b").hexdigest()}],
            credential=[{"user": "acme-web", "password_hash": cls.hash, "tenant": "acme"}])
        cls.daemon.config["listen"]["smtp"].append(f"tls:127.0.0.1:{cls.smtps_port}")
        cls.daemon.config["listen"]["http"].append(f"tls:127.0.0.1:{cls.https_port}")
        cls.daemon.start()

    def tls(self):
        return ssl.create_default_context(cafile=str(self.certificate))

    def client(self):
        client = smtplib.SMTP("localhost", self.daemon.smtp_port, "client.test", timeout=30)
        self.addCleanup(client.close)
        return client

    def delivered(self, to):
        return wait_until(lambda: self.world.receiver.received_by(to), 30, to)[0]

    def test_a_framework_submits_with_starttls_and_a_password(self):
        client = self.client()
        client.starttls(context=self.tls())
        client.login("acme-web", PASSWORD)
        client.sendmail("a@news.example", ["l1@one.test"], RAW % b"")
        data = self.delivered("l1@one.test")["data"]
        self.assertIn(b"with ESMTPSA id", data)
        self.assertNotIn(b"127.0.0.1", data[:data.index(b"\r\n\r\n")])
        status, _, events = self.daemon.request("GET", "/v1/events?to=l1@one.test", headers={
            "Authorization": "Bearer key-a"})
        self.assertEqual(status, 200)
        self.assertEqual({json.loads(line)["tenant"] for line in events.splitlines()}, {"acme"})

    def test_tls_from_the_first_octet(self):
        client = smtplib.SMTP_SSL("localhost", self.smtps_port, "client.test", timeout=30, context=self.tls())
        self.addCleanup(client.close)
        client.user, client.password = "acme-web", PASSWORD
        client.ehlo()
        client.auth("LOGIN", client.auth_login, initial_response_ok=False)
        for n in range(20):
            client.sendmail("a@news.example", [f"l2-{n}@one.test"], RAW % b"")
        client.quit()
        for n in range(20):
            self.delivered(f"l2-{n}@one.test")

    def test_nobody_relays_without_a_login(self):
        client = self.client()
        client.ehlo()
        self.assertEqual(client.mail("a@news.example")[0], 530)
        client.starttls(context=self.tls())
        client.ehlo()
        self.assertEqual(client.mail("a@news.example")[0], 530)
        with self.assertRaises(smtplib.SMTPAuthenticationError) as wrong:
            client.login("acme-web", "wrong")
        self.assertEqual(wrong.exception.smtp_code, 535)
        self.assertEqual(client.mail("a@news.example")[0], 530)

    def test_a_login_speaks_for_its_own_tenant(self):
        client = self.client()
        client.starttls(context=self.tls())
        client.login("acme-web", PASSWORD)
        with self.assertRaises(smtplib.SMTPDataError) as refused:
            client.sendmail("a@news.example", ["l3@one.test"], RAW % b"X-Sluice-Tenant: beta\r\n")
        self.assertIn(b"another tenant", refused.exception.smtp_error)

    def test_http_asks_for_a_key_but_not_on_the_unix_socket(self):
        job = json.dumps(mail("l4@one.test"))
        kind = {"Content-Type": "application/json"}
        self.assertEqual(self.daemon.request("POST", "/v1/messages", job, kind)[0], 401)
        self.assertEqual(self.daemon.request("POST", "/v1/messages", job, {
            **kind, "Authorization": "Bearer key-a"})[0], 202)
        self.delivered("l4@one.test")
        self.assertEqual(self.daemon.request("GET", "/v1/status", headers={"Authorization": "Bearer key-a"})[0], 403)
        status = subprocess.run([BINARY, "status", "--json", "--server", f"unix:{self.world.folder}/sluice.sock"],
                                capture_output=True, text=True, timeout=30)
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn("acme", json.loads(status.stdout)["tenants"])

    def test_http_over_tls(self):
        with socket.create_connection(("localhost", self.https_port), 10) as plain:
            with self.tls().wrap_socket(plain, server_hostname="localhost") as secured:
                job = json.dumps(mail("l5@one.test")).encode()
                secured.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                b"Authorization: Bearer key-b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                                % (len(job), job))
                self.assertIn(b"HTTP/1.1 202", secured.recv(4096))
        self.delivered("l5@one.test")

    @unittest.skipUnless(shutil.which("swaks"), "the package swaks is not installed")
    def test_swaks_submits_by_every_mechanism(self):
        for mechanism in ("PLAIN", "LOGIN"):
            for transport in (["--tls", "--port", str(self.daemon.smtp_port)],
                              ["--tlsc", "--port", str(self.smtps_port)]):
                to = f"swaks-{mechanism}-{transport[0].strip('-')}@one.test".lower()
                ran = subprocess.run(["swaks", "--server", "127.0.0.1", *transport, "--auth", mechanism, "--auth-user",
                                      "acme-web", "--auth-password", PASSWORD, "--from", "a@news.example", "--to", to],
                                     capture_output=True, text=True, timeout=60)
                self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
                self.delivered(to)

    @unittest.skipIf(postfix.unavailable(), "no Postfix can be run here")
    def test_a_postfix_relays_through_us(self):
        port, messages = free_port(), 200
        relay = postfix.Postfix(self.world.folder, "relay", f"127.0.0.1:{port}", f"""
relayhost = [localhost]:{self.daemon.smtp_port}
smtp_host_lookup = native
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = static:{{acme-web:{PASSWORD}}}
smtp_sasl_security_options = noanonymous
smtp_tls_security_level = verify
smtp_tls_verify_cert_match = nexthop
smtp_tls_CAfile = {self.certificate}
smtpd_recipient_restrictions = permit_mynetworks, reject
""")
        self.addCleanup(relay.end)
        subprocess.run(["/usr/sbin/smtp-source", "-N", "-m", str(messages), "-s", "5", "-f", "a@news.example",
                        "-t", "relayed@one.test", f"127.0.0.1:{port}"], check=True, timeout=60, capture_output=True)
        def arrived():
            return [to for to in self.world.receiver.recipients() if "relayed@" in to]
        try:
            wait_until(lambda: len(arrived()) >= messages, 60, "what Postfix relays")
        except AssertionError:
            raise AssertionError(relay.text()[-4000:]) from None
        self.assertEqual(len(set(arrived())), messages, "each once")
        self.assertNotIn("status=bounced", relay.text())

    def test_a_crash_leaves_no_core_unless_it_is_asked_for(self):
        def crash(**node):
            daemon = self.world.daemon("crash", node=node)
            previous = resource.getrlimit(resource.RLIMIT_CORE)
            resource.setrlimit(resource.RLIMIT_CORE, (previous[1], previous[1]))
            try:
                daemon.start()
            finally:
                resource.setrlimit(resource.RLIMIT_CORE, previous)
            os.kill(daemon.process.child.pid, signal.SIGSEGV)
            status = os.waitpid(daemon.process.child.pid, 0)[1]
            daemon.process.output.close()
            return os.WCOREDUMP(status)
        self.assertFalse(crash())
        if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
            self.skipTest("no core file is allowed here")
        self.assertTrue(crash(core_dumps=True))

    def test_no_secret_is_logged(self):
        text = self.daemon.process.text()
        for secret in (PASSWORD, self.hash, "key-a", "key-b"):
            self.assertNotIn(secret, text)
