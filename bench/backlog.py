"""A backlog larger than memory: its price, its start, its rate, and what a receiver that is down costs others. See README.md."""

import argparse
import datetime
import json
import signal
import sys
import threading
import time

import lab
import results

CONTENT_KIB = 20
SITES = 50
LIVE_DOMAINS = 20  # beside the receiver that is down
DOWN_DOMAINS = 1_000
SINGLE_MAILS, SINGLE_CLIENTS = 2_000, 2
POLL_SECONDS = 0.005


class Bench:
    """A sink with its zone, and engines one after the other on data_dirs that may outlive them."""

    def __init__(self, folder, queues):
        self.folder, self.queues = folder, queues
        self.smtp, = lab.free_ports(1, "127.60.0.1")
        self.dns, self.stats, self.http, self.metrics = lab.free_ports(4)
        self.socket = folder.folder / "ingest.sock"
        self.sink = self.engine = None

    def start_sink(self):
        self.sink = self.folder.start_sink(
            f"127.60.0.0/24:{self.smtp}", self.stats, "--dns", f"127.0.0.1:{self.dns}", "--domains", self.queues, "--sites",
            min(SITES, self.queues), "--ttl", 3600)

    def start_engine(self, data, **more):
        """Returns at once: the time to the first delivery counts from here."""
        settings = lab.settings(data, self.http, self.socket, metrics=self.metrics, dns=self.dns, delivery={"port": self.smtp}, **more)
        self.engine = self.folder.start_engine(settings, self.http, self.socket, wait=False)

    def wait_ready(self):
        self.engine.wait_ready(every=POLL_SECONDS)

    def kill_engine(self):
        self.engine.child.send_signal(signal.SIGKILL)
        self.engine.child.wait()

    def load(self, *words, mode="ndjson"):
        return self.engine.load(*words, way=mode)

    def shape(self):
        return ["--domains", f"d{{0..{self.queues - 1}}}.demo.test"]

    def status(self):
        return self.engine.status()

    def taken(self):
        return lab.get_json(self.stats, "/")["messages"]["accepted"]

    def rss_mib(self):
        return self.engine.rss_bytes() / 2**20


def fixed_routes(bench):
    """Everything goes to a receiver that refuses connections, but for some domains that work."""
    closed, = lab.free_ports(1, "127.60.0.200")
    return [{"name": "*", "route": [f"[127.60.0.200]:{closed}"]}] + [
        {"name": f"l{n}.live.test", "route": [f"[127.60.0.{n + 1}]:{bench.smtp}"]} for n in range(LIVE_DOMAINS)]


def utc(seconds_ahead):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_ahead)
    return at, at.strftime("%Y-%m-%dT%H:%M:%SZ")


def sleep_until(moment):
    time.sleep(max(0.0, (moment - datetime.datetime.now(datetime.timezone.utc)).total_seconds()))


def measure_empty(bench, options):
    """The rate with an empty queue: mail that comes in and leaves at once, of the same shape as the backlog."""
    bench.start_engine(bench.folder.folder / "empty")
    bench.wait_ready()
    result = burst(bench, options, bench.shape()) | {"rss_peak": bench.engine.peak_rss_bytes() / 2**20}
    bench.engine.end()
    return result


def burst(bench, options, shape):
    """From the first octet of `live` deliveries that come in until the sink has taken them all."""
    before, cpu, start = bench.taken(), bench.engine.cpu_seconds(), time.monotonic()
    loader = threading.Thread(target=bench.load, args=["--recipients", options.live, "--size", f"{CONTENT_KIB}KiB", "--vars", 1, *shape])
    loader.start()
    while (done := bench.taken() - before) < options.live:
        bench.engine.check()
        if time.monotonic() - start > 600:
            raise lab.Failure(f"only {done} of {options.live} were delivered in 600 s")
        time.sleep(0.05)
    seconds = time.monotonic() - start
    loader.join()
    return {"rate": options.live / seconds, "cpu_us": (bench.engine.cpu_seconds() - cpu) / options.live * 1e6}


