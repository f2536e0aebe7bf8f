"""kill -9 under load, again and again: what was accepted arrives, whatever the moment."""

import collections
import http.client
import json
import random
import smtplib
import threading
import time

from harness import TERMINAL, WholeRun, ledger, mail, settings, wait_until

JOB_RECIPIENTS = 10
JOBS_PER_SECOND = 10  # of each loader: 400 recipients a second in all, which the receiver can keep up with
STREAM_JOBS = 5       # in one NDJSON request
CONNECTIONS = 10
SITES = 2
IN_FLIGHT = 4  # messages of a connection between the receiver's 250 and our durable note of it
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
                refused = client.sendmail("bounce@news.example", recipients, SMTP_MAIL)
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


class Crash(WholeRun):
    daemon_settings = {"delivery": {"connections": CONNECTIONS}}

    def test_nothing_accepted_is_lost_over_kills_at_random_moments(self):
        choose = random.Random(settings()["seed"])
        kills = 100 if settings()["long"] else 20
        load = Load(self.daemon)
        self.addCleanup(load.end)
        for kill in range(kills):
            time.sleep(choose.uniform(0.05, 1.2))
            self.daemon.kill()
            self.daemon.start()
        time.sleep(1)
        load.end()
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 0, 240, "the end of all deliveries")
        self.check(load, kills)

    def check(self, load, kills):
        received = collections.Counter(self.world.receiver.recipients())
        lost = [to for to in load.accepted if to not in received]
        duplicates = sum(count - 1 for count in received.values())
        print(f"      {kills} kills: {len(load.accepted)} recipients accepted, {len(load.unknown)} jobs in doubt, "
              f"{len(lost)} lost, {duplicates} duplicates")
        self.assertGreater(len(load.accepted), kills * 20, "too little load to show anything")
        self.assertEqual(lost, [])
        for recipients in load.unknown:
            arrived = [to for to in recipients if to in received]
            self.assertIn(len(arrived), (0, len(recipients)), "a job in doubt is there whole or not at all")
        known = set(load.accepted).union(*load.unknown) if load.unknown else set(load.accepted)
        self.assertEqual(set(received) - known, set())
        self.assertLessEqual(duplicates, kills * SITES * CONNECTIONS * IN_FLIGHT)

        events = self.daemon.events()
        self.assert_complete(events)
        counts = ledger(self.daemon)["default"]
        self.assertEqual(counts["accepted"], sum(event["type"] == "accepted" for event in events))
        self.assertEqual(counts["accepted"], len(received))
        self.assertEqual(sum(counts[kind] for kind in TERMINAL), counts["accepted"])
