"""The measured claims: engine and peer in one run, ratios and CPU per message first. See bench/README.md."""

import argparse
import datetime
import http.client
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import subprocess
import sys
import time

import lab

RESULTS = lab.ROOT / "bench/RESULTS.md"
CONNECTIONS = 100
MESSAGE_BYTES = 2048
CONTENT_KIB = 50
VARIABLES = 3
SYSCALL_MESSAGES_MAX = 20_000
STALL_SECONDS = 60
SIGNED_MESSAGES_MAX = 20_000
SINGLES = 500

CONFIGURATION = """
[node]
name = "bench.sluice.test"
data_dir = "{data_dir}"
[listen]
http = ["unix:{socket}", "127.0.0.1:{http}"]
smtp = ["127.0.0.1:{submission}"]
metrics = ""
[dns]
servers = ["127.0.0.1:9"]
[delivery]
allow_addresses = ["127.60.0.0/24"]
[[domain]]
name = "sink.test"
route = ["[127.60.0.1]:{smtp}"]
connections = {connections}
messages_per_connection = 0
"""


class Engine:
    """A fresh engine on an empty data_dir whose domain sink.test leads to a port."""

    def __init__(self, folder, name, smtp_port, more=""):
        self.folder, self.data = folder, folder.folder / f"{name}-data"
        self.http, self.submission = lab.free_ports(2)
        self.socket = folder.folder / f"{name}.sock"
        self.process = folder.start_engine(
            CONFIGURATION.format(data_dir=self.data, socket=self.socket, http=self.http, submission=self.submission, smtp=smtp_port,
                                 connections=CONNECTIONS) + more, self.http, name=f"sluice-{name}")

    def status(self):
        self.process.check()
        return lab.get_json(self.http, "/v1/status")

    def load(self, *words, way="ndjson"):
        """Runs sluice-load against it and returns its summary."""
        done = subprocess.run([lab.LOAD, way, "--server", f"unix:{self.socket}", "--to-domain", "sink.test", "--json",
                               "--quiet", *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            raise lab.Failure(f"sluice-load ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
        return json.loads(done.stdout)

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
                raise lab.Failure(f"nothing has moved for {STALL_SECONDS} s at {ended} of {count}")
            time.sleep(0.05)


def start_smtp_sink(folder, port):
    return folder.start("smtp-sink", "smtp-sink", "-u", "root" if os.getuid() == 0 else os.environ["USER"],
                        f"127.60.0.1:{port}", 1000)


def thread_seconds(pid, name):
    """CPU of the threads whose names begin so, since they started."""
    ticks = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith(name):
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / lab.TICKS


def through(folder, name, messages, receiver, port, more=""):
    """`messages` jobs of one recipient through the engine to a receiver that listens on port already."""
    engine = Engine(folder, name, port, more)
    written = bytes_written(engine.process.pid)
    before, receiver_before, start = engine.process.cpu_seconds(), receiver.cpu_seconds(), time.monotonic()
    accepted = engine.load("--job-per-recipient", "--recipients", messages, "--size", MESSAGE_BYTES)
    status = engine.wait_for_all(messages)
    seconds = time.monotonic() - start
    cpu = engine.process.cpu_seconds() - before
    receiver_cpu = receiver.cpu_seconds() - receiver_before
    signers_cpu = thread_seconds(engine.process.pid, "sign")
    if status["delivered"] != messages:
        raise lab.Failure(f"{name}: {status['delivered']} of {messages} delivered")
    result = {
        "accepted_per_second": accepted["rate_per_second"],
        "delivered_per_second": messages / seconds,
        "cpu_us": cpu / messages * 1e6,
        "signers_cpu_us": signers_cpu / messages * 1e6,  # part of cpu_us
        "receiver_cpu_us": receiver_cpu / messages * 1e6,
        "written_bytes": (bytes_written(engine.process.pid) - written) / messages,
        "peak_rss_mib": engine.process.peak_rss_bytes() / 2**20,
        "deferrals": status["deferrals"],
    }
    result["syscalls"] = count_syscalls(engine, messages)
    engine.process.end()
    shutil.rmtree(engine.data, ignore_errors=True)
    return result


def count_syscalls(engine, sent_before):
    """System calls a message, counted by perf over a smaller run on the warm engine; None where perf may not."""
    if not shutil.which("perf"):
        return None
    count = min(sent_before, SYSCALL_MESSAGES_MAX)
    perf = subprocess.Popen(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", str(engine.process.pid)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)  # perf says nothing when it has attached
    engine.load("--job-per-recipient", "--recipients", count, "--size", MESSAGE_BYTES, "--first", sent_before)
    engine.wait_for_all(sent_before + count)
    perf.send_signal(2)
    counted = re.search(r"^(\d+),", perf.communicate()[1], re.MULTILINE)
    return int(counted.group(1)) / count if counted else None


def bytes_written(pid):
    """What a process has given to the file systems so far, in pages that were dirtied by it."""
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


def measure_a(folder, options):
    port, = lab.free_ports(1, "127.60.0.1")
    receiver = start_smtp_sink(folder, port)
    time.sleep(0.3)
    receiver.check()
    result = through(folder, "a", options.messages, receiver, port)
    receiver.end()
    return result


def measure_b(folder, options):
    port, = lab.free_ports(1, "127.60.0.1")
    stats, = lab.free_ports(1)
    receiver = folder.start_sink(f"127.60.0.1:{port}", stats)
    result = through(folder, "b", options.messages, receiver, port)
    counted = lab.get_json(stats, "/")
    if counted["faults"]:
        raise lab.Failure(f"b: the sink saw breaches of the protocol: {counted['faults']}")
    result["connections"] = counted["connections"]["opened"]
    receiver.end()
    return result


def measure_c(folder, options):
    """One big job, accepted and kept for an hour: the price of a recipient before anything is sent."""
    engine = Engine(folder, "c", 9)
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    empty_rss, empty_disk = engine.process.peak_rss_bytes(), lab.disk_bytes(engine.data)
    before = engine.process.cpu_seconds()
    accepted = engine.load("--recipients", options.recipients, "--size", f"{CONTENT_KIB}KiB", "--vars", VARIABLES,
                           "--send-at", later.strftime("%Y-%m-%dT%H:%M:%SZ"))
    cpu = engine.process.cpu_seconds() - before
    status = engine.status()
    if status["accepted"] != options.recipients or status["open"] != options.recipients:
        raise lab.Failure(f"c: {status['accepted']} accepted and {status['open']} open of {options.recipients}")
    result = {
        "accepted_per_second": accepted["rate_per_second"],
        "latency_ms": accepted["latency_ms"],
        "cpu_us": cpu / options.recipients * 1e6,
        "disk_bytes": (lab.disk_bytes(engine.data) - empty_disk) / options.recipients,
        "peak_rss_mib": engine.process.peak_rss_bytes() / 2**20,
        "empty_rss_mib": empty_rss / 2**20,
    }
    engine.process.end()
    result["disk_bytes_stopped"] = lab.disk_bytes(engine.data) / options.recipients
    shutil.rmtree(engine.data, ignore_errors=True)
    return result


def openssl_sign_us():
    """CPU of one RSA-2048 signature by `openssl speed`, on one core, beside whatever else runs now."""
    done = subprocess.run(["openssl", "speed", "-mr", "-seconds", "5", "rsa2048"], capture_output=True, text=True)
    # +F2:<number>:<bits>:<seconds a signature>:<seconds a verification>, or signatures a second; by the clock of its CPU
    found = re.search(r"^\+F2:\d+:2048:([0-9.]+):", done.stdout, re.MULTILINE)
    if not found:
        raise lab.Failure(f"openssl speed said nothing that we know: {done.stdout[-300:]}")
    value = float(found.group(1))
    return 1e6 / value if value > 1 else value * 1e6


def measure_d(folder, options):
    """The same mail unsigned and with an RSA-2048 signature each, and what a signature costs openssl in between."""
    count = min(options.messages, SIGNED_MESSAGES_MAX)
    key = folder.folder / "dkim.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key], check=True,
                   capture_output=True)
    key.chmod(0o600)
    entry = f'[[dkim]]\ndomain = "load.test"\nselector = "s1"\nkey = "{key}"\n'
    results = {}
    for name, more in (("plain", ""), ("signed", entry)):
        port, = lab.free_ports(1, "127.60.0.1")
        stats, = lab.free_ports(1)
        receiver = folder.start_sink(f"127.60.0.1:{port}", stats, name=f"sink-{name}")
        results[name] = through(folder, f"d-{name}", count, receiver, port, more)
        receiver.end()
        results.setdefault("openssl_us", openssl_sign_us())
    results["beyond_openssl_us"] = results["signed"]["cpu_us"] - results["plain"]["cpu_us"] - results["openssl_us"]
    return results


class Singles:
    """Transactional mails, one request each, over one connection to the API; how long each took."""

    def __init__(self, engine, first=0):
        self.engine, self.next = engine, first
        self.connection = http.client.HTTPConnection("127.0.0.1", engine.http, timeout=60)
        self.ack_ms = []

    def send(self):
        body = json.dumps({"from": "bounce@load.test", "class": "transactional", "content": {
            "from": "Shop <shop@load.test>", "subject": "Your order", "text": "Thank you.\n" * (MESSAGE_BYTES // 11)},
            "recipients": [{"to": f"t{self.next}@sink.test"}]})
        self.next += 1
        begin = time.monotonic()
        self.connection.request("POST", "/v1/messages", body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        if answer.status != 202:
            raise lab.Failure(f"a single mail is answered with {answer.status}: {answer.read()[:300]}")
        answer.read()
        self.ack_ms.append((time.monotonic() - begin) * 1000)

    def delivered_ms(self, count):
        """Accepted to delivered, as the events have it, once all have been."""
        accepted, took, after = {}, [], 0
        while len(took) < count:
            status, body = lab.get(self.engine.http, f"/v1/events?after={after}&limit=10000&wait=5s", 30)
            events = [json.loads(line) for line in body.splitlines()]
            if status != 200 or not events:
                raise lab.Failure(f"{len(took)} of {count} single mails are delivered, and no event comes any more")
            after = events[-1]["seq"]
            for event in (one for one in events if one["class"] == "transactional"):
                at = datetime.datetime.fromisoformat(event["time"])
                if event["type"] == "accepted":
                    accepted[event["delivery"]] = at
                elif event["type"] == "delivered":
                    took.append((at - accepted[event["delivery"]]).total_seconds() * 1000)
        return took


def percentiles(values):
    ordered = sorted(values)
    return {f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 99)}


def measure_l(folder, options):
    """Single transactional mails one after another, on an idle engine and beside a bulk job to the same site."""
    results = {}
    for name, recipients in (("idle", 0), ("beside", options.bulk)):
        port, = lab.free_ports(1, "127.60.0.1")
        stats, = lab.free_ports(1)
        receiver = folder.start_sink(f"127.60.0.1:{port}", stats, name=f"sink-{name}")
        engine = Engine(folder, f"l-{name}", port)
        singles = Singles(engine)
        singles.send()  # opens a connection to the site
        singles.delivered_ms(1)
        singles.ack_ms.clear()
        if recipients:
            engine.load("--recipients", recipients, "--size", MESSAGE_BYTES, "--vars", VARIABLES)
        for _ in range(SINGLES):
            singles.send()
            time.sleep(0.01)
        bulk_left = engine.status()["open"]
        if recipients and bulk_left < recipients / 100:
            raise lab.Failure("l: the bulk job ended before the single mails did; give it more recipients")
        results[name] = {"ack_ms": percentiles(singles.ack_ms), "delivered_ms": percentiles(singles.delivered_ms(SINGLES + 1))}
        engine.process.end()
        receiver.end()
        shutil.rmtree(engine.data, ignore_errors=True)
    return results


def measure_w(folder, options):
    """The other ways in, each until all of it is delivered to sluice-sink."""
    count = options.messages // 4
    def by_json(engine):
        engine.load("--recipients", count, "--size", MESSAGE_BYTES, "--clients", 50, way="json")
    def by_smtp(engine):
        smtp_source(20, count, f"127.0.0.1:{engine.submission}")
    results = {}
    for name, way in (("json", by_json), ("smtp", by_smtp)):
        port, = lab.free_ports(1, "127.60.0.1")
        stats, = lab.free_ports(1)
        receiver = folder.start_sink(f"127.60.0.1:{port}", stats, name=f"sink-{name}")
        engine = Engine(folder, f"w-{name}", port)
        before, start = engine.process.cpu_seconds(), time.monotonic()
        way(engine)
        accepted = time.monotonic() - start
        engine.wait_for_all(count)
        seconds = time.monotonic() - start
        results[name] = {"accepted_per_second": count / accepted, "delivered_per_second": count / seconds,
                         "cpu_us": (engine.process.cpu_seconds() - before) / count * 1e6}
        engine.process.end()
        receiver.end()
        shutil.rmtree(engine.data, ignore_errors=True)
    return results


def measure_k(folder, options):
    """Large mails of one job, rendered for each recipient: octets a second to sluice-sink."""
    count = options.messages // 8
    port, = lab.free_ports(1, "127.60.0.1")
    stats, = lab.free_ports(1)
    receiver = folder.start_sink(f"127.60.0.1:{port}", stats)
    engine = Engine(folder, "k", port)
    before, receiver_before, start = engine.process.cpu_seconds(), receiver.cpu_seconds(), time.monotonic()
    engine.load("--recipients", count, "--size", f"{CONTENT_KIB}KiB", "--vars", VARIABLES)
    engine.wait_for_all(count)
    seconds = time.monotonic() - start
    result = {"delivered_per_second": count / seconds, "megabytes_per_second": count * CONTENT_KIB / seconds / 1000 * 1.024,
              "cpu_us": (engine.process.cpu_seconds() - before) / count * 1e6,
              "receiver_cpu_us": (receiver.cpu_seconds() - receiver_before) / count * 1e6}
    engine.process.end()
    receiver.end()
    shutil.rmtree(engine.data, ignore_errors=True)
    return result


def smtp_source(sessions, messages, server):
    done = subprocess.run(["smtp-source", "-d", "-s", str(sessions), "-l", str(MESSAGE_BYTES), "-m", str(messages),
                           "-f", "bounce@load.test", "-t", "u@sink.test", server], capture_output=True, text=True)
    if done.returncode != 0:
        raise lab.Failure(f"smtp-source ended with {done.returncode}: {done.stderr[-500:]}")


def measure_peer(folder, options):
    """smtp-source straight into smtp-sink: no queue, no disk, no DNS; what two C programs of the trade can do here."""
    port, = lab.free_ports(1, "127.60.0.1")
    receiver = start_smtp_sink(folder, port)
    time.sleep(0.3)
    receiver.check()
    before, start = receiver.cpu_seconds(), time.monotonic()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    smtp_source(CONNECTIONS, options.messages, f"127.60.0.1:{port}")
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    result = {"delivered_per_second": options.messages / seconds, "cpu_us": cpu / options.messages * 1e6,
              "receiver_cpu_us": (receiver.cpu_seconds() - before) / options.messages * 1e6}
    receiver.end()
    return result


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit():
    done = subprocess.run(["git", "-C", str(lab.ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def row(what, result):
    accepted, calls, written, peak = (result.get(key) for key in ("accepted_per_second", "syscalls", "written_bytes", "peak_rss_mib"))
    cells = [what, f"{accepted:,.0f}" if accepted else "-", f"{result['delivered_per_second']:,.0f}",
             f"{result['cpu_us']:.1f}", f"{result['receiver_cpu_us']:.1f}", f"{calls:.2f}" if calls else "-",
             f"{written:,.0f}" if written else "-", f"{peak:.0f}" if peak else "-"]
    return "| " + " | ".join(cells) + " |"


def report(results, options, command, load_before):
    lines = [
        "# Results of bench/run.sh", "",
        f"{datetime.date.today()}, commit {commit()}, `{command}`. {processor()}, {os.cpu_count()} cores, Linux "
        f"{platform.release()}; load average at the start {load_before:.1f}. Absolute rates on such a machine say little: "
        "read the CPU per message and the ratios.", "",
        f"{options.messages:,} messages of {MESSAGE_BYTES} octets, one recipient each, over {CONNECTIONS} connections. The engine "
        "takes each as a job of its own (NDJSON over a Unix socket), has it on disk before it answers, delivers it, "
        "and has the outcome on disk; smtp-source has no queue and no disk.", "",
        "| run | accepted/s | delivered/s | CPU µs a message | receiver's CPU µs | system calls a message | bytes to disk a message | peak RSS MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    names = {"a": "Sluice to smtp-sink", "b": "Sluice to sluice-sink", "peer": "smtp-source to smtp-sink"}
    lines += [row(names[key], results[key]) for key in ("a", "b", "peer") if key in results]
    if "a" in results and "peer" in results:
        ours, peer = results["a"], results["peer"]
        lines += ["", f"To the same smtp-sink, accepting and delivering through the queue runs at "
                      f"{ours['delivered_per_second'] / peer['delivered_per_second']:.2f} times the rate of smtp-source "
                      f"without one, at {ours['cpu_us'] / peer['cpu_us']:.2f} times its CPU a message. smtp-sink itself "
                      f"takes {ours['receiver_cpu_us']:.0f} µs a message: on one core it ends at "
                      f"{1e6 / ours['receiver_cpu_us']:,.0f}/s."]
    if "c" in results:
        c = results["c"]
        lines += ["", f"One job of {options.recipients:,} recipients, a content of {CONTENT_KIB} KiB and {VARIABLES} variables each, "
                      "accepted for an hour later:", "",
                  "| recipients accepted/s | CPU µs a recipient | bytes on disk a recipient | after an orderly stop | peak RSS MiB "
                  "(started: ) | 64 KiB piece to its answer p50 / p99 ms |".replace("started: ", f"started: {c['empty_rss_mib']:.0f}"),
                  "|---|---|---|---|---|---|",
                  f"| {c['accepted_per_second']:,.0f} | {c['cpu_us']:.1f} | {c['disk_bytes']:.0f} | {c['disk_bytes_stopped']:.0f} | "
                  f"{c['peak_rss_mib']:.0f} | {c['latency_ms']['p50']:.1f} / {c['latency_ms']['p99']:.1f} |"]
    if "d" in results:
        d = results["d"]
        lines += ["", f"DKIM with RSA-2048, {min(options.messages, SIGNED_MESSAGES_MAX):,} messages: {d['signed']['delivered_per_second']:,.0f}/s "
                      f"at {d['signed']['cpu_us']:.0f} µs of CPU each, unsigned {d['plain']['cpu_us']:.0f}; a signature costs `openssl speed` "
                      f"{d['openssl_us']:.0f} µs, so signing costs {d['beyond_openssl_us']:.0f} µs beyond it."]
    if "w" in results:
        lines += ["", f"Other ways in, {options.messages // 4:,} messages, to sluice-sink:", "",
                  "| way | accepted/s | delivered/s | CPU µs a message |", "|---|---|---|---|"]
        what = {"json": "a JSON request each, 50 clients", "smtp": "SMTP, smtp-source with 20 sessions"}
        for name, one in results["w"].items():
            lines.append(f"| {what[name]} | {one['accepted_per_second']:,.0f} | {one['delivered_per_second']:,.0f} | {one['cpu_us']:.1f} |")
    if "k" in results:
        k = results["k"]
        lines += ["", f"One job of {options.messages // 8:,} mails of {CONTENT_KIB} KiB with {VARIABLES} variables, to sluice-sink: "
                      f"{k['megabytes_per_second']:,.0f} MB/s ({k['delivered_per_second']:,.0f}/s) at {k['cpu_us']:.0f} µs of CPU each; the sink takes "
                      f"{k['receiver_cpu_us']:.0f}."]
    if "l" in results:
        lines += ["", f"{SINGLES} single transactional mails, one request each, one after another with 10 ms between, to sluice-sink:", "",
                  "| beside | request to its 202 p50 / p99 ms | accepted to delivered p50 / p99 ms |", "|---|---|---|"]
        what = {"idle": "nothing", "beside": f"a bulk job of {options.bulk:,} to the same site, at full speed"}
        for name, one in results["l"].items():
            ack, sent = one["ack_ms"], one["delivered_ms"]
            lines.append(f"| {what[name]} | {ack['p50']:.1f} / {ack['p99']:.1f} | {sent['p50']:.0f} / {sent['p99']:.0f} |")
    return "\n".join(lines) + "\n"


def main():
    measures = {"peer": measure_peer, "a": measure_a, "b": measure_b, "c": measure_c, "d": measure_d, "l": measure_l, "w": measure_w,
                "k": measure_k}
    parser = argparse.ArgumentParser(prog="bench/run.sh", description="Measures the engine beside a peer")
    parser.add_argument("--messages", type=int, default=200_000, help="of runs a and b and of the peer")
    parser.add_argument("--recipients", type=int, default=1_000_000, help="of run c")
    parser.add_argument("--bulk", type=int, default=1_000_000, help="recipients of the job beside the singles of run l")
    parser.add_argument("--only", default="", help="some of peer,a,b,c,d,l,w,k: printed, and RESULTS.md is left alone")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(measures)
    if unknown := set(wanted) - set(measures):
        parser.error(f"unknown runs {', '.join(sorted(unknown))}; there are {', '.join(measures)}")
    command = " ".join(["bench/run.sh", *sys.argv[1:]])
    load_before, results = os.getloadavg()[0], {}
    try:
        with lab.Lab("bench") as folder:
            for name in wanted:
                print(f"run {name} ...", file=sys.stderr, flush=True)
                results[name] = measures[name](folder, options)
                print(f"  {json.dumps(results[name])}", file=sys.stderr, flush=True)
    except lab.Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    text = report(results, options, command, load_before)
    print(text)
    if not options.only:
        RESULTS.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