def measure_backlog(bench, options):
    """Takes the backlog in for later, dies by kill -9, starts when it is due, and delivers."""
    data = bench.folder.folder / "backlog"
    bench.start_engine(data)
    bench.wait_ready()
    result = {"rss_empty": bench.rss_mib()}
    due, text = utc(options.deliveries / options.pace + 20)
    cpu = bench.engine.cpu_seconds()
    accepted = bench.load("--recipients", options.deliveries, "--send-at", text, "--size", f"{CONTENT_KIB}KiB", "--vars", 1,
                          *bench.shape())
    if datetime.datetime.now(datetime.timezone.utc) > due:
        raise lab.Failure("the backlog came in too slowly, and some of it was due before the end; try a smaller --pace")
    result |= {"accepted_rate": accepted["rate_per_second"], "accept_cpu_us": (bench.engine.cpu_seconds() - cpu) / options.deliveries * 1e6,
               "latency_ms": accepted["latency_ms"], "rss_loaded": bench.rss_mib(), "rss_peak_loading": bench.engine.peak_rss_bytes() / 2**20}
    status = bench.status()
    if status["open"] != options.deliveries:
        raise lab.Failure(f"{status['open']} open of {options.deliveries}")
    result["disk_bytes"] = lab.disk_bytes(data) / options.deliveries
    print(f"  {json.dumps(result)}", file=sys.stderr, flush=True)
    bench.kill_engine()
    sleep_until(due)
    before, start = bench.taken(), time.monotonic()
    bench.start_engine(data)
    while bench.taken() == before:
        bench.engine.check()
        if time.monotonic() - start > 120:
            raise lab.Failure("no delivery within 120 s of the start")
        time.sleep(POLL_SECONDS)
    result["first_delivery_s"] = time.monotonic() - start
    bench.wait_ready()
    result["ready_s"] = time.monotonic() - start
    print(f"  {json.dumps(result)}", file=sys.stderr, flush=True)
    result["rates"] = rates(bench, options)
    result["rate"] = result["rates"]["mean"]
    result |= {"rss_delivering": bench.rss_mib(), "rss_peak_delivering": bench.engine.peak_rss_bytes() / 2**20}
    status = bench.status()
    result["accepted_after_kill"], result["open_after"] = status["accepted"], status["open"]
    result["disk_bytes_delivering"] = lab.disk_bytes(data) / options.deliveries
    bench.engine.end()
    return result


def measure_down(bench, options):
    """Other sites alone, and then beside a receiver that is down with a backlog of its own."""
    data = bench.folder.folder / "down"
    bench.start_engine(data, domain=fixed_routes(bench))
    bench.wait_ready()
    result = {"alone": others(bench, options)}
    started = time.monotonic()
    bench.load("--recipients", options.down, "--size", f"{CONTENT_KIB}KiB", "--vars", 1, "--campaign", "down",
               "--domains", f"d{{0..{DOWN_DOMAINS - 1}}}.down.test")
    result["loading_s"] = time.monotonic() - started
    time.sleep(5)
    result |= {"beside": others(bench, options), "rss": bench.rss_mib(), "rss_peak": bench.engine.peak_rss_bytes() / 2**20,
               "disk_bytes": lab.disk_bytes(data) / options.down}
    status = bench.status()
    result["open"] = status["open"]
    if status["open"] != options.down:
        raise lab.Failure(f"{status['open']} open, where {options.down} cannot have been delivered and all else must have been")
    bench.engine.end()
    return result


def others(bench, options):
    """The rate of a burst to the sites that work, and how long single mails take from their acceptance."""
    domains = ["--domains", f"l{{0..{LIVE_DOMAINS - 1}}}.live.test"]
    rate = burst(bench, options, domains)["rate"]
    after = bench.status()["storage"]["last_event"]
    before = bench.taken()
    bench.load("--recipients", SINGLE_MAILS, "--clients", SINGLE_CLIENTS, "--class", "transactional", "--campaign", "single", *domains,
               mode="json")
    lab.wait_until(lambda: bench.taken() - before >= SINGLE_MAILS, 60, "the single mails are delivered")
    times, took = {}, []
    deadline = time.monotonic() + 30
    while len(took) < SINGLE_MAILS and time.monotonic() < deadline:
        for event in bench.engine.events(after, "campaign=single"):
            after = event["seq"]
            at = datetime.datetime.fromisoformat(event["time"]).timestamp()
            if event["type"] == "accepted":
                times[event["delivery"]] = at
            elif event["type"] == "delivered":
                took.append((at - times[event["delivery"]]) * 1000)
    if len(took) < SINGLE_MAILS:
        raise lab.Failure(f"only {len(took)} of {SINGLE_MAILS} single mails have a delivered event")
    took.sort()
    return {"rate": rate, "latency_ms": {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "max": took[-1]}}


def rates(bench, options):
    """Deliveries a second at the sink: in each fifth of the time, and over all of it."""
    parts, before, begun = [], bench.taken(), time.monotonic()
    first, cpu = before, bench.engine.cpu_seconds()
    for _ in range(5):
        start = time.monotonic()
        time.sleep(options.seconds / 5)
        bench.engine.check()
        now = bench.taken()
        parts.append((now - before) / (time.monotonic() - start))
        before = now
    taken = before - first
    return {"parts": [round(part) for part in parts], "mean": taken / (time.monotonic() - begun),
            "cpu_us": (bench.engine.cpu_seconds() - cpu) / max(taken, 1) * 1e6}


