"""What the daemon and a service manager say to each other: readiness, reload, the watchdog, sockets that are passed."""

import ctypes
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import lab

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WATCHDOG_SECONDS = 20


class Manager:
    """The part of systemd that this is about: a datagram socket, an environment, and descriptors from 3 on."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(0.1)
        self.said = []
        self.child = None

    def start(self, configuration, passed=()):
        path = self.folder / "sluice.toml"
        path.write_text(configuration)
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 10**6)}
        # $$ is the process that exec makes the daemon; the sockets are moved to 3, 4, … in front of it.
        moves = " ".join(f"{3 + i}<&{one.fileno()}" for i, one in enumerate(passed))
        script = f'exec {moves}; export LISTEN_PID=$$ LISTEN_FDS={len(passed)}; exec "$0" serve --config "$1"'
        self.log = open(self.folder / "log", "ab")
        self.child = subprocess.Popen(["bash", "-c", script, lab.ENGINE, path], env=environment, stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=self.log, pass_fds=[one.fileno() for one in passed])

    def listen(self, seconds):
        """What it says within this time, added to `said`."""
        deadline = time.monotonic() + seconds
        heard = []
        while time.monotonic() < deadline:
            try:
                heard += self.socket.recv(4096).decode().split("\n")
            except TimeoutError:
                pass
        self.said += heard
        return heard

    def hear(self, word, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(line.startswith(word) for line in self.listen(0.1)):
                return
            if self.child.poll() is not None:
                raise AssertionError(f"ended with {self.child.returncode}: {self.tail()}")
        raise AssertionError(f"never said {word}; said {self.said}: {self.tail()}")

    def tail(self):
        return (self.folder / "log").read_text()[-2000:]

    def end(self):
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(40)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.socket.close()
        return self.child.returncode if self.child else None


def configuration(folder, http, smtp="[]"):
    return f'[node]\nname = "out1.deploy.test"\ndata_dir = "{folder}/data"\nshards = 2\n[listen]\nhttp = {http}\nsmtp = {smtp}\n' \
           'metrics = ""\n[delivery]\nmta_sts = false\ndane = false\n'


class Service(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-service-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.manager = Manager(self.folder)
        self.addCleanup(self.manager.end)

    def test_it_tells_when_it_serves_reloads_and_stops(self):
        port, = lab.free_ports(1)
        self.manager.start(configuration(self.folder, f'["127.0.0.1:{port}"]'))
        self.manager.hear("READY=1")
        self.assertTrue(lab.ready(port), "ready was said before it was true")
        self.manager.child.send_signal(signal.SIGHUP)
        self.manager.hear("RELOADING=1")
        self.assertTrue(any(line.startswith("MONOTONIC_USEC=") for line in self.manager.said))
        if "READY=1" not in self.manager.said[self.manager.said.index("RELOADING=1"):]:
            self.manager.hear("READY=1")
        self.manager.child.send_signal(signal.SIGTERM)
        self.manager.hear("STOPPING=1")
        self.assertEqual(self.manager.end(), 0)

    def test_the_watchdog_is_fed_only_while_every_shard_turns(self):
        port, = lab.free_ports(1)
        self.manager.start(configuration(self.folder, f'["127.0.0.1:{port}"]'))
        self.manager.hear("WATCHDOG=1")
        self.manager.hear("WATCHDOG=1")
        with Held(thread_of(self.manager.child.pid, "shard1")):
            self.manager.listen(2.5)  # what was on the way
            self.assertNotIn("WATCHDOG=1", self.manager.listen(5))
            self.assertIn("shard.stalled", self.manager.tail())
        self.manager.hear("WATCHDOG=1")
        self.assertIn("shard.turns_again", self.manager.tail())

    def test_it_serves_on_sockets_that_it_is_passed_and_leaves_them(self):
        door, path = socket.create_server(("127.0.0.1", 0)), self.folder / "in.sock"
        local = socket.socket(socket.AF_UNIX)
        local.bind(str(path))
        local.listen()
        mail = socket.create_server(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in (door, mail)]
        self.manager.start(configuration(self.folder, f'["unix:{path}", "127.0.0.1:{ports[0]}"]', f'["127.0.0.1:{ports[1]}"]'),
                           (door, local, mail))
        self.manager.hear("READY=1")
        self.assertTrue(lab.ready(ports[0]))
        with socket.create_connection(("127.0.0.1", ports[1]), 10) as smtp:
            self.assertTrue(smtp.recv(200).startswith(b"220 "))
        self.assertEqual(unix_status(path), 200)
        self.assertEqual(self.manager.end(), 0)
        self.assertTrue(path.exists(), "the file of a passed socket is the manager's")
        socket.create_connection(("127.0.0.1", ports[0]), 10).close()  # still listens: a restart refuses nobody

    def test_it_refuses_a_socket_that_nothing_would_serve(self):
        port, = lab.free_ports(1)
        extra = socket.create_server(("127.0.0.1", 0))
        self.manager.start(configuration(self.folder, f'["127.0.0.1:{port}"]'), (extra,))
        self.assertEqual(self.manager.child.wait(20), 1)
        self.assertIn(f"127.0.0.1:{extra.getsockname()[1]}; add it to [listen]", self.manager.tail())


class Held:
    """A thread that stands still while this lives."""

    def __init__(self, thread):
        self.thread = thread
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def __enter__(self):
        if self.libc.ptrace(PTRACE_SEIZE, self.thread, None, None) != 0:
            raise unittest.SkipTest(f"a thread cannot be held here: {os.strerror(ctypes.get_errno())}")
        self.libc.ptrace(PTRACE_INTERRUPT, self.thread, None, None)
        os.waitpid(self.thread, 0x40000000)  # __WALL

    def __exit__(self, *_):
        self.libc.ptrace(PTRACE_DETACH, self.thread, None, None)


def thread_of(pid, name):
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (thread / "comm").read_text().strip() == name:
            return int(thread.name)
    raise AssertionError(f"no thread {name}")


def unix_status(path):
    connection = http.client.HTTPConnection("sluice", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    connection.request("GET", "/readyz")
    return connection.getresponse().status
