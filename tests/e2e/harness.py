"""Whole runs: a DNS server, receivers and the daemon, all on loopback, on free ports and in a folder of their own.

`World` starts and stops them; a test class makes one in setUpClass. What a test waits for is always a state that it
can see (an event, an entry in a journal), with a deadline, never a time.
"""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import lab  # found on the path above

BINARY = pathlib.Path(os.environ.get("SLUICE_BINARY", ROOT / "build/release/sluice"))
PYTHON = "/usr/bin/python3"  # Debian's: it has python3-aiosmtpd

RECEIVER, SINK, SILENT, NOBODY = "127.60.1.1", "127.60.1.2", "127.60.1.3", "127.60.1.9"
OLD = "127.60.1.4"  # the receiver, without 8BITMIME and SMTPUTF8
MOODY = {name: f"127.60.1.{20 + i}" for i, name in enumerate(("b554", "b421", "b521", "full", "rate"))}
TERMINAL = {"delivered", "bounced", "expired", "cancelled", "suppressed"}

ZONE = [
    "--local=/test/",
    "--local-ttl=60",
    "--mx-host=one.test,mx.one.test,10",
    f"--host-record=mx.one.test,{RECEIVER}",
    "--mx-host=two.test,mx.two.test,10",
    f"--host-record=mx.two.test,{RECEIVER}",
    "--mx-host=old.test,mx.old.test,10",
    f"--host-record=mx.old.test,{OLD}",
    "--mx-host=sink.test,mx.sink.test,10",
    f"--host-record=mx.sink.test,{SINK}",
    "--mx-host=next.test,dead.next.test,10",
    "--mx-host=next.test,mx.next.test,20",
    f"--host-record=dead.next.test,{NOBODY}",
    f"--host-record=mx.next.test,{RECEIVER}",
    f"--host-record=plain.test,{RECEIVER}",
    "--dns-rr=null.test,15,000000",
    "--mx-host=evil.test,mx.evil.test,10",
    "--host-record=mx.evil.test,127.0.0.1",
    "--mx-host=dead.test,mx.dead.test,10",
    f"--host-record=mx.dead.test,{NOBODY}",
    "--mx-host=hollow.test,mx.nowhere.test,10",
    "--mx-host=silent.test,mx.silent.test,10",
    f"--host-record=mx.silent.test,{SILENT}",
    "--mx-host=loop.test,out1.e2e.test,10",
    *[f"--host-record=mx.{name}.test,{ip}" for name, ip in MOODY.items()],
    *[f"--mx-host={name}.test,mx.{name}.test,10" for name in MOODY],
    "--mx-host=second.b554.test,mx.b554.test,10",
    "--mx-host=second.b554.test,mx.one.test,20",
    "--mx-host=second.b421.test,mx.b421.test,10",
    "--mx-host=second.b421.test,mx.one.test,20",
]


def settings():
    """Of the whole run, given by run.py through the environment."""
    return {"seed": int(os.environ.get("SLUICE_E2E_SEED", "0")) or random.SystemRandom().getrandbits(32),
            "long": os.environ.get("SLUICE_E2E_LONG") == "1"}


def free_port(ips=("127.0.0.1",), kinds=(socket.SOCK_STREAM,)):
    """A port that is free on all of these addresses at this moment. Not one that the kernel would choose: those of
    outgoing connections come and go."""
    for _ in range(200):
        with contextlib.ExitStack() as sockets:
            def bind(ip, kind, port):
                bound = sockets.enter_context(socket.socket(socket.AF_INET, kind))
                bound.bind((ip, port))
                return bound.getsockname()[1]
            try:
                port = bind(ips[0], kinds[0], random.SystemRandom().randrange(16000, 32000))
                for ip in ips:
                    for kind in kinds:
                        if (ip, kind) != (ips[0], kinds[0]):
                            bind(ip, kind, port)
                return port
            except OSError:
                continue
    raise RuntimeError("no free port found")


