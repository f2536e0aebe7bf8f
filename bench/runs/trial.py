"""What most runs begin with: an engine on an empty data_dir whose domain sink.test leads to one receiver."""

import contextlib
import os
import shutil
import time

import lab

CONNECTIONS = 100
MESSAGE_BYTES = 2048
VARIABLES = 3
TO_SINK = ("--to-domain", "sink.test")


@contextlib.contextmanager
def engine(folder, name, smtp, domain=None, environment=None, **more):
    """The engine, with the port of its SMTP intake as `submission`. `domain`: more settings of sink.test. Its data_dir goes with it."""
    data, socket = folder.folder / f"{name}-data", folder.folder / f"{name}.sock"
    http, submission = lab.free_ports(2)
    route = {"name": "sink.test", "route": [f"[127.60.0.1]:{smtp}"], "connections": CONNECTIONS, "messages_per_connection": 0}
    settings = lab.settings(data, http, socket, submission, domain=[route | (domain or {})], **more)
    one = folder.start_engine(settings, http, socket, name=f"sluice-{name}", environment=environment)
    one.submission, one.data = submission, data
    yield one
    one.end()
    shutil.rmtree(data, ignore_errors=True)


class Sink:
    """sluice-sink on a port of its own. Its end fails the run when it has seen a breach of the protocol."""

    def __init__(self, folder, name, *words, listen="127.60.0.1"):
        self.port, = lab.free_ports(1, "127.60.0.1")
        self.stats, = lab.free_ports(1)
        self.process = folder.start_sink(f"{listen}:{self.port}", self.stats, *words, name=f"sink-{name}")

    def counted(self):
        return lab.get_json(self.stats, "/")


@contextlib.contextmanager
def sink(folder, name, *words, **more):
    one = Sink(folder, name, *words, **more)
    yield one
    if faults := one.counted()["faults"]:
        raise lab.Failure(f"{name}: the sink saw breaches of the protocol: {faults}")
    one.process.end()


@contextlib.contextmanager
def smtp_sink(folder):
    """Postfix's own, on a port of its own."""
    port, = lab.free_ports(1, "127.60.0.1")
    user = "root" if os.getuid() == 0 else os.environ["USER"]
    process = folder.start("smtp-sink", "smtp-sink", "-u", user, f"127.60.0.1:{port}", 1000)
    time.sleep(0.3)
    process.check()
    process.port = port
    yield process
    process.end()


def single_mails(one, count, receiver, **more):
    """`count` jobs of one recipient each through an engine: rates, and CPU in µs a message."""
    before, receiver_before, written = one.cpu_seconds(), receiver.cpu_seconds(), one.written_bytes()
    start = time.monotonic()
    accepted = one.load(*TO_SINK, "--job-per-recipient", "--recipients", count, "--size", MESSAGE_BYTES)
    status = one.wait_for_all(count)
    seconds = time.monotonic() - start
    if status["delivered"] != count:
        raise lab.Failure(f"{one.name}: {status['delivered']} of {count} delivered")
    def each(cpu):
        return cpu / count * 1e6
    return {
        "accepted_per_second": accepted["rate_per_second"], "delivered_per_second": count / seconds,
        "cpu_us": each(one.cpu_seconds() - before), "receiver_cpu_us": each(receiver.cpu_seconds() - receiver_before),
        "load_cpu_us": each(accepted["cpu_seconds"]), "signers_cpu_us": each(one.thread_seconds("sign")),
        "written_bytes": (one.written_bytes() - written) / count, "peak_rss_mib": one.peak_rss_bytes() / 2**20,
    } | more
