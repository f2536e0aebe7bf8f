"""TLS to receivers: taken where it is offered, demanded where it must be, resumed, and never given up in silence."""

import re
import subprocess
import urllib.request

from harness import BINARY, Receiver, WholeRun, World, free_port, mail, wait_until

KINDS = {"good": "127.60.1.21", "expired": "127.60.1.22", "selfsigned": "127.60.1.23", "othername": "127.60.1.24",
         "broken": "127.60.1.25"}
PLAIN, RELAY = "127.60.1.1", "127.60.1.26"


class Certificates:
    """An authority and what it signs, made by the openssl command."""

    def __init__(self, folder):
        self.folder = folder
        self.openssl("req", "-x509", *self.new_key("ca.key"), "-out", "ca.pem", "-days", "30", "-subj", "/CN=test")

    def openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], cwd=self.folder, check=True, capture_output=True)

    @staticmethod
    def new_key(file):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", file]

    def issue(self, label, name, days=30, self_signed=False):
        """"certificate,key" as receiver.py takes it. Days below 0: it has expired."""
        files = [self.folder / f"{label}.pem", self.folder / f"{label}.key"]
        self.openssl("req", *self.new_key(files[1]), "-out", "request", "-subj", f"/CN={name}")
        (self.folder / "extensions").write_text(f"subjectAltName=DNS:{name}\n")
        signed_by = ["-signkey", files[1]] if self_signed else ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        self.openssl("x509", "-req", "-in", "request", *signed_by, "-days", days, "-extfile", "extensions",
                     "-out", files[0])
        return ",".join(map(str, files))


class TlsWorld(World):
    """Hosts whose certificates are good and bad. Three domains lead to each: one for each thing that can be demanded."""

    def __init__(self, name):
        zone = [f"--host-record=relay.test,{RELAY}"]
        for kind, ip in {**KINDS, "plain": PLAIN}.items():
            zone.append(f"--host-record=mx.{kind}.test,{ip}")
            zone += [f"--mx-host={rule}-{kind}.test,mx.{kind}.test,10" for rule in ("any", "required", "verified")]
        super().__init__(name, zone)
        made = Certificates(self.folder)
        self.authority = self.folder / "ca.pem"
        certificates = {"good": made.issue("good", "mx.good.test"),
                        "expired": made.issue("expired", "mx.expired.test", days=-1),
                        "selfsigned": made.issue("selfsigned", "mx.selfsigned.test", self_signed=True),
                        "othername": made.issue("othername", "mx.elsewhere.test"), "broken": "none"}
        self.hosts = {kind: self.host(KINDS[kind], "--tls", files) for kind, files in certificates.items()}
        self.hosts["plain"] = self.host(PLAIN)
        self.relay_port = free_port((RELAY,))
        self.relay = self.host(RELAY, "--tls", made.issue("relay", "relay.test"), "--auth", "ann:s3cret",
                               f"smtps://{RELAY}:{self.relay_port}")

    def host(self, ip, *words):
        receiver = Receiver(self.folder, self.mail_port, (ip,), words)
        self.others.append(receiver.process)
        return receiver


