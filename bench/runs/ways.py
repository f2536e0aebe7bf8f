"""The other ways in, each until all of it is delivered to sluice-sink."""

import time

from runs import through, trial

NAMES = {"json": "a JSON request each, 50 clients", "smtp": "SMTP, smtp-source with 20 sessions"}


def by_json(one, count):
    one.load(*trial.TO_SINK, "--recipients", count, "--size", trial.MESSAGE_BYTES, "--clients", 50, way="json")


def by_smtp(one, count):
    through.smtp_source(20, count, f"127.0.0.1:{one.submission}")


def measure(folder, options):
    count, results = options.messages // 4, {}
    for name, way in (("json", by_json), ("smtp", by_smtp)):
        with trial.sink(folder, name) as sink, trial.engine(folder, name, sink.port) as one:
            before, start = one.cpu_seconds(), time.monotonic()
            way(one, count)
            accepted = time.monotonic() - start
            one.wait_for_all(count)
            results[name] = {"accepted_per_second": count / accepted, "delivered_per_second": count / (time.monotonic() - start),
                             "cpu_us": (one.cpu_seconds() - before) / count * 1e6}
    return results


def lines(results, options):
    out = [f"{options.messages // 4:,} messages, to sluice-sink:", "", "| way | accepted/s | delivered/s | CPU µs a message |", "|---|---|---|---|"]
    for name, one in results.items():
        out.append(f"| {NAMES[name]} | {one['accepted_per_second']:,.0f} | {one['delivered_per_second']:,.0f} | {one['cpu_us']:.1f} |")
    return out
