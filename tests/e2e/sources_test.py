"""Sources and pools, seen from the receiver: where connections come from, and what they call themselves."""

import collections
import datetime
import socketserver
import threading

from harness import MOODY, NOBODY, WholeRun, mail, wait_until

IP1, IP2, IP3 = "127.60.2.1", "127.60.2.2", "127.60.2.3"


class Observer(socketserver.ThreadingTCPServer):
    """A mail host that writes down whom its mail comes from."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, ip, port, refuses=()):
        super().__init__((ip, port), Conversation)
        self.lock = threading.Lock()
        self.refuses = refuses
        self.mails = []  # (address, EHLO name) of each
        self.visits = []  # addresses
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Conversation(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        peer, name = self.client_address[0], ""
        self.server.visits.append(peer)
        if peer in self.server.refuses:
            return self.say("554 5.7.1 your address is on our list")
        self.say("220 observer.test ESMTP")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"EHLO":
                name = line[5:].strip().decode()
                self.say("250 ok")
            elif word == b"DATA":
                self.say("354 go")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                with self.server.lock:
                    self.server.mails.append((peer, name))
                self.say("250 2.0.0 taken")
            elif word == b"QUIT":
                return self.say("221 bye")
            else:
                self.say("250 ok")


class Sources(WholeRun):
    receivers = ()
    daemon_settings = {
        "delivery": {"connections": 4, "messages_per_connection": 5},
        "source": [{"name": "ip1", "address": IP1, "ehlo": "out1.pool.test"},
                   {"name": "ip2", "address": IP2, "weight": 3},
                   {"name": "ip3", "address": IP3},
                   {"name": "six", "address": "::1"}],
        "pool": [{"name": "default", "sources": ["ip1"]}, {"name": "pair", "sources": ["ip1", "ip2"]},
                 {"name": "six", "sources": ["six"]}, {"name": "mixed", "sources": ["six", "ip3"]}],
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.observer = Observer(MOODY["rate"], cls.world.mail_port)
        cls.addClassCleanup(cls.observer.shutdown)

    def send(self, names, **options):
        """Mail to the observer: what it has seen of it, and the job's events."""
        before = len(self.observer.mails)
        job = self.daemon.submit(mail([f"{name}@rate.test" for name in names], **options))
        wait_until(lambda: self.daemon.job(job)["open"] == 0, 40, "the job's end")
        events = [event for event in self.daemon.events() if event.get("job") == job and event["type"] != "accepted"]
        return self.observer.mails[before:], events

    def test_mail_leaves_from_the_source_of_its_pool_under_its_name(self):
        seen, events = self.send(["a"])
        self.assertEqual(seen, [(IP1, "out1.pool.test")])
        self.assertEqual([event["source"] for event in events], ["ip1"])
        seen, _ = self.send(["b"], pool="mixed")
        self.assertEqual(seen, [(IP3, "out1.e2e.test")], "of an IPv6 source it cannot leave")

    def test_sources_share_a_pool_by_weight_and_each_has_connections_of_its_own(self):
        seen, events = self.send([f"w{n}" for n in range(400)], pool="pair")
        shares = collections.Counter(peer for peer, _ in seen)
        self.assertEqual(set(shares), {IP1, IP2})
        self.assertEqual(collections.Counter(event["source"] for event in events),
                         {"ip1": shares[IP1], "ip2": shares[IP2]})

    def test_a_pool_whose_sources_are_all_of_the_other_family_puts_mail_off_and_says_why(self):
        _, events = self.send(["c"], pool="six", expires_in="2s")
        self.assertEqual(events[0]["type"], "deferred")
        self.assertEqual(events[0]["source"], "six")
        self.assertIn("has no IPv6 address for source six", events[0]["reply"])

    def test_a_pool_that_is_not_there_is_refused_with_its_name(self):
        status, answer = self.daemon.post(mail("x@rate.test", pool="gold"))
        self.assertEqual(status, 422)
        self.assertEqual([(error["code"], error["field"]) for error in answer["errors"]], [("pool.unknown", "pool")])


class Refused(WholeRun):
    receivers = ()
    daemon_settings = {
        "delivery": {"connections": 2},
        "source": [{"name": "listed", "address": IP1}, {"name": "clean", "address": IP2}],
    }

    def test_mail_takes_another_source_when_hosts_do_not_want_one(self):
        observer = Observer(MOODY["rate"], self.world.mail_port, refuses=(IP1,))
        self.addCleanup(observer.shutdown)
        job = self.daemon.submit(mail([f"m{n}@rate.test" for n in range(20)]))
        wait_until(lambda: self.daemon.job(job)["open"] == 0, 20, "the job's end")
        self.assertEqual({peer for peer, _ in observer.mails}, {IP2})
        self.assertEqual(self.daemon.job(job)["deferrals"], 0)