def wait_until(condition, seconds=30, what="a condition", every=0.02):
    """The first true value of condition(), asked again until the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(every)


class Process:
    """A child whose output goes to a file; ended by its own id."""

    def __init__(self, name, words, folder, **options):
        self.name = name
        self.log = folder / f"{name}.log"
        self.output = open(self.log, "ab")
        self.child = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=self.output,
                                      stderr=subprocess.STDOUT, **options)

    def running(self):
        return self.child.poll() is None

    def end(self, how=signal.SIGTERM, seconds=40):
        if self.running():
            self.child.send_signal(how)
        try:
            status = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"{self.name} had not ended {seconds} s after {how.name}") from None
        finally:
            self.output.close()
        return status

    def text(self):
        return self.log.read_text(errors="replace")


def answers_dns(port):
    """Whether a DNS server answers there."""
    question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05ready\x04test\x00\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.05)
        try:
            udp.connect(("127.0.0.1", port))
            udp.send(question)
            return bool(udp.recv(512))
        except OSError:
            return False


def accepts(ip, port):
    try:
        socket.create_connection((ip, port), 0.2).close()
        return True
    except OSError:
        return False


class Receiver:
    """receiver.py and what it has written down."""

    def __init__(self, folder, port, ips=(RECEIVER,), words=()):
        """`words`: further ones of receiver.py's command line."""
        self.journal = folder / f"receiver-{ips[0]}.journal"
        self.journal.touch()
        self.read_bytes = 0
        self.entries = []
        old = [f"--old={OLD}:{port}"] if RECEIVER in ips else []
        self.process = Process(f"receiver-{ips[0]}", [PYTHON, pathlib.Path(__file__).with_name("receiver.py"), "--journal",
                                            self.journal, *old, *[f"{ip}:{port}" for ip in ips], *words], folder)
        wait_until(lambda: accepts(ips[0], port) or not self.process.running(), 20, "the receiver's start")

    def messages(self):
        """Everything received so far: at, from, to, data (bytes)."""
        with open(self.journal, "rb") as journal:
            journal.seek(self.read_bytes)
            new = journal.read()
        whole = new[:new.rfind(b"\n") + 1]
        self.read_bytes += len(whole)
        for line in whole.splitlines():
            entry = json.loads(line)
            entry["data"] = base64.b64decode(entry["data"])
            self.entries.append(entry)
        return self.entries

    def received_by(self, recipient):
        return [entry for entry in self.messages() if recipient in entry["to"]]

    def recipients(self):
        return [to for entry in self.messages() for to in entry["to"]]


class Sink:
    """Postfix's smtp-sink: as fast as Postfix's own code takes mail, and only counts."""

    def __init__(self, folder, port, ip=SINK):
        user = pwd.getpwuid(os.getuid()).pw_name
        words = ["/usr/sbin/smtp-sink", "-c", "-m", "1000", *(["-u", user] if os.getuid() == 0 else []),
                 f"{ip}:{port}", "1000"]
        self.process = Process("sink", words, folder)
        wait_until(lambda: accepts(ip, port) or not self.process.running(), 20, "smtp-sink's start")

    def messages(self):
        counts = re.findall(r"mesg=(\d+)", self.process.text())
        return int(counts[-1]) if counts else 0


