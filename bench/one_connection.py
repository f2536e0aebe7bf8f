"""Messages a second on ONE connection over a long line: the engine at each depth, and its peers, in one run.

    bench/one_connection.sh [--seconds 10] [--delay 25ms] [--only postfix,sink,peers] [--depths auto,envelope] [--write]

See bench/README.md. --write puts the table into RESULTS.md.
"""

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import lab
import results

sys.path += [str(lab.ROOT / "tests/e2e"), str(lab.ROOT / "tests/interop")]
import postfix  # found on the path above

MESSAGE_BYTES = 2048
# What the engine must reach at a round trip of 50 ms; also how much mail a row needs.
GOALS = {("postfix", "lock_step"): 4.8, ("postfix", "envelope"): 9.5, ("postfix", "next"): 18, ("postfix", "auto"): 18,
         ("postfix", "messages"): 120, ("sink", "messages"): 150}
DEPTHS = ["lock_step", "envelope", "next", "auto", "messages"]
RATE_MAX = 400  # of what one connection could carry: mail is prepared for that
START_SECONDS = 40

RECEIVER = """
virtual_mailbox_domains = sink.test
virtual_mailbox_maps = static:all
virtual_transport = discard:
"""

SENDER = """
relayhost = [127.0.0.1]:{port}
default_destination_concurrency_limit = 1
smtpd_recipient_restrictions = permit_mynetworks, reject
qmgr_message_active_limit = 20000
"""


class PostfixReceiver:
    """Its queue is in memory: it syncs each message before its 250, and what else writes on this disk is not our matter."""
    name = "postfix"

    def __init__(self, folder):
        self.port, = lab.free_ports(1)
        self.home = tempfile.mkdtemp(prefix="sluice-line-", dir="/dev/shm")
        self.server = postfix.Postfix(self.home, "postfix-receiver", f"127.0.0.1:{self.port}", RECEIVER)

    def messages(self):
        return self.server.sent()

    def end(self):
        self.server.end()
        shutil.rmtree(self.home, ignore_errors=True)


class SinkReceiver:
    name = "sink"

    def __init__(self, folder):
        self.port, self.stats = lab.free_ports(2)
        self.process = folder.start("sink", lab.SINK, "--listen", f"127.0.0.1:{self.port}", "--stats", f"127.0.0.1:{self.stats}")
        lab.wait_until(lambda: self.process.check() or lab.answers(self.stats), 10, "the sink listens")

    def messages(self):
        return lab.get_json(self.stats, "/")["messages"]["accepted"]

    def end(self):
        faults = lab.get_json(self.stats, "/")["faults"]
        if faults:
            raise lab.Failure(f"the sink saw breaches of the protocol: {faults}")
        self.process.end()


@contextlib.contextmanager
def delay_line(folder, name, to, delay):
    """The port of a delay line to a port; afterwards its own report is in `line.report`."""
    line = folder.start(f"line-{name}", lab.BUILD / "bench/sluice-delay", "--to", f"127.0.0.1:{to}", "--delay", delay)
    lab.wait_until(lambda: line.check() or "port" in line.log.read_text(), 10, "the delay line listens")
    line.port = int(re.search(r"port (\d+)", line.log.read_text()).group(1))
    yield line
    line.end()
    line.report = line.log.read_text().splitlines()[-1]


def rate(receiver, before, options):
    """Messages a second at the receiver over a window of time, once ten have come."""
    lab.wait_until(lambda: receiver.messages() >= before + 10, START_SECONDS, "ten messages have arrived", every=0.2)
    time.sleep(options.warm_up)
    first, start = receiver.messages(), time.monotonic()
    time.sleep(options.seconds)
    last, end = receiver.messages(), time.monotonic()
    return (last - first) / (end - start)


def measure_engine(folder, receiver, depth, options):
    name = f"{receiver.name}-{depth}"
    with delay_line(folder, name, receiver.port, options.delay) as line:
        http, = lab.free_ports(1)
        socket = folder.folder / f"{name}.sock"
        settings = lab.settings(folder.folder / f"data-{name}", http, socket, node={"shards": 1}, domain=[
            {"name": "sink.test", "route": [f"[127.0.0.1]:{line.port}"], "connections": 1, "messages_per_connection": 0, "depth": depth,
             "window": options.window}])
        engine = folder.start_engine(settings, http, socket, name=name)
        before = receiver.messages()
        goal = GOALS.get((receiver.name, depth), RATE_MAX / 2)
        count = int(2 * goal * (options.seconds + options.warm_up + 10))
        engine.load("--to-domain", "sink.test", "--job-per-recipient", "--recipients", count, "--size", MESSAGE_BYTES)
        result = {"who": f"Sluice, depth {depth}" + (f", window {options.window}" if depth == "messages" else ""),
                  "to": receiver.name, "goal": GOALS.get((receiver.name, depth)), "rate": rate(receiver, before, options)}
        result["deferrals"] = engine.status()["deferrals"]
        engine.end()
    return result | {"line": line.report}


