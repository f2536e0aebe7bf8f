"""Mail whose content went out and whose answer never came, because the daemon was killed or the connection was cut."""

import collections
import json
import socket
import subprocess
import threading
import time
import urllib.request

from harness import BINARY, MOODY, WholeRun, ledger, mail, wait_until


class Keeper(threading.Thread):
    """A mail host that notes whose content it has seen to the end, and answers as the first word of the recipient says:
    hold- never, cut- by closing, refuse- with 552, anything else 250."""

    def __init__(self, ip, port):
        super().__init__(daemon=True)
        self.listener = socket.create_server((ip, port), backlog=256)
        self.lock = threading.Lock()
        self.seen = collections.Counter()      # contents whole, by recipient
        self.answered = collections.Counter()  # with 250
        self.patient = True                    # hold- is held
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rwb") as stream:
                self.talk(stream)
        except OSError:
            pass

    def talk(self, stream):
        def say(line):
            stream.write(line.encode() + b"\r\n")
            stream.flush()
        say("220 keeper.test ESMTP")
        to = []
        for line in stream:
            word = line[:4].upper()
            if word == b"MAIL":
                to = []
            if word == b"RCPT":
                to.append(line.decode().split("<")[1].split(">")[0])
                say("550 5.1.1 nobody" if to[-1].startswith("nobody-") else "250 ok")
                if to[-1].startswith("nobody-"):
                    to.pop()
            elif word == b"DATA":
                say("354 go" if to else "554 nobody there")
                if not to or not self.content(stream, to, say):
                    if to:
                        return
            elif word == b"EHLO":
                say("250-keeper.test\r\n250 PIPELINING")
            elif word == b"QUIT":
                return say("221 bye")
            else:
                say("250 ok")

    def content(self, stream, to, say):
        line = None
        while line != b".\r\n":
            line = stream.readline()
            if not line:
                return False
        with self.lock:
            self.seen.update(to)
        rule = to[0].split("-")[0]
        if rule == "hold" and self.patient:
            while stream.readline():  # until the other side goes
                pass
            return False
        if rule == "cut" and self.seen[to[0]] == 1:
            return False
        if rule == "refuse":
            say("552 5.3.4 too big")
            return True
        with self.lock:
            self.answered.update(to)
        say("250 2.0.0 kept")
        return True