class Tls(WholeRun):
    @classmethod
    def setUpClass(cls):
        cls.world = TlsWorld("tls")
        cls.addClassCleanup(cls.finish)
        password = cls.world.folder / "password"
        password.write_text("s3cret\n")
        password.chmod(0o600)
        domains = [{"name": f"{rule}-{kind}.test", "tls": rule} for kind in cls.world.hosts
                   for rule in ("required", "verified")]
        routes = {"first.test": f"smtps://relay.test:{cls.world.relay_port}",
                  "upgraded.test": f"relay.test:{cls.world.mail_port}"}
        domains += [{"name": name, "route": [route], "auth_user": "ann", "auth_password_file": str(password)}
                    for name, route in routes.items()]
        cls.daemon = cls.world.daemon(delivery={"tls_ca_file": str(cls.world.authority), "messages_per_connection": 1},
                                      domain=domains).start()

    def attempt(self, to, **more):
        """The event of a mail's first attempt."""
        self.daemon.submit(mail(to, **more))
        def attempted():
            return [e for e in self.daemon.events() if e.get("to") == to and e["type"] != "accepted"]
        return wait_until(attempted, 30, f"an attempt at {to}")[0]

    def received(self, kind, to):
        return self.world.hosts[kind].received_by(to)

    def test_tls_is_taken_where_it_is_offered_and_the_event_says_how_good_it_is(self):
        levels = {"good": "verified", "expired": "encrypted", "selfsigned": "encrypted", "othername": "encrypted"}
        for kind, level in levels.items():
            with self.subTest(kind):
                event = self.attempt(f"a@any-{kind}.test")
                self.assertEqual(event["type"], "delivered")
                self.assertRegex(event["tls"], rf"^TLSv1\.3 TLS_[A-Z0-9_]+ {level}")
                self.assertEqual(self.received(kind, f"a@any-{kind}.test")[0]["tls"], "TLSv1.3")

    def test_where_a_valid_certificate_is_demanded_a_bad_one_defers_the_mail(self):
        for kind, reason in {"expired": "expired", "selfsigned": "self-signed", "othername": "mismatch"}.items():
            with self.subTest(kind):
                event = self.attempt(f"b@verified-{kind}.test")
                self.assertEqual((event["type"], event["stage"]), ("deferred", "tls"))
                self.assertIn(reason, event["reply"])
                self.assertEqual(self.received(kind, f"b@verified-{kind}.test"), [])
        self.assertEqual(self.attempt("b@verified-good.test")["type"], "delivered")

    def test_required_takes_any_certificate_and_never_plaintext(self):
        self.assertEqual(self.attempt("c@required-selfsigned.test")["type"], "delivered")
        for kind in ("plain", "broken"):
            with self.subTest(kind):
                event = self.attempt(f"c@required-{kind}.test")
                self.assertEqual((event["type"], event["stage"]), ("deferred", "tls"))
                self.assertEqual(self.received(kind, f"c@required-{kind}.test"), [])

    def test_a_host_whose_handshake_fails_gets_the_mail_in_plaintext_where_nobody_minds(self):
        event = self.attempt("d@any-broken.test")
        self.assertEqual(event["type"], "delivered")
        self.assertNotIn("tls", event)
        self.assertEqual(self.received("broken", "d@any-broken.test")[0]["tls"], "")

    def test_the_next_connection_resumes_the_session(self):
        self.attempt("e1@any-good.test")
        self.assertRegex(self.attempt("e2@any-good.test")["tls"], r"verified resumed$")

    def test_a_relay_is_logged_in_to_over_tls_and_no_log_has_the_password(self):
        for domain in ("first.test", "upgraded.test"):
            with self.subTest(domain):
                event = self.attempt(f"f@{domain}")
                self.assertEqual(event["type"], "delivered", event)
                self.assertIn("verified", event["tls"])
                self.assertEqual(len(self.world.relay.received_by(f"f@{domain}")), 1)
        for log in self.world.folder.glob("*.log"):
            self.assertNotRegex(log.read_text(errors="replace"), r"s3cret|AGFubg")

    def test_requiretls_bounces_where_the_host_does_not_offer_it(self):
        event = self.attempt("g@any-good.test", tls="required")
        self.assertEqual((event["type"], event["code"], event["enhanced"]), ("bounced", 550, "5.7.30"))
        self.assertEqual(self.received("good", "g@any-good.test"), [])

    def test_send_shows_the_conversation_within_tls(self):
        words = [BINARY, "send", "--config", self.world.folder / "sluice.toml", "--from", "a@b.test",
                 "--to", "h@any-good.test", "--subject", "x", "--text", "y"]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"TLS TLSv1\.3 \S+ verified")
        self.assertEqual(len(re.findall("C: EHLO", done.stdout)), 2)
        self.assertIn("C: MAIL FROM:<a@b.test>", done.stdout)
        self.assertEqual(len(self.received("good", "h@any-good.test")), 1)

    def test_handshakes_are_counted(self):
        self.attempt("j@any-good.test")
        page = f"http://127.0.0.1:{self.daemon.metrics_port}/metrics"
        text = urllib.request.urlopen(page, timeout=10).read().decode()
        self.assertRegex(text, r'sluice_tls_handshakes_total\{[^}]*result="verified"[^}]*\} [1-9]')


class SharedLimits(WholeRun):
    """Mail of two demands to the same host: no connection is shared, and the limit is."""

    daemon_settings = {"delivery": {"connections": 1}, "timeouts": {"idle": "30s"}}

    def test_an_idle_connection_gives_way_to_mail_that_it_may_not_carry(self):
        for number, more in enumerate([{}, {"tls": "optional"}, {}, {"tls": "optional"}]):
            to = f"a{number}@one.test"
            self.daemon.submit(mail(to, **more))
            entry = wait_until(lambda to=to: self.world.receiver.received_by(to), 10, f"{to} at the receiver")[0]
            self.assertEqual(entry["open"], 1, "connections at a time")

    def test_neither_demand_starves_and_the_limit_holds(self):
        first = [f"b{number}@one.test" for number in range(60)]
        second = [f"c{number}@one.test" for number in range(60)]
        for to_first, to_second in zip(first, second):
            self.daemon.submit(mail(to_first))
            self.daemon.submit(mail(to_second, tls="optional"))
        wanted = set(first + second)
        wait_until(lambda: wanted <= set(self.world.receiver.recipients()), 30, "all mail at the receiver")
        entries = [entry for entry in self.world.receiver.messages() if wanted & set(entry["to"])]
        self.assertEqual(len(entries), len(wanted))
        self.assertEqual({entry["open"] for entry in entries}, {1}, "connections at a time")
