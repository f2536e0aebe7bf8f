"""Load on a daemon by every protocol, and what it was told of each job."""

import http.client
import json
import smtplib
import threading
import time

from harness import mail

JOB_RECIPIENTS = 10
JOBS_PER_SECOND = 10  # of each loader: 400 recipients a second in all, which the receiver can keep up with
STREAM_JOBS = 5       # in one NDJSON request
NOBODY = ""  # a sender whom no report of a bounce goes to
CUT = (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError)  # by the kill
SMTP_MAIL = b"From: a@news.example\r\nTo: many@one.test\r\nSubject: load\r\n\r\nhello\r\n"


class Load:
    """Submits by every protocol from threads of their own, and remembers what it was told of each job."""

    def __init__(self, daemon, may_refuse=False):
        """`may_refuse`: a daemon that takes nothing in for a while is no failure."""
        self.daemon = daemon
        self.may_refuse = may_refuse
        self.refused = 0  # jobs
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
        if self.may_refuse and status == 503:
            self.refused += 1
            return None
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
        except smtplib.SMTPResponseException as answer:
            if self.may_refuse and answer.smtp_code == 452:
                self.refused += 1
                return None
            return self.note(recipients, False)
        except CUT:
            return self.note(recipients, False)
        assert not refused, refused
        return self.note(recipients, True)

    def end(self):
        self.running = False
        for thread in self.threads:
            thread.join(60)
