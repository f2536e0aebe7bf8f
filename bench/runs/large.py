"""Large mails of one job, rendered for each recipient: octets a second to sluice-sink."""

import time

from runs import trial

CONTENT_KIB = 50


def measure(folder, options):
    count = options.messages // 8
    with trial.sink(folder, "large") as sink, trial.engine(folder, "large", sink.port) as one:
        before, receiver_before, start = one.cpu_seconds(), sink.process.cpu_seconds(), time.monotonic()
        one.load(*trial.TO_SINK, "--recipients", count, "--size", f"{CONTENT_KIB}KiB", "--vars", trial.VARIABLES)
        one.wait_for_all(count)
        seconds = time.monotonic() - start
        return {"delivered_per_second": count / seconds, "megabytes_per_second": count * CONTENT_KIB * 1024 / seconds / 1e6,
                "cpu_us": (one.cpu_seconds() - before) / count * 1e6,
                "receiver_cpu_us": (sink.process.cpu_seconds() - receiver_before) / count * 1e6}


def lines(k, options):
    return [f"One job of {options.messages // 8:,} mails of {CONTENT_KIB} KiB with {trial.VARIABLES} variables, to sluice-sink: "
            f"{k['megabytes_per_second']:,.0f} MB/s ({k['delivered_per_second']:,.0f}/s) at {k['cpu_us']:.0f} µs of CPU each; the sink takes "
            f"{k['receiver_cpu_us']:.0f}. Wanted: 400 MB/s."]
