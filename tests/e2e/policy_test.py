"""What TLS a delivery demands: DANE by a validating resolver, MTA-STS by policy hosts, and that nothing goes in the clear
where one of them forbids it."""

import datetime
import gzip
import json
import subprocess

from harness import BINARY, WholeRun, mail, wait_until
from secure_world import POLICY_HOST, SecureWorld

BROKEN = ("stripped", "refused", "garbage", "cut")


def ip_of(number):
    return f"127.60.2.{number}"


class PolicyRun(WholeRun):
    """Domains of signed.test, unsigned.test, forged.test and sts.test, each with mail hosts of its own."""

    forged = {}  # by zone: what is changed behind the signatures, and into what

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(cls.finish)
        cls.world = SecureWorld(cls.__name__.lower())
        world, authority = cls.world, cls.world.authority
        cls.places, cls.records = [], {zone: [] for zone in ("signed.test", "unsigned.test", "forged.test", "sts.test")}
        cls.hosts = {}
        cls.trusted = authority.make("trusted", ["*.signed.test", "*.sts.test"], signer=authority)
        cls.own = authority.make("own", ["other.example"], days=-1)
        cls.describe()
        world.start_resolver({zone: (records, "unsigned" if zone in ("unsigned.test", "sts.test") else "signed",
                                     cls.forged.get(zone)) for zone, records in cls.records.items()})
        world.start_mail_hosts(cls.places)
        if cls.hosts:
            world.start_policy_hosts(cls.hosts)
        cls.daemon = world.daemon(retry={"schedule": ["1s"], "expires": "1h"}).start()

    @classmethod
    def host(cls, zone, name, mode="tls", cert=None, tlsa=(), preference=10, mx=None):
        """A domain's mail host at an address of its own; `tlsa` as texts."""
        number = len(cls.places) + 1
        cert, key = cert or cls.own
        cls.places.append({"ip": ip_of(number), "mode": mode, "cert": cert, "key": key})
        mx = mx or f"mx-{name}"
        cls.records[zone] += [f"{name} MX {preference} {mx}", f"{mx} A {ip_of(number)}"]
        cls.records[zone] += [f"_{cls.world.mail_port}._tcp.{mx} TLSA {text}" for text in tlsa]

    def attempt(self, domain, to="x"):
        """The first event that tells how a mail to that domain went."""
        address = f"{to}@{domain}"
        job = self.daemon.submit(mail(address, expires_in="1h"))

        def told():
            return [e for e in self.daemon.events() if e.get("job") == job and e["type"] != "accepted"]
        return wait_until(told, 30, f"an attempt at {address}")[0]

    def assert_sent_over(self, domain, level):
        event = self.attempt(domain)
        self.assertEqual(event["type"], "delivered", event)
        got = self.world.received(f"x@{domain}")
        self.assertEqual(len(got), 1)
        if level == "plain":
            self.assertIsNone(got[0]["tls"])
        else:
            self.assertTrue(got[0]["tls"])
            self.assertIn(level, event["tls"].split())
        return event

    def assert_waits(self, domain, word, stage="tls"):
        event = self.attempt(domain)
        self.assertEqual((event["type"], event["stage"]), ("deferred", stage), event)
        self.assertIn(word, event["reply"])
        self.assertEqual(self.world.received(f"x@{domain}"), [])
        return event