class Daemon:
    """`sluice serve` with a configuration of its own."""

    def __init__(self, folder, dns_port, mail_port, name="sluice", data_dir=None, **overrides):
        self.folder = folder
        self.name = name
        self.http_port, self.smtp_port, self.metrics_port = (free_port() for _ in range(3))
        self.data_dir = data_dir or folder / f"{name}.data"
        self.config = {
            "node": {"name": "out1.e2e.test", "data_dir": str(self.data_dir), "shards": 2},
            "listen": {"http": [f"127.0.0.1:{self.http_port}", f"unix:{folder}/{name}.sock"],
                       "smtp": [f"127.0.0.1:{self.smtp_port}"], "metrics": f"127.0.0.1:{self.metrics_port}"},
            "dns": {"servers": [f"127.0.0.1:{dns_port}"]},
            "delivery": {"port": mail_port, "allow_addresses": ["127.60.0.0/15"], "connections": 10},
            "timeouts": {"connect": "5s", "banner": "10s", "command": "10s", "data": "10s", "body": "10s",
                         "final": "10m", "idle": "5s"},
            "retry": {"schedule": ["1s"], "expires": "1h"},
            "queue": {"free_disk_min": "64MiB"},
        }
        for section, values in overrides.items():  # a list is a table per entry: [[domain]]
            if isinstance(values, list):
                self.config[section] = values
            else:
                self.config.setdefault(section, {}).update(values)
        self.process = None

    def write_config(self):
        path = self.folder / f"{self.name}.toml"
        path.write_text(lab.toml(self.config))
        return path

    def spawn(self, **options):
        self.process = Process(self.name, [BINARY, "serve", "--config", self.write_config()], self.folder,
                               cwd=self.folder, **options)

    def start(self, **options):
        self.spawn(**options)
        def ready():
            if not self.process.running():
                raise AssertionError(f"the daemon ended with {self.process.child.returncode} at its start:\n"
                                     + self.process.text()[-4000:])
            try:
                return self.request("GET", "/readyz")[0] == 200
            except OSError:
                return False
        wait_until(ready, 30, "the daemon's start")
        return self

    def stop(self):
        """Status and seconds of an orderly end."""
        begin = time.monotonic()
        status = self.process.end()
        return status, time.monotonic() - begin

    def kill(self):
        self.process.end(signal.SIGKILL)

    def request(self, method, path, body=None, headers=None, seconds=60):
        """Status, headers and body of one HTTP exchange."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=seconds)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def get(self, path):
        status, _, body = self.request("GET", path)
        assert status == 200, f"GET {path}: {status} {body[:500]!r}"
        return json.loads(body)

    def metric(self, name):
        """One without labels; 0 when it is not there."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def post(self, job, query="", **headers):
        """A JSON job: status and the answer, parsed."""
        status, _, body = self.request("POST", "/v1/messages" + query, json.dumps(job),
                                       {"Content-Type": "application/json",
                                        **{name.replace("_", "-"): value for name, value in headers.items()}})
        return status, json.loads(body)

    def submit(self, job, query=""):
        """A JSON job that must be accepted whole: its id."""
        status, answer = self.post(job, query)
        assert status == 202 and not answer.get("rejected"), f"{status} {answer}"
        return answer["job"]

    def submit_lines(self, lines):
        """An NDJSON stream: the answer's lines, parsed."""
        body = ("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n").encode()
        status, _, answer = self.request("POST", "/v1/messages", body, {"Content-Type": "application/x-ndjson"}, 300)
        assert status in (200, 202), f"{status} {answer[:500]!r}"
        return [json.loads(line) for line in answer.splitlines() if line]

    def events(self, after=0, limit=None, **filters):
        """All events after a sequence, over as many requests as it takes."""
        found = []
        while True:
            query = "&".join([f"after={after}", f"limit={limit or 10000}"]
                             + [f"{key}={value}" for key, value in filters.items()])
            status, _, body = self.request("GET", "/v1/events?" + query)
            assert status == 200, f"{status} {body[:500]!r}"
            page = [json.loads(line) for line in body.splitlines() if line]
            found += page
            if not page or limit:
                return found
            after = page[-1]["seq"]

    def job(self, job):
        return self.get(f"/v1/jobs/{job}")

    def settled(self, deliveries, seconds=60):
        """All events, once so many deliveries have ended."""
        after, seen, ended = 0, [], 0
        deadline = time.monotonic() + seconds
        while True:
            fresh = self.events(after)
            if fresh:
                after = fresh[-1]["seq"]
                seen += fresh
                ended += sum(event["type"] in TERMINAL for event in fresh)
            if ended >= deliveries:
                return seen
            if time.monotonic() > deadline:
                raise AssertionError(f"{ended} of {deliveries} deliveries had ended after {seconds} s")
            time.sleep(0.05)