def measure_smtp_source(folder, receiver, options):
    with delay_line(folder, f"source-{receiver.name}", receiver.port, options.delay) as line:
        before = receiver.messages()
        source = folder.start(f"smtp-source-{receiver.name}", "smtp-source", "-d", "-s", 1, "-l", MESSAGE_BYTES, "-m", 2000,
                              "-f", "bounce@load.test", "-t", "u@sink.test", f"127.0.0.1:{line.port}")
        result = {"who": "smtp-source -s 1 -d", "to": receiver.name, "rate": rate(receiver, before, options)}
        source.end()
    return result | {"line": line.report}


def measure_postfix_client(folder, receiver, options):
    """Postfix's queue manager and client with one connection, which it keeps while mail waits (its default)."""
    with delay_line(folder, f"client-{receiver.name}", receiver.port, options.delay) as line:
        listen, = lab.free_ports(1)
        sender = postfix.Postfix(folder.folder, f"postfix-sender-{receiver.name}", f"127.0.0.1:{listen}",
                                 SENDER.format(port=line.port))
        before = receiver.messages()
        subprocess.run(["smtp-source", "-d", "-s", "5", "-l", str(MESSAGE_BYTES), "-m", "500", "-f", "bounce@load.test", "-t",
                        "u@sink.test", f"127.0.0.1:{listen}"], check=True, stdin=subprocess.DEVNULL)
        result = {"who": "Postfix 3.7's own client", "to": receiver.name, "rate": rate(receiver, before, options)}
        sender.end()
    return result | {"line": line.report}


def row(result):
    goal = result.get("goal")
    connections, exact = re.match(r"(\d+) connections, (.*)", result["line"]).groups()
    late = re.search(r"late by (\d+) us \(p50\), (\d+) us \(p99\)", exact)
    return (f"| {result['who']} | {result['to']} | {result['rate']:.1f} | {goal or '-'} | {connections} | "
            f"{result.get('deferrals', '-')} | {' / '.join(late.groups()) if late else '-'} |")


def lines(rows, options):
    # Two passes of the line, and what the receiver needs, make a round trip.
    return [
        f"One connection through `sluice-delay` with {options.delay} each way, messages of {MESSAGE_BYTES} octets, counted at the receiver over "
        f"{options.seconds} s. \"postfix\" is Debian's Postfix 3.7 with its discard transport and its queue in memory, \"sink\" is sluice-sink.", "",
        "| sender | to | messages/s | wanted | connections | deferrals | the line's lateness µs p50 / p99 |", "|---|---|---|---|---|---|---|",
        *rows]


def main():
    parser = argparse.ArgumentParser(prog="bench/one_connection.sh", description="One connection over a long line")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds behind the tenth message")
    parser.add_argument("--delay", default="25ms", help="one way")
    parser.add_argument("--window", type=int, default=8, help="at depth messages")
    parser.add_argument("--only", default="postfix,sink,peers", help="some of postfix,sink,peers")
    parser.add_argument("--depths", default=",".join(DEPTHS), help="some of " + ",".join(DEPTHS))
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    options = parser.parse_args()
    wanted, depths = options.only.split(","), options.depths.split(",")
    if unknown := set(wanted) - {"postfix", "sink", "peers"} | set(depths) - set(DEPTHS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if reason := postfix.unavailable():
        parser.error(reason)
    occasion, rows = results.Occasion("bench/one_connection.sh"), []

    def add(result):
        rows.append(row(result))
        print(rows[-1], file=sys.stderr, flush=True)

    try:
        with lab.Lab("line") as folder:
            for receiver in (PostfixReceiver(folder), SinkReceiver(folder)):
                try:
                    if receiver.name in wanted:
                        for depth in depths:
                            add(measure_engine(folder, receiver, depth, options))
                    if "peers" in wanted:
                        add(measure_smtp_source(folder, receiver, options))
                        add(measure_postfix_client(folder, receiver, options))
                finally:
                    receiver.end()
    except lab.Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    text = results.section("line", occasion, lines(rows, options))
    print(text)
    if options.write:
        results.write({"line": text})
    return 0


if __name__ == "__main__":
    sys.exit(main())