class Dane(PolicyRun):
    forged = {"signed.test": ("(?i)" + "ab" * 32, "cd" * 32), "forged.test": (r"127\.60\.2\.250", "127.60.2.249")}

    @classmethod
    def describe(cls):
        digest = cls.world.authority.digest
        right, wrong = f"3 1 1 {digest(cls.own[0], 1)}", "3 1 1 " + "00" * 32
        cls.host("signed.test", "match", tlsa=[wrong, right])
        cls.host("signed.test", "wrong", tlsa=[wrong])
        cls.host("signed.test", "next", tlsa=[wrong], mx="mx1-next")
        cls.host("signed.test", "next", tlsa=[right], mx="mx2-next", preference=20)
        cls.host("signed.test", "authority", cert=cls.trusted, tlsa=[f"2 0 1 {digest(cls.world.authority.cert, 0)}"])
        cls.host("signed.test", "othername", cert=cls.world.authority.make("named", ["mx.example"], signer=cls.world.authority),
                 tlsa=[f"2 0 1 {digest(cls.world.authority.cert, 0)}"])
        cls.host("signed.test", "unusable", tlsa=["1 1 1 " + "00" * 32])
        cls.host("signed.test", "unusableplain", mode="stripped", tlsa=["1 1 1 " + "00" * 32])
        cls.host("signed.test", "none")
        cls.host("signed.test", "noneplain", mode="stripped")
        cls.host("signed.test", "forgedtlsa", tlsa=["3 1 1 " + "ab" * 32])
        cls.host("unsigned.test", "ignored", mode="stripped", tlsa=[wrong])
        cls.host("forged.test", "bogus", tlsa=[right])
        cls.records["forged.test"] += ["mx-bogus A 127.60.2.250"]
        for mode in BROKEN:
            cls.host("signed.test", mode, mode=mode, tlsa=[right])
            cls.host("unsigned.test", mode, mode=mode)
        cls.records["signed.test"] += [f"alias CNAME mx-match", "aliased MX 10 alias"]

    def test_a_certificate_that_matches_is_enough_whatever_else_is_wrong_with_it(self):
        self.assert_sent_over("match.signed.test", "dane")

    def test_records_are_found_where_the_cname_of_a_mail_host_leads(self):
        self.assert_sent_over("aliased.signed.test", "dane")

    def test_a_certificate_that_matches_no_record_gets_nothing(self):
        self.assert_waits("wrong.signed.test", "DANE of mx-wrong.signed.test")

    def test_the_next_mail_host_is_tried_when_the_first_one_does_not_match(self):
        self.assertEqual(self.assert_sent_over("next.signed.test", "dane")["mx"], "mx2-next.signed.test")

    def test_an_authority_in_the_dns_is_enough_for_a_certificate_of_the_right_name(self):
        self.assert_sent_over("authority.signed.test", "dane")

    def test_an_authority_in_the_dns_is_not_enough_for_another_name(self):
        self.assert_waits("othername.signed.test", "DANE")

    def test_records_that_cannot_be_used_demand_encryption_only(self):
        self.assert_sent_over("unusable.signed.test", "encrypted")
        self.assert_waits("unusableplain.signed.test", "none of whose TLSA records can be used")

    def test_a_signed_host_without_records_gets_its_mail_as_it_can(self):
        self.assert_sent_over("none.signed.test", "encrypted")
        self.assert_sent_over("noneplain.signed.test", "plain")

    def test_records_that_are_not_signed_are_ignored(self):
        self.assert_sent_over("ignored.unsigned.test", "plain")

    def test_a_forged_tlsa_record_makes_a_host_unusable(self):
        self.assert_waits("forgedtlsa.signed.test", "could not be looked up")

    def test_a_forged_address_makes_a_host_unusable(self):
        self.assert_waits("bogus.forged.test", "could not be looked up", stage="dns")

    def test_nothing_goes_in_the_clear_however_starttls_is_broken(self):
        for mode in BROKEN:
            with self.subTest(mode):
                self.assert_waits(f"{mode}.signed.test", "")
                self.assert_sent_over(f"{mode}.unsigned.test", "plain")


def policy(mode, mx, max_age=86400):
    return f"version: STSv1\r\nmode: {mode}\r\n" + "".join(f"mx: {one}\r\n" for one in mx) + f"max_age: {max_age}\r\n"


