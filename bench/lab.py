"""A folder, free ports and the processes of one run: engine, sink, peers. Used by the demo and by everything in bench/.

Everything is on loopback and ends with the `Lab`, each process by its own id.
"""

import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build/release"
ENGINE = pathlib.Path(os.environ.get("SLUICE_BINARY", BUILD / "sluice"))
SINK, LOAD = BUILD / "bench/sluice-sink", BUILD / "bench/sluice-load"
LOG_TAIL_LINES, LOG_TAIL_COLUMNS = 25, 500
STALL_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


def settings(data_dir, http, socket=None, smtp=None, metrics=None, dns=9, **sections):
    """Those that every engine here begins with, by section, all on loopback; ports as numbers (nobody answers DNS at 9). `sections`: what a run
    sets beside, key by key; a list has a table for each entry, [[domain]]."""
    made = {
        "node": {"name": "bench.sluice.test", "data_dir": str(data_dir)},
        "listen": {"http": [f"127.0.0.1:{http}"] + ([f"unix:{socket}"] if socket else []), "smtp": [f"127.0.0.1:{smtp}"] if smtp else [],
                   "metrics": f"127.0.0.1:{metrics}" if metrics else ""},
        "dns": {"servers": [f"127.0.0.1:{dns}"]},
        "delivery": {"allow_addresses": ["127.0.0.0/8"]},
    }
    for section, values in sections.items():
        if isinstance(values, list):
            made[section] = values
        else:
            made.setdefault(section, {}).update(values)
    return made