class InDoubt(WholeRun):
    receivers = ()
    daemon_settings = {"retry": {"schedule": ["1s"], "expires": "1h"}, "delivery": {"connections": 30}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keeper = Keeper(MOODY["full"], cls.world.mail_port)

    def restart(self, **in_doubt):
        self.daemon.kill()
        self.daemon.config["in_doubt"] = in_doubt
        self.daemon.start()

    def metric(self, cause, policy):
        page = urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics").read().decode()
        line = f'cause="{cause}",policy="{policy}"}} '
        return sum(float(row.split()[-1]) for row in page.splitlines()
                   if row.startswith("sluice_in_doubt_total{") and line in row)

    def events_of(self, word, after):
        found = collections.defaultdict(list)
        for event in self.daemon.events(after):
            if word in event.get("to", ""):
                found[event["to"]].append(event)
        return found

    def last_event(self):
        return self.daemon.get("/v1/status")["storage"]["last_event"]

    def hold_some(self, word, count=20):
        """Mail of which the host holds the final replies, and the recipients that it has seen."""
        after = self.last_event()
        self.keeper.patient = True
        names = [f"hold-{word}-{n}@full.test" for n in range(count)]
        for name in names:
            self.daemon.submit(mail([name, f"nobody-{word}-{name.split('@')[0].split('-')[-1]}@full.test"]))
        self.daemon.submit(mail([f"refuse-{word}@full.test"]))
        wait_until(lambda: all(self.keeper.seen[name] for name in names), 30, "the contents")
        wait_until(lambda: self.events_of(f"refuse-{word}", after)[f"refuse-{word}@full.test"][-1]["type"] == "bounced",
                   30, "the refusal")
        return names, after

    def test_a_kill_names_exactly_those_that_the_host_may_have(self):
        names, after = self.hold_some("exact")
        self.restart()
        self.keeper.patient = False
        events = self.events_of("exact", after)
        named = {to for to, story in events.items() if any(event.get("in_doubt") for event in story)}
        self.assertEqual(named, set(names))
        self.assertEqual(self.metric("crash", "retry"), len(names))
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 0, 60, "the end of all deliveries")
        for to, story in self.events_of("exact", after).items():
            if to in named:
                self.assertEqual([event["type"] for event in story], ["accepted", "deferred", "delivered"])
                self.assertTrue(story[2]["may_be_duplicate"])
                self.assertEqual(story[2]["attempt"], 2)
            else:
                self.assertEqual([event["type"] for event in story], ["accepted", "bounced"])
        # A second start finds nothing: what was dealt with is not dealt with again.
        self.restart()
        self.assertEqual(self.metric("crash", "retry"), 0)

    def test_what_is_assumed_delivered_is_sent_once_and_says_so(self):
        names, after = self.hold_some("assume", 5)
        self.restart(bulk="assume_delivered")
        self.keeper.patient = False
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 0, 60, "the end of all deliveries")
        events = self.events_of("hold-assume", after)
        self.assertEqual(set(events), set(names))
        for name, story in events.items():
            self.assertEqual([event["type"] for event in story], ["accepted", "delivered"])
            self.assertTrue(story[1]["in_doubt"])
            self.assertIn("taken as delivered", story[1]["reply"])
            self.assertEqual(self.keeper.seen[name], 1)
        self.assertEqual(self.metric("crash", "assume_delivered"), len(names))

    def test_what_is_held_waits_for_an_operator(self):
        names, after = self.hold_some("operator", 6)
        self.restart(bulk="hold")
        self.keeper.patient = False
        held = {one["to"]: one["delivery"] for one in self.daemon.get("/v1/in-doubt")["held"]}
        self.assertEqual(set(held), set(names))
        self.restart(bulk="hold")  # it is kept over another kill
        time.sleep(2)
        self.assertEqual({one["to"] for one in self.daemon.get("/v1/in-doubt")["held"]}, set(names))
        self.assertTrue(all(self.keeper.seen[name] == 1 for name in names))

        server = f"127.0.0.1:{self.daemon.http_port}"
        def sluice(*words):
            return subprocess.run([BINARY, "in-doubt", *words, "--server", server, "--json"], capture_output=True, text=True)
        told = sluice("retry", held[names[0]], held[names[1]])
        self.assertEqual((told.returncode, json.loads(told.stdout)["settled"]), (0, 2), told.stderr)
        told = sluice("delivered", held[names[2]])
        self.assertEqual((told.returncode, json.loads(told.stdout)["settled"]), (0, 1), told.stderr)
        told = sluice("retry", held[names[2]])
        self.assertEqual((told.returncode, json.loads(told.stdout)["gone"]), (0, 1), told.stderr)
        self.assertEqual(sluice("retry", "--all").returncode, 1)  # without --yes
        self.assertEqual(sluice("retry").returncode, 2)
        for query, status in (("retry", 422), ("delivered?delivery=xyz", 422), ("retry?all=yes", 422), ("forget?all=true", 404)):
            self.assertEqual(self.daemon.request("POST", "/v1/in-doubt/" + query)[0], status, query)
        self.assertEqual(self.daemon.request("GET", "/v1/in-doubt?limit=0")[0], 422)
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 3, 30, "what was settled")
        self.assertEqual([self.keeper.seen[name] for name in names], [2, 2, 1, 1, 1, 1])
        self.assertEqual(json.loads(sluice("retry", "--all", "--yes").stdout)["settled"], 3)
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 0, 30, "the rest")
        events = self.events_of("hold-operator", after)
        for name in names:
            types = [event["type"] for event in events[name]]
            self.assertEqual(types[-1], "delivered", name)
            self.assertEqual(events[name][-1].get("may_be_duplicate", False), name != names[2])
        self.assertEqual(self.daemon.get("/v1/in-doubt")["held"], [])

    def test_what_is_held_expires(self):
        after = self.last_event()
        self.restart(bulk="hold")
        self.daemon.submit(mail("cut-expires@full.test", expires_in="4s"))
        wait_until(lambda: len(self.daemon.get("/v1/in-doubt")["held"]) == 1, 20, "the doubt")
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 0, 30, "its expiry")
        story = self.events_of("cut-expires", after)["cut-expires@full.test"]
        self.assertEqual([event["type"] for event in story], ["accepted", "deferred", "expired"])
        self.assertTrue(story[1]["in_doubt"])
        self.assertNotIn("next_attempt", story[1])
        self.assertEqual(self.keeper.seen["cut-expires@full.test"], 1)
        self.assertEqual(self.daemon.get("/v1/in-doubt")["held"], [])
        self.assertEqual(self.metric("connection", "hold"), 1)

    def test_a_cut_connection_leaves_the_same_doubt(self):
        after = self.last_event()
        self.restart(transactional="assume_delivered")
        self.daemon.submit(mail("cut-bulk@full.test"))
        self.daemon.submit(mail("cut-transactional@full.test", **{"class": "transactional"}))
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 0, 30, "the end of both")
        bulk = self.events_of("cut-bulk", after)["cut-bulk@full.test"]
        self.assertEqual([event["type"] for event in bulk], ["accepted", "deferred", "delivered"])
        self.assertTrue(bulk[1]["in_doubt"] and bulk[2]["may_be_duplicate"])
        sure = self.events_of("cut-trans", after)["cut-transactional@full.test"]
        self.assertEqual([event["type"] for event in sure], ["accepted", "delivered"])
        self.assertTrue(sure[1]["in_doubt"])
        self.assertEqual(self.metric("connection", "retry"), 1)
        self.assertEqual(self.metric("connection", "assume_delivered"), 1)