class MtaSts(PolicyRun):
    @classmethod
    def domain(cls, name, mode="tls", cert=None, mx=None, host=None, at=POLICY_HOST, **answer):
        """A domain with a policy: `answer` is what its policy host says."""
        cls.host("sts.test", name, mode=mode, cert=cert, mx=mx)
        cls.records["sts.test"] += [f'_mta-sts.{name} TXT "v=STSv1; id=1;"', f"mta-sts.{name} A {at}"]
        cert, key = host or cls.policy_cert
        cls.hosts[f"mta-sts.{name}.sts.test"] = {"cert": cert, "key": key, **answer}

    @classmethod
    def describe(cls):
        authority = cls.world.authority
        bad = ["expired", "redirect", "large", "html", "missing", "malformed", "slow", "inside"]
        names = [f"mta-sts.{one}.sts.test" for one in
                 ["good", "untrusted", "mismatch", "second", "testing", "off", "kept", "othername", "reportgood", "reportbad", "reportmiss", *BROKEN, *bad]]
        cls.policy_cert = authority.make("policies", names, signer=authority)
        enforce = {"body": policy("enforce", ["*.sts.test"])}
        cls.domain("good", cert=cls.trusted, **enforce)
        cls.domain("untrusted", **enforce)
        cls.domain("othername", cert=authority.make("other", ["mx.example"], signer=authority), **enforce)
        cls.domain("mismatch", cert=cls.trusted, body=policy("enforce", ["mx.elsewhere.test"]))
        cls.domain("second", cert=cls.trusted, mx="mx1-second", body=policy("enforce", ["mx2-second.sts.test"]))
        cls.host("sts.test", "second", cert=cls.trusted, mx="mx2-second", preference=20)
        cls.domain("testing", mode="stripped", body=policy("testing", ["mx.elsewhere.test"]))
        cls.domain("off", mode="stripped", body=policy("none", []))
        cls.domain("kept", **enforce)
        cls.domain("reportgood", cert=cls.trusted, **enforce)
        cls.records["sts.test"] += ['_smtp._tls.reportgood TXT "v=TLSRPTv1; rua=mailto:tls@sts.test, https://sts.test/tls"']
        cls.domain("reportbad", cert=authority.make("self", ["*.sts.test"]), **enforce)
        cls.domain("reportmiss", body="version: STSv2\r\n")
        cls.host("sts.test", "reportnone", mode="stripped")
        for mode in BROKEN:
            cls.domain(mode, mode=mode, **enforce)
        broken = {"mode": "stripped"}
        cls.domain("expired", **broken, host=authority.make("old", names, days=-1, signer=authority), **enforce)
        cls.domain("redirect", **broken, status=302,
                   location=f"https://mta-sts.good.sts.test:{cls.world.policy_port}/.well-known/mta-sts.txt")
        cls.domain("large", **broken, body=policy("enforce", ["*.sts.test"]) + "x: " + "y" * 70_000)
        cls.domain("html", **broken, type="text/html", **enforce)
        cls.domain("missing", **broken, status=404)
        cls.domain("malformed", **broken, body="version: STSv1\r\nmode: enforce\r\n")
        cls.domain("slow", **broken, silent=True)
        cls.domain("inside", **broken, at="127.0.0.1", **enforce)

    def test_a_valid_certificate_of_a_named_host_is_enough(self):
        self.assert_sent_over("good.sts.test", "verified")

    def test_a_certificate_that_does_not_hold_gets_nothing(self):
        self.assert_waits("untrusted.sts.test", "MTA-STS")
        self.assert_waits("othername.sts.test", "MTA-STS")

    def test_a_host_that_the_policy_does_not_name_gets_nothing(self):
        self.assert_waits("mismatch.sts.test", "MTA-STS does not name mx-mismatch.sts.test")

    def test_the_next_mail_host_is_tried_when_the_policy_does_not_name_the_first(self):
        self.assertEqual(self.assert_sent_over("second.sts.test", "verified")["mx"], "mx2-second.sts.test")

    def test_testing_and_none_let_mail_go_in_the_clear(self):
        self.assert_sent_over("testing.sts.test", "plain")
        self.assert_sent_over("off.sts.test", "plain")

    def test_nothing_goes_in_the_clear_however_starttls_is_broken(self):
        for mode in BROKEN:
            with self.subTest(mode):
                self.assert_waits(f"{mode}.sts.test", "")

    def test_what_is_no_policy_is_as_none(self):
        for name in ("expired", "redirect", "large", "html", "missing", "malformed"):
            with self.subTest(name):
                self.assert_sent_over(f"{name}.sts.test", "plain")

    def test_a_slow_policy_host_holds_mail_up_for_a_bounded_time_only(self):
        event = self.assert_sent_over("slow.sts.test", "plain")
        self.assertGreaterEqual(event["queue_ms"], 4_500)
        self.assertLess(event["queue_ms"], 15_000)

    def test_no_policy_is_fetched_from_an_address_inside(self):
        self.assert_sent_over("inside.sts.test", "plain")
        self.assertRegex(self.daemon.process.text(), r"sts\.no_policy.*inside\.sts\.test.*loopback")

    def reports(self, *words):
        day = datetime.datetime.now(datetime.timezone.utc).date()
        done = subprocess.run([BINARY, "tls-report", "--day", str(day), "--config", self.world.folder / "sluice.toml",
                               *words], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_sessions_become_reports_that_say_what_was_wrong(self):
        domains = ("reportgood", "reportbad", "reportmiss", "reportnone")
        for name in domains:
            self.attempt(f"{name}.sts.test")
        self.daemon.stop()  # counts are stored once a minute, and at the end
        self.daemon.start()
        lines = [json.loads(line) for line in self.reports("--json").splitlines()]
        found = {line["domain"]: line["report"]["policies"] for line in lines}

        def said(name):
            self.assertEqual(len(found[f"{name}.sts.test"]), 1)
            policy = found[f"{name}.sts.test"][0]
            summary = policy["summary"]
            results = {one["result-type"] for one in policy.get("failure-details", [])}
            return (policy["policy"]["policy-type"], summary["total-successful-session-count"] > 0,
                    summary["total-failure-session-count"] > 0, results)
        self.assertEqual(said("reportgood"), ("sts", True, False, set()))
        self.assertEqual(said("reportbad"), ("sts", False, True, {"certificate-not-trusted"}))
        self.assertEqual(said("reportmiss"), ("sts", False, True, {"sts-policy-invalid"}))
        self.assertEqual(said("reportnone"), ("no-policy-found", False, True, {"starttls-not-supported"}))
        good = found["reportgood.sts.test"][0]["policy"]
        self.assertEqual((good["policy-string"][1], good["mx-host"]), ("mode: enforce", ["*.sts.test"]))

        folder = self.world.folder / "reports"
        self.reports("--domain", "reportgood.sts.test", "--out", folder, "--gzip")
        index = json.loads((folder / "index.json").read_text())
        self.assertEqual([(one["domain"], one["rua"]) for one in index],
                         [("reportgood.sts.test", ["mailto:tls@sts.test", "https://sts.test/tls"])])
        report = json.loads(gzip.decompress((folder / index[0]["file"]).read_bytes()))
        self.assertEqual(report["contact-info"], "postmaster@out1.e2e.test")
        self.assertTrue(index[0]["file"].startswith("out1.e2e.test!reportgood.sts.test!"))

    def test_a_policy_outlives_a_restart_and_its_host(self):
        self.assert_waits("kept.sts.test", "MTA-STS")
        self.daemon.stop()
        self.world.stop_policy_hosts()
        self.daemon.start()
        wait_until(lambda: len([e for e in self.daemon.events() if e.get("domain") == "kept.sts.test"]) >= 5, 30,
                   "attempts after the restart")
        self.assertEqual(self.world.received("x@kept.sts.test"), [])
        self.world.start_policy_hosts(self.hosts)
