"""Open connections to as many addresses: memory of each, busy and idle, and CPU at rest. In the clear, and with TLS."""

import contextlib
import json
import resource
import socket
import subprocess
import sys
import time

import lab
import plot
from runs import trial

TLS_CONNECTIONS = 2_000  # handshakes and sessions of the receiver are work, and memory of each is the same
SPARE_DESCRIPTORS = 3_200  # what ingest/descriptors.h keeps for the store, the DNS and all ways in
BEFORE_REST_SECONDS = 90  # sweeps come once a minute, and the pages that they free go back within ten seconds
REST_SECONDS = 10
FINAL_DELAY = "40s"  # all connections are in the middle of a mail for a while

BLOCK = 4096  # addresses of a block that the sink's zone takes


def sink(folder, name, count, dns):
    """One listener for all addresses, and a zone in which each of `count` domains has a host of its own at its own address."""
    blocks = [word for n in range(-(-count // BLOCK)) for word in ("--zone-addresses", f"127.64.{16 * n}.0/20:25")]
    return trial.sink(folder, name, "--final-delay", FINAL_DELAY, "--connections-max", count + 100, "--idle", "10m", "--dns", f"127.0.0.1:{dns}",
                      "--domains", count, "--sites", count, "--ttl", 3600, *blocks, listen="0.0.0.0")


@contextlib.contextmanager
def engine(folder, name, port, dns, **delivery):
    data, api = folder.folder / f"{name}-data", folder.folder / f"{name}.sock"
    http, = lab.free_ports(1)
    settings = lab.settings(data, http, api, dns=dns, delivery={"port": port} | delivery, timeouts={"idle": "5m"})
    one = folder.start_engine(settings, http, api, name=f"sluice-{name}")
    yield one
    one.end()


def send_one_each(one, count):
    one.load("--domains", f"d{{0..{count - 1}}}.demo.test", "--recipients", count, "--size", trial.MESSAGE_BYTES, "--vars", trial.VARIABLES)


def in_the_clear(folder, count):
    dns, = lab.free_ports(1)
    with sink(folder, "many", count, dns) as receiver, engine(folder, "many", receiver.port, dns) as one:
        empty = one.memory("RssAnon")
        send_one_each(one, count)
        lab.wait_until(lambda: receiver.counted()["connections"]["open"] >= count, 60, f"{count} connections are open", every=0.5)
        time.sleep(2)
        busy = one.memory("RssAnon")
        one.wait_for_all(count)
        result = resting(one, empty, count) | {"busy_bytes": (busy - empty) / count}
    print(f"  {json.dumps(result)}", file=sys.stderr, flush=True)
    return result


def with_tls(folder, count):
    port, dns = lab.free_ports(2)
    certificate, key = folder.folder / "cert.pem", folder.folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                    certificate, "-days", "2", "-subj", "/CN=many.test"], check=True, capture_output=True)
    places = folder.folder / "places.json"
    places.write_text(json.dumps([{"ip": "0.0.0.0", "port": port, "mode": "tls", "cert": str(certificate), "key": str(key)}]))
    receiver = folder.start("tls-receiver", sys.executable, lab.ROOT / "tests/e2e/tls_receiver.py", "--journal", folder.folder / "tls.journal", places)
    lab.wait_until(lambda: receiver.check() or accepts(port), 10, "the receiver listens")
    with sink(folder, "zone", count, dns), engine(folder, "many-tls", port, dns, tls="required") as one:
        empty = one.memory("RssAnon")
        send_one_each(one, count)
        one.wait_for_all(count)
        result = resting(one, empty, count)
    receiver.end()
    return result


def resting(one, empty, count):
    """All of them idle: memory of each, and CPU of a core, in parts of one."""
    time.sleep(BEFORE_REST_SECONDS)
    before = one.cpu_seconds()
    time.sleep(REST_SECONDS)
    cpu = (one.cpu_seconds() - before) / REST_SECONDS
    idle = one.status()["delivery"]["connections_idle"]
    if idle < count:
        raise lab.Failure(f"{idle} idle connections, where {count} were opened and none had a reason to be closed")
    return {"connections": count, "idle_bytes": (one.memory("RssAnon") - empty) / count, "rest_cpu": cpu}


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def measure(folder, options):
    count = min(options.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE_DESCRIPTORS)
    return {"plain": in_the_clear(folder, count), "tls": with_tls(folder, min(count, TLS_CONNECTIONS))}


def lines(results, options):
    plain, tls = results["plain"], results["tls"]
    fewer = "" if plain["connections"] == options.connections else f" (of {options.connections:,} that were wanted: this machine gives a process no more descriptors)"
    return [f"{plain['connections']:,} connections{fewer} to as many addresses of 127.0.0.0/8, each of a domain and a site of its own, whose memory is "
            f"in the figures: anonymous memory of the process less that of the empty engine. At rest: {BEFORE_REST_SECONDS} s after the last mail.", "",
            "| connections | | memory of one with a mail under way | at rest | CPU of all at rest |", "|---|---|---|---|---|",
            f"| {plain['connections']:,} | in the clear | {plain['busy_bytes'] / 1024:.1f} KiB | {plain['idle_bytes'] / 1024:.1f} KiB | {plain['rest_cpu'] * 100:.1f}% of a core |",
            f"| {tls['connections']:,} | TLS 1.3 | - | {tls['idle_bytes'] / 1024:.1f} KiB | {tls['rest_cpu'] * 100:.1f}% of a core |", "",
            "Wanted: 8 KiB in the clear, 40 KiB with TLS."]


def plots(results):
    plain, tls = results["plain"], results["tls"]
    rows = [("in the clear, mail under way", plain["busy_bytes"] / 1024, True), ("in the clear, at rest", plain["idle_bytes"] / 1024, True),
            ("TLS, at rest", tls["idle_bytes"] / 1024, True)]
    return {"connections": plot.bars("Memory of a connection, its site and domain included", rows, "KiB")}