class World:
    """What a test class needs beside the daemon; end() stops everything and tells whether any of it had died."""

    def __init__(self, name, zone=()):
        """`zone`: further words for dnsmasq."""
        self.zone = [*ZONE, *zone]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"sluice-e2e-{name}-"))
        self.mail_port = free_port((RECEIVER, SINK, SILENT, OLD, NOBODY, *MOODY.values()))
        self.dns_port = free_port(kinds=(socket.SOCK_DGRAM, socket.SOCK_STREAM))
        self.daemons = []
        self.others = []
        self.receiver = self.sink = None
        self.start_dns()

    def start_dns(self):
        user = pwd.getpwuid(os.getuid()).pw_name
        self.others.append(Process("dnsmasq", ["/usr/sbin/dnsmasq", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                                   "--keep-in-foreground", "--bind-interfaces", "--listen-address=127.0.0.1",
                                   "--pid-file=", "--log-facility=-", f"--user={user}", f"--port={self.dns_port}",
                                   *self.zone], self.folder))
        wait_until(lambda: answers_dns(self.dns_port), 10, "dnsmasq's start")

    def start_receiver(self):
        self.receiver = Receiver(self.folder, self.mail_port)
        self.others.append(self.receiver.process)
        return self.receiver

    def start_sink(self):
        self.sink = Sink(self.folder, self.mail_port)
        self.others.append(self.sink.process)
        return self.sink

    def daemon(self, name="sluice", **overrides):
        made = Daemon(self.folder, self.dns_port, self.mail_port, name, **overrides)
        self.daemons.append(made)
        return made

    def end(self, keep_logs=False):
        complaints = []
        for daemon in self.daemons:
            if daemon.process and daemon.process.running():
                try:
                    status, _ = daemon.stop()
                    if status != 0:
                        complaints.append(f"{daemon.name} ended with {status}")
                except AssertionError as late:
                    complaints.append(str(late))
        for other in self.others:
            if not other.running():
                complaints.append(f"{other.name} had died: {other.text()[-500:]}")
            other.end(signal.SIGKILL)
        if complaints or keep_logs:
            self.show_logs()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not complaints, "; ".join(complaints)

    def show_logs(self, octets=6000):
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(errors="replace")
            if text:
                print(f"--- {log.name} (last {octets} octets)\n{text[-octets:]}", file=sys.stderr)


class WholeRun(unittest.TestCase):
    """A test class over one world. Subclasses name their receivers and settings."""

    receivers = ("receiver",)
    daemon_settings = {}

    @classmethod
    def setUpClass(cls):
        cls.world = World(cls.__name__.lower())
        cls.addClassCleanup(cls.finish)
        if "receiver" in cls.receivers:
            cls.world.start_receiver()
        if "sink" in cls.receivers:
            cls.world.start_sink()
        cls.daemon = cls.world.daemon(**cls.daemon_settings).start()

    @classmethod
    def finish(cls):
        cls.world.end(keep_logs=getattr(cls, "anything_failed", False))

    def tearDown(self):
        # unittest keeps the outcome of the running test here; a passed one adds nothing to these lists.
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            type(self).anything_failed = True

    def assert_complete(self, events):
        """The feed's own rules: sequences rise strictly, every delivery ends exactly once."""
        sequences = [event["seq"] for event in events]
        self.assertEqual(sequences, sorted(set(sequences)), "sequences must rise strictly")
        ends = {}
        for event in events:
            if event["type"] in TERMINAL:
                ends.setdefault(event["delivery"], []).append(event["type"])
        twice = {delivery: types for delivery, types in ends.items() if len(types) != 1}
        self.assertEqual(twice, {}, "deliveries that ended more than once")
        accepted = {event["delivery"] for event in events if event["type"] == "accepted"}
        self.assertEqual(accepted, set(ends), "accepted deliveries and ended ones")


def ledger(daemon):
    """Counts by tenant; every line checked against the law of the ledger."""
    tenants = daemon.get("/v1/status")["tenants"]
    for name, counts in tenants.items():
        ended = sum(counts.get(kind, 0) for kind in TERMINAL)
        assert counts["accepted"] == ended + counts["open"], f"{name}: {counts}"
    return tenants


def mail(to, subject="Hello", text="Hello\n", sender="bounce@news.example", **more):
    """A JSON job of one recipient, or of a list of them."""
    recipients = [to] if isinstance(to, str) else to
    return {"from": sender, "content": {"from": "News <news@news.example>", "subject": subject, "text": text},
            "recipients": [{"to": one} if isinstance(one, str) else one for one in recipients], **more}


def raw_job(raw, to, sender="bounce@news.example", **more):
    return {"from": sender, "content": {"raw_base64": base64.b64encode(raw).decode()},
            "recipients": [{"to": one} for one in ([to] if isinstance(to, str) else to)], **more}
