"""kill -9 under load, again and again, with a receiver full of faults: what was accepted arrives, whatever the moment, and
every duplicate was named in doubt."""

import collections
import http.client
import json
import pathlib
import random
import smtplib
import statistics
import threading
import time

from harness import PYTHON, RECEIVER, TERMINAL, Process, WholeRun, accepts, ledger, mail, settings, wait_until

JOB_RECIPIENTS = 10
JOBS_PER_SECOND = 10  # of each loader: 400 recipients a second in all, which the receiver can keep up with
STREAM_JOBS = 5       # in one NDJSON request
CONNECTIONS = 10
NOBODY = ""  # a sender whom no report of a bounce goes to
CUT = (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError)  # by the kill


SMTP_MAIL = b"From: a@news.example\r\nTo: many@one.test\r\nSubject: load\r\n\r\nhello\r\n"


class Load:
    """Submits by every protocol from threads of their own, and remembers what it was told of each job."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.running = True
        self.accepted, self.unknown = [], []  # recipients; lists of recipients, one for each job in doubt
        self.lock = threading.Lock()
        ways = {"j": self.by_json, "k": self.by_json, "n": self.by_stream, "s": self.by_smtp}
        self.threads = [threading.Thread(target=self.submit, args=way) for way in ways.items()]
        for thread in self.threads:
            thread.start()

    def submit(self, name, way):
        number = 0
        while self.running:
            number += 1
            try:
                way(f"{name}{number}")
            except ConnectionRefusedError:
                pass  # it never reached the daemon
            time.sleep(1 / JOBS_PER_SECOND)

    def recipients(self, name):
        return [f"{name}-{n}@{('one', 'two')[n % 2]}.test" for n in range(JOB_RECIPIENTS)]

    def note(self, recipients, accepted):
        with self.lock:
            if accepted:
                self.accepted += recipients
            else:
                self.unknown.append(recipients)

    def by_json(self, name):
        recipients = self.recipients(name)
        try:
            status, answer = self.daemon.post(mail(recipients))
        except ConnectionRefusedError:
            raise
        except CUT:
            return self.note(recipients, False)
        assert status == 202, answer
        return self.note(recipients, True)

    def by_stream(self, name):
        jobs = [self.recipients(f"{name}.{n}") for n in range(STREAM_JOBS)]
        body = "".join(json.dumps(mail(recipients)) + "\n" for recipients in jobs).encode()
        try:
            answer = self.daemon.request("POST", "/v1/messages", body, {"Content-Type": "application/x-ndjson"})[2]
        except ConnectionRefusedError:
            raise
        except http.client.IncompleteRead as cut:
            answer = cut.partial
        except CUT:
            answer = b""
        whole = answer[:answer.rfind(b"\n") + 1].splitlines()
        told = {line["line"] for line in map(json.loads, whole) if line.get("accepted") and "line" in line}
        for line, recipients in enumerate(jobs, 1):
            self.note(recipients, line in told)
        time.sleep((STREAM_JOBS - 1) / JOBS_PER_SECOND)

    def by_smtp(self, name):
        recipients = self.recipients(name)
        try:
            with smtplib.SMTP("127.0.0.1", self.daemon.smtp_port, "load.test", timeout=30) as client:
                refused = client.sendmail(NOBODY, recipients, SMTP_MAIL)
        except ConnectionRefusedError:
            raise
        except CUT:
            return self.note(recipients, False)
        assert not refused, refused
        return self.note(recipients, True)

    def end(self):
        self.running = False
        for thread in self.threads:
            thread.join(60)


class Faulty:
    """faulty_receiver.py and what it has written down: by recipient, contents that it said 250 to, or nothing."""

    def __init__(self, world, seed):
        self.journal = world.folder / "faulty.journal"
        self.journal.touch()
        script = pathlib.Path(__file__).with_name("faulty_receiver.py")
        self.process = Process("faulty", [PYTHON, script, "--journal", self.journal, "--seed", seed,
                                          f"{RECEIVER}:{world.mail_port}"], world.folder)
        world.others.append(self.process)
        wait_until(lambda: accepts(RECEIVER, world.mail_port) or not self.process.running(), 20, "the receiver's start")

    def taken(self):
        taken, cut = collections.Counter(), collections.Counter()
        for line in self.journal.read_text().splitlines():
            answer, *recipients = line.split()
            if answer != "451":
                (taken if answer == "250" else cut).update(recipients)
        return taken, cut


class Crash(WholeRun):
    receivers = ()
    daemon_settings = {"delivery": {"connections": CONNECTIONS}}

    def test_nothing_accepted_is_lost_over_kills_at_random_moments(self):
        choose = random.Random(settings()["seed"])
        kills = 200 if settings()["long"] else 20
        faulty = Faulty(self.world, settings()["seed"])
        load = Load(self.daemon)
        self.addCleanup(load.end)
        starts = []
        for kill in range(kills):
            time.sleep(choose.uniform(0.05, 1.2))
            self.daemon.kill()
            began = time.monotonic()
            self.daemon.start()
            starts.append(time.monotonic() - began)
        time.sleep(1)
        load.end()
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 0, 240, "the end of all deliveries")
        self.check(load, faulty, starts)

    def check(self, load, faulty, starts):
        events = self.daemon.events()
        self.assert_complete(events)
        stories = collections.defaultdict(list)
        for event in events:
            stories[event["to"]].append(event)
        self.assert_legal(stories)
        ends = {to: story[-1]["type"] for to, story in stories.items()}
        taken, cut = faulty.taken()
        lost = [to for to in load.accepted if ends.get(to) not in ("delivered", "bounced")]
        lost += [to for to, end in ends.items() if end == "delivered" and to not in taken]
        doubts = collections.Counter(event["to"] for event in events if event.get("in_doubt"))
        duplicates = {to: taken[to] + cut[to] - 1 for to in taken + cut if taken[to] + cut[to] > 1}
        unnamed = {to: count for to, count in duplicates.items() if count > doubts[to]}
        by_crash = sum("daemon ended" in event.get("reply", "") for event in events)
        print(f"      {len(starts)} kills, each start {statistics.median(starts):.2f} s (median), {max(starts):.2f} s at worst: "
              f"{len(load.accepted)} recipients accepted, {len(load.unknown)} jobs in doubt, {len(lost)} lost; "
              f"{doubts.total()} deliveries named in doubt ({by_crash} by kills), {sum(duplicates.values())} duplicates, "
              f"{len(unnamed)} of them not named; {len(events)} events")
        self.assertGreater(len(load.accepted), len(starts) * 20, "too little load to show anything")
        self.assertGreater(by_crash, 0, "no kill fell between a content and its outcome")
        self.assertEqual(lost, [])
        self.assertEqual(unnamed, {})
        for recipients in load.unknown:
            arrived = [to for to in recipients if to in ends]
            self.assertIn(len(arrived), (0, len(recipients)), "a job in doubt is there whole or not at all")
        known = set(load.accepted).union(*load.unknown) if load.unknown else set(load.accepted)
        self.assertEqual(set(taken + cut) - known, set())
        counts = ledger(self.daemon)["default"]
        self.assertEqual(counts["accepted"], len(ends))
        for kind in TERMINAL:
            self.assertEqual(counts[kind], sum(end == kind for end in ends.values()))

    def assert_legal(self, stories):
        """accepted, then deferrals whose attempts count up by one, then one end of the next attempt; and whatever follows
        a doubt says so."""
        for to, story in stories.items():
            types = [event["type"] for event in story]
            self.assertEqual((types[0], types.count("accepted")), ("accepted", 1), f"{to}: {types}")
            self.assertEqual(set(types[1:-1]) - {"deferred"}, set(), f"{to}: {types}")
            attempts = [event["attempt"] for event in story[1:]]
            self.assertEqual(attempts, list(range(1, len(story))), f"{to}: {types}")
            doubt = False
            for event in story[1:]:
                self.assertEqual(event.get("may_be_duplicate", False), doubt, f"{to}: {story}")
                doubt |= event.get("in_doubt", False)