class Rest(WholeRun):
    receivers = ()
    daemon_settings = {
        "delivery": {"connections": 2},
        "source": [{"name": "listed", "address": IP1, "weight": 1000}, {"name": "clean", "address": IP2}],
        "pool": [{"name": "listed", "sources": ["listed"]}],
        "automation": [{"name": "on-a-list", "match": "is on our list", "count": 2, "action": "rest_source", "duration": "1h"}],
        "retry": {"schedule": ["1s"]},
    }

    def test_a_source_that_hosts_refuse_rests_for_a_time_and_says_why(self):
        observer = Observer(MOODY["rate"], self.world.mail_port, refuses=(IP1,))
        self.addCleanup(observer.shutdown)
        self.daemon.submit(mail(["first@rate.test", "second@rate.test"], pool="listed", expires_in="6s"))
        wait_until(lambda: "automation.fired" in self.daemon.process.text(), 30, "the rule")
        before = len(observer.visits)
        job = self.daemon.submit(mail([f"r{n}@rate.test" for n in range(40)]))
        wait_until(lambda: self.daemon.job(job)["open"] == 0, 20, "the job's end")
        self.assertEqual(set(observer.visits[before:]), {IP2}, "the other one is not even tried")
        alone = self.daemon.submit(mail("alone@rate.test", pool="listed", expires_in="3s"))
        wait_until(lambda: self.daemon.job(alone)["open"] == 0, 20, "the lone mail's end")
        events = [event for event in self.daemon.events() if event.get("job") == alone and event["type"] == "deferred"]
        self.assertRegex(events[0]["reply"], r"^nothing was tried: rule on-a-list after: 554 .* until 20")
        self.assertEqual(events[0]["source"], "listed")


class WarmingUp(WholeRun):
    receivers = ()
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    daemon_settings = {
        "delivery": {"connections": 2},
        "source": [{"name": "new", "address": IP1, "weight": 1000, "warmup_begins": today, "warmup": "10 20"},
                   {"name": "warm", "address": IP2}],
        "pool": [{"name": "new", "sources": ["new"]}],
    }

    def test_a_new_source_sends_its_part_of_the_day_and_the_rest_goes_over_the_warm_one(self):
        observer = Observer(MOODY["rate"], self.world.mail_port)
        self.addCleanup(observer.shutdown)
        job = self.daemon.submit(mail([f"w{n}@rate.test" for n in range(60)]))
        wait_until(lambda: self.daemon.job(job)["open"] == 0, 30, "the job's end")
        sent = collections.Counter(peer for peer, _ in observer.mails)
        self.assertLessEqual(sent[IP1], 10)
        self.assertGreaterEqual(sent[IP1], 8, "slots that a connection left unused may be lost")
        self.assertEqual(sent[IP1] + sent[IP2], 60)
        self.daemon.stop()
        self.daemon.start()
        late = self.daemon.submit(mail("late@rate.test", pool="new"))
        event = wait_until(lambda: [event for event in self.daemon.events()
                                    if event.get("job") == late and event["type"] == "deferred"], 20, "its deferral")[0]
        self.assertIn("source new is new: 10 messages to this site today are its part", event["reply"])
        self.assertEqual(collections.Counter(peer for peer, _ in observer.mails)[IP1], sent[IP1], "not after a restart either")


class Holding(WholeRun):
    receivers = ()
    daemon_settings = {"delivery": {"connections": 1, "rate": "2/s"}}

    def test_what_holds_a_site_is_named_with_the_place_that_set_it(self):
        observer = Observer(MOODY["rate"], self.world.mail_port)
        self.addCleanup(observer.shutdown)
        self.daemon.submit(mail([f"h{n}@rate.test" for n in range(30)]))
        # Until its one connection stands, that is what holds the site.
        held = lambda: [site for site in self.daemon.get("/v1/sites")["sites"] if site.get("limit") == "rate"]
        site = wait_until(held, 20, "a site that is held")[0]
        self.assertEqual(site["site"], "mx.rate.test")
        self.assertRegex(site["limit_origin"], r"sluice\.toml:\d+$")
        self.assertEqual([(path["source"], path["connections"]) for path in site["paths"]], [("", 1)])