def backlog_lines(measured, options):
    """Of the empty queue and the backlog, which are compared."""
    lines = [f"Mail of {CONTENT_KIB} KiB with a variable, so that no two deliveries share a transaction, to {min(SITES, options.queues)} sites; load "
             "generator, engine and sink share the cores."]
    if empty := measured.get("empty"):
        lines += ["", f"With an empty queue {options.live:,} deliveries come in and leave at {empty['rate']:,.0f}/s ({empty['cpu_us']:.0f} µs CPU each, "
                      f"peak RSS {empty['rss_peak']:.0f} MiB)."]
    if b := measured.get("backlog"):
        ratio = f"{b['rate'] / empty['rate']:.2f}" if empty else "-"
        parts = ", ".join(f"{part:,}" for part in b["rates"]["parts"])
        lines += ["", f"{options.deliveries:,} deliveries in {options.queues:,} queues, taken in for later, kill -9, start when they are due:", "",
                  "| what | |", "|---|---|",
                  f"| recipients accepted a second, CPU each | {b['accepted_rate']:,.0f}, {b['accept_cpu_us']:.1f} µs |",
                  f"| data_dir, bytes a delivery (log included) | {b['disk_bytes']:.0f} |",
                  f"| RSS MiB at the start, when all is in, peak while it came in | {b['rss_empty']:.0f}, {b['rss_loaded']:.0f}, {b['rss_peak_loading']:.0f} |",
                  f"| from exec to the first delivery at the sink | {b['first_delivery_s']:.2f} s |",
                  f"| accepted and open after the kill | {b['accepted_after_kill']:,} accepted, none missing |",
                  f"| delivered a second over {options.seconds:.0f} s, CPU each | {b['rate']:,.0f}, {b['rates']['cpu_us']:.0f} µs |",
                  f"| that rate by fifths of the time | {parts} |",
                  f"| that rate against the one with an empty queue | {ratio} |",
                  f"| RSS MiB while delivering, peak | {b['rss_delivering']:.0f}, {b['rss_peak_delivering']:.0f} |", "",
                  f"The first {options.seconds:.0f} s after a start also count the rows, look at every queue once, ask for the routes of all domains and compact "
                  "what the intake left."]
    return lines


def down_lines(d, options):
    lines = [f"A receiver that refuses connections, with {options.down:,} deliveries in {DOWN_DOMAINS:,} queues waiting for it, and {LIVE_DOMAINS} others:", "",
             "| the others | a burst, deliveries/s | a single mail from accepted to delivered, ms p50 / p99 / max |", "|---|---|---|"]
    for name in ("alone", "beside"):
        took = d[name]["latency_ms"]
        lines.append(f"| {name} | {d[name]['rate']:,.0f} | {took['p50']:.0f} / {took['p99']:.0f} / {took['max']:.0f} |")
    return lines + ["", f"RSS {d['rss']:.0f} MiB, peak {d['rss_peak']:.0f}."]


def main():
    parser = argparse.ArgumentParser(prog="bench/backlog.sh", description="A backlog larger than memory")
    parser.add_argument("--deliveries", type=int, default=1_000_000, help="that wait")
    parser.add_argument("--queues", type=int, default=10_000, help="that they wait in: one for each domain")
    parser.add_argument("--down", type=int, default=500_000, help="deliveries that wait for a receiver that is down")
    parser.add_argument("--live", type=int, default=200_000, help="deliveries of a burst into an empty queue, and to the others")
    parser.add_argument("--seconds", type=float, default=20, help="for which the backlog's rate is measured")
    parser.add_argument("--pace", type=int, default=40_000, help="recipients a second: the backlog is due when it has come in at this pace")
    parser.add_argument("--only", default="empty,backlog,down", help="some of empty,backlog,down")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    options = parser.parse_args()
    measures = {"empty": measure_empty, "backlog": measure_backlog, "down": measure_down}
    wanted, measured = options.only.split(","), {}
    if unknown := set(wanted) - set(measures):
        parser.error(f"unknown runs {', '.join(sorted(unknown))}; there are {', '.join(measures)}")
    occasion = results.Occasion("bench/backlog.sh")
    try:
        with lab.Lab("backlog") as folder:
            bench = Bench(folder, options.queues)
            bench.start_sink()
            for name, measure in measures.items():
                if name not in wanted:
                    continue
                print(f"run {name} ...", file=sys.stderr, flush=True)
                measured[name] = measure(bench, options)
                print(f"  {json.dumps(measured[name])}", file=sys.stderr, flush=True)
    except lab.Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    texts = {}
    if measured.keys() & {"empty", "backlog"}:
        texts["backlog"] = results.section("backlog", occasion, backlog_lines(measured, options))
    if "down" in measured:
        texts["down"] = results.section("down", occasion, down_lines(measured["down"], options))
    print("\n".join(texts.values()))
    if options.write:
        results.write(texts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
