"""One big job, accepted and kept for an hour: the price of a recipient before anything is sent."""

import datetime

import lab
from runs import trial

CONTENT_KIB = 50


def measure(folder, options):
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    with trial.engine(folder, "job", 9) as one:
        empty_rss, empty_disk, before = one.peak_rss_bytes(), lab.disk_bytes(one.data), one.cpu_seconds()
        accepted = one.load(*trial.TO_SINK, "--recipients", options.recipients, "--size", f"{CONTENT_KIB}KiB", "--vars", trial.VARIABLES,
                            "--send-at", later.strftime("%Y-%m-%dT%H:%M:%SZ"))
        cpu, status = one.cpu_seconds() - before, one.status()
        if status["accepted"] != options.recipients or status["open"] != options.recipients:
            raise lab.Failure(f"{status['accepted']} accepted and {status['open']} open of {options.recipients}")
        result = {"accepted_per_second": accepted["rate_per_second"], "latency_ms": accepted["latency_ms"],
                  "cpu_us": cpu / options.recipients * 1e6, "disk_bytes": (lab.disk_bytes(one.data) - empty_disk) / options.recipients,
                  "peak_rss_mib": one.peak_rss_bytes() / 2**20, "empty_rss_mib": empty_rss / 2**20}
        one.end()
        result["disk_bytes_stopped"] = lab.disk_bytes(one.data) / options.recipients
    return result


def lines(c, options):
    return [f"{options.recipients:,} recipients, a content of {CONTENT_KIB} KiB and {trial.VARIABLES} variables each, accepted for an hour later:", "",
            f"| recipients accepted/s | CPU µs a recipient | bytes on disk a recipient | after an orderly stop | peak RSS MiB (started: "
            f"{c['empty_rss_mib']:.0f}) | 64 KiB piece to its answer p50 / p99 ms |", "|---|---|---|---|---|---|",
            f"| {c['accepted_per_second']:,.0f} | {c['cpu_us']:.1f} | {c['disk_bytes']:.0f} | {c['disk_bytes_stopped']:.0f} | "
            f"{c['peak_rss_mib']:.0f} | {c['latency_ms']['p50']:.1f} / {c['latency_ms']['p99']:.1f} |"]