def toml(sections):
    """Settings as the configuration file has them. JSON's numbers, strings and lists are TOML's as well."""
    lines = []
    for section, values in sections.items():
        for table in values if isinstance(values, list) else [values]:
            lines.append(f"[[{section}]]" if isinstance(values, list) else f"[{section}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


class Failure(Exception):
    """What went wrong, in one line for the user; the logs follow."""


def free_ports(count, address="127.0.0.1"):
    """Ports that are free for TCP and UDP at this moment, all different."""
    held, ports = [], []
    while len(ports) < count:
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.bind((address, 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held += [tcp, udp]
        try:
            udp.bind((address, tcp.getsockname()[1]))
            ports.append(tcp.getsockname()[1])
        except OSError:
            continue
    for one in held:
        one.close()
    return ports


class Process:
    """A child with its output in a file."""

    def __init__(self, name, words, log, environment=None):
        self.name, self.log = name, log
        self.output = open(log, "ab")
        try:
            self.child = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=self.output,
                                          stderr=subprocess.STDOUT, env=os.environ | (environment or {}))
        except OSError as error:
            raise Failure(f"{name} cannot be started: {error}") from None

    @property
    def pid(self):
        return self.child.pid

    def check(self):
        """Raises Failure when the process has ended."""
        if self.child.poll() is not None:
            raise Failure(f"{self.name} ended by itself with status {self.child.returncode}")

    def end(self, seconds=40):
        """SIGTERM, then SIGKILL at the deadline. Returns the exit status."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.output.close()
        return self.child.returncode

    def cpu_seconds(self):
        """User and system time so far, of all its threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def thread_seconds(self, name):
        """CPU so far of those of its threads whose names begin so."""
        ticks = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            if (task / "comm").read_text().startswith(name):
                fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def rss_bytes(self):
        return self.memory("VmRSS")

    def peak_rss_bytes(self):
        return self.memory("VmHWM")

    def memory(self, kind):
        """A figure of /proc/<pid>/status, in bytes. RssAnon leaves out the pages of its files."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(kind + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def written_bytes(self):
        """What it has given to the file systems so far, in pages that it has dirtied."""
        for line in pathlib.Path(f"/proc/{self.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        return 0


class Engine(Process):
    """`sluice serve`, and what a run asks of it. `socket` is that of its API and intake, `http` a port of the same."""

    def __init__(self, name, configuration, log, http, socket, environment):
        super().__init__(name, [ENGINE, "serve", "--config", configuration], log, environment)
        self.http, self.socket = http, socket

    def wait_ready(self, seconds=60, every=0.05):
        wait_until(lambda: self.check() or ready(self.http), seconds, "the engine is ready", every)

    def status(self):
        self.check()
        return get_json(self.http, "/v1/status")

    def load(self, *words, way="ndjson"):
        """Runs sluice-load against it and returns its summary, with the CPU that the load has taken."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([LOAD, way, "--server", f"unix:{self.socket}", "--json", "--quiet", "--patience", "120s",
                               *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"sluice-load ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return json.loads(done.stdout) | {"cpu_seconds": cpu}

    def wait_for_all(self, count):
        """Until `count` deliveries have ended. Raises when nothing moves any more."""
        last, since = -1, time.monotonic()
        while True:
            status = self.status()
            ended = status["accepted"] - status["open"]
            if ended >= count and status["open"] == 0:
                return status
            if ended != last:
                last, since = ended, time.monotonic()
            if time.monotonic() - since > STALL_SECONDS:
                raise Failure(f"nothing has moved for {STALL_SECONDS} s at {ended} of {count}")
            time.sleep(0.05)

    def events(self, after=0, only="limit=10000"):
        """One page of events behind a number, waited for; fails when none comes. `only`: what else the query asks."""
        status, body = get(self.http, f"/v1/events?after={after}&wait=5s&{only}", 30)
        events = [json.loads(line) for line in body.splitlines()]
        if status != 200 or not events:
            raise Failure(f"no event comes behind {after} (status {status})")
        return events


class Lab:
    """`with Lab() as lab`: on the way out everything that was started is stopped, the last first."""

    def __init__(self, name):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"sluice-{name}-"))
        self.processes = []

    def __enter__(self):
        # The sink holds a listener for each of its addresses and thousands of connections.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
        # A CI machine ends a run with SIGTERM: leave by the same door as on Ctrl-C.
        signal.signal(signal.SIGTERM, terminated)
        return self

    def __exit__(self, kind, error, trace):
        for process in reversed(self.processes):
            process.end()
        if kind not in (None, KeyboardInterrupt, SystemExit):
            print(self.tails(), file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, *words):
        return self.add(Process(name, words, self.folder / f"{name}.log"))

    def add(self, process):
        self.processes.append(process)
        return process

    def tails(self):
        """The ends of all logs, for a failure."""
        out = []
        for process in self.processes:
            lines = process.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
            out.append(f"--- {process.name} (status {process.child.poll()}), end of its log:")
            out += [line[:LOG_TAIL_COLUMNS] for line in lines]
        return "\n".join(out)

    def start_sink(self, listen, stats_port, *words, name="sluice-sink"):
        process = self.start(name, SINK, "--listen", listen, "--stats", f"127.0.0.1:{stats_port}", *words)
        wait_until(lambda: process.check() or answers(stats_port), 10, "the sink listens")
        return process

    def start_engine(self, sections, http_port, socket=None, name="sluice", wait=True, environment=None):
        """`sections`: its settings. Without `wait` it returns at once, for those who measure how long a start takes."""
        path = self.folder / f"{name}.toml"
        path.write_text(toml(sections))
        engine = self.add(Engine(name, path, self.folder / f"{name}.log", http_port, socket, environment))
        if wait:
            engine.wait_ready(20)
        return engine


def terminated(*_):
    """Says so: a run that ends without a word looks like a bug of what it measures."""
    print(f"{pathlib.Path(sys.argv[0]).name}: ended by SIGTERM", file=sys.stderr, flush=True)
    sys.exit(143)


def wait_until(condition, seconds, what, every=0.05):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(every)


def get(port, path, timeout=10):
    """(status, body) of a GET on loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get_json(port, path):
    status, body = get(port, path)
    if status != 200:
        raise Failure(f"GET {path} is answered with {status}: {body[:200]!r}")
    return json.loads(body)


def answers(port):
    try:
        return get(port, "/", 1)[0] > 0
    except OSError:
        return False


def ready(port):
    try:
        return get(port, "/readyz", 1)[0] == 200
    except OSError:
        return False


def disk_bytes(folder):
    """What has been written into the files of a folder. Not the blocks that they hold: RocksDB allocates its log ahead."""
    return sum(file.stat().st_size for file in pathlib.Path(folder).rglob("*") if file.is_file())
