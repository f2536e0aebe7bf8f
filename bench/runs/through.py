"""Single mails through the engine to two receivers, and in the same run what peers do: smtp-source without a queue, and
Postfix with one."""

import json
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time

import lab
import plot
from runs import trial

sys.path += [str(lab.ROOT / "tests/e2e"), str(lab.ROOT / "tests/interop")]
import postfix  # found on the path above

SYSCALL_MESSAGES = 20_000
ALLOCATION_MESSAGES = 20_000
POSTFIX_MESSAGES = 5_000
POSTFIX_SESSIONS = 20

# As its tuning guides have it for bulk: no lookups, many processes, one destination that takes what it is given.
POSTFIX_FOR_BULK = """
relayhost = [127.60.0.1]:{port}
smtp_dns_support_level = disabled
smtp_host_lookup = native
default_process_limit = 200
qmgr_message_active_limit = 50000
qmgr_message_recipient_limit = 50000
initial_destination_concurrency = 100
default_destination_concurrency_limit = 100
default_destination_concurrency_positive_feedback = 1
smtp_connection_cache_on_demand = yes
smtp_connection_reuse_count_limit = 0
smtp_connection_reuse_time_limit = 3600s
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
smtpd_recipient_restrictions = permit_mynetworks, reject
receive_override_options = no_address_mappings, no_header_body_checks
local_header_rewrite_clients =
maximal_queue_lifetime = 1h
"""


def measure(folder, options):
    results = {}
    with trial.smtp_sink(folder) as receiver:
        results["peer"] = smtp_source_alone(receiver, options.messages)
    with trial.smtp_sink(folder) as receiver, trial.engine(folder, "a", receiver.port) as one:
        results["a"] = with_syscalls(one, trial.single_mails(one, options.messages, receiver), options.messages)
    with trial.sink(folder, "b") as sink, trial.engine(folder, "b", sink.port) as one:
        results["b"] = with_syscalls(one, trial.single_mails(one, options.messages, sink.process), options.messages)
        results["b"]["allocations"] = allocations(folder, sink)
    if reason := postfix.unavailable():
        print(f"  without Postfix: {reason}", file=sys.stderr)
    else:
        with trial.smtp_sink(folder) as receiver:
            results["postfix"] = through_postfix(folder, receiver)
    return results


def with_syscalls(one, result, sent_before):
    """Beside the other figures: system calls a message, by perf over a smaller run on the warm engine, where perf may."""
    if not shutil.which("perf"):
        return result
    count = min(sent_before, SYSCALL_MESSAGES)
    perf = subprocess.Popen(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", str(one.pid)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)  # perf says nothing when it has attached
    one.load(*trial.TO_SINK, "--job-per-recipient", "--recipients", count, "--size", trial.MESSAGE_BYTES, "--first", sent_before)
    one.wait_for_all(sent_before + count)
    perf.send_signal(2)
    counted = re.search(r"^(\d+),", perf.communicate()[1], re.MULTILINE)
    return result | {"syscalls": int(counted.group(1)) / count if counted else None}


def allocations(folder, sink):
    """A message, as jemalloc's own counts have it: of an engine that has sent some, less one that has only been started."""
    counts = []
    for messages in (0, ALLOCATION_MESSAGES):
        name = f"malloc{messages}"
        with trial.engine(folder, name, sink.port, environment={"MALLOC_CONF": "stats_print:true,stats_print_opts:Jgdablxe"}) as one:
            if messages:
                trial.single_mails(one, messages, sink.process)
        text = one.log.read_text(errors="replace")
        begin = text.rfind('{"jemalloc"')
        if begin < 0:
            raise lab.Failure(f"{name}: jemalloc has printed no counts")
        merged = json.JSONDecoder().raw_decode(text[begin:])[0]["jemalloc"]["stats.arenas"]["merged"]
        counts.append(sum(merged[size]["nrequests"] for size in ("small", "large")))
    return (counts[1] - counts[0]) / ALLOCATION_MESSAGES


def smtp_source(sessions, messages, server):
    """Runs it to its end and returns its CPU in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["smtp-source", "-d", "-s", str(sessions), "-l", str(trial.MESSAGE_BYTES), "-m", str(messages),
                           "-f", "bounce@load.test", "-t", "u@sink.test", server], capture_output=True, text=True)
    if done.returncode != 0:
        raise lab.Failure(f"smtp-source ended with {done.returncode}: {done.stderr[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def smtp_source_alone(receiver, messages):
    before, start = receiver.cpu_seconds(), time.monotonic()
    cpu = smtp_source(trial.CONNECTIONS, messages, f"127.60.0.1:{receiver.port}")
    return {"delivered_per_second": messages / (time.monotonic() - start), "cpu_us": cpu / messages * 1e6,
            "receiver_cpu_us": (receiver.cpu_seconds() - before) / messages * 1e6}


def tree_cpu_seconds(pid):
    """Of a process and all that came of it, those that have ended included."""
    total, parents = 0.0, {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended
            continue
        parents[int(stat.parent.name)] = (int(fields[1]), sum(int(field) for field in fields[11:15]))
    for one, (_, ticks) in parents.items():
        above = one
        while above and above != pid:
            above = parents.get(above, (0, 0))[0]
        total += ticks if above == pid else 0
    return total / lab.TICKS


def through_postfix(folder, receiver):
    """Its master with smtpd, cleanup, qmgr and smtp: in by smtp-source, out to the same kind of smtp-sink."""
    listen, = lab.free_ports(1)
    server = postfix.Postfix(folder.folder, "postfix-bulk", f"127.0.0.1:{listen}", POSTFIX_FOR_BULK.format(port=receiver.port))
    try:
        pid = server.process.child.pid
        before, receiver_before, start = tree_cpu_seconds(pid), receiver.cpu_seconds(), time.monotonic()
        smtp_source(POSTFIX_SESSIONS, POSTFIX_MESSAGES, f"127.0.0.1:{listen}")
        accepted = time.monotonic() - start
        lab.wait_until(lambda: server.sent() >= POSTFIX_MESSAGES, 300, "Postfix has sent everything", every=0.1)
        seconds = time.monotonic() - start
        return {"accepted_per_second": POSTFIX_MESSAGES / accepted, "delivered_per_second": POSTFIX_MESSAGES / seconds,
                "cpu_us": (tree_cpu_seconds(pid) - before) / POSTFIX_MESSAGES * 1e6,
                "receiver_cpu_us": (receiver.cpu_seconds() - receiver_before) / POSTFIX_MESSAGES * 1e6}
    finally:
        server.end()


NAMES = {"a": "Sluice to smtp-sink", "b": "Sluice to sluice-sink", "peer": "smtp-source to smtp-sink", "postfix": "Postfix to smtp-sink"}


def row(what, result):
    def cell(key, form):
        value = result.get(key)
        return "-" if value is None else format(value, form)
    return "| " + " | ".join([
        what, cell("accepted_per_second", ",.0f"), cell("delivered_per_second", ",.0f"), cell("cpu_us", ",.1f"),
        cell("receiver_cpu_us", ",.1f"), cell("syscalls", ".2f"), cell("allocations", ".0f"), cell("written_bytes", ",.0f"),
        cell("peak_rss_mib", ".0f")]) + " |"


def lines(results, options):
    out = [f"{options.messages:,} messages of {trial.MESSAGE_BYTES} octets, one recipient each, over {trial.CONNECTIONS} connections. The engine "
           "takes each as a job of its own (NDJSON over a Unix socket), has it on disk before it answers, delivers it, "
           "and has the outcome on disk; smtp-source has no queue and no disk.", "",
           "| run | accepted/s | delivered/s | CPU µs a message | receiver's CPU µs | system calls a message | allocations a message | "
           "bytes to disk a message | peak RSS MiB |", "|---|---|---|---|---|---|---|---|---|"]
    out += [row(NAMES[key], results[key]) for key in NAMES if key in results]
    ours, peer = results["a"], results["peer"]
    out += ["", f"To the same smtp-sink, accepting and delivering through the queue runs at "
                f"{ours['delivered_per_second'] / peer['delivered_per_second']:.2f} times the rate of smtp-source without one, at "
                f"{ours['cpu_us'] / peer['cpu_us']:.2f} times its CPU a message. smtp-sink itself takes {ours['receiver_cpu_us']:.0f} µs a message: "
                f"on one core it ends at {1e6 / ours['receiver_cpu_us']:,.0f}/s."]
    if other := results.get("postfix"):
        out += ["", f"Postfix 3.7, tuned for bulk (`bench/runs/through.py`), {POSTFIX_MESSAGES:,} messages in by {POSTFIX_SESSIONS} sessions of "
                    f"smtp-source: Sluice has {ours['delivered_per_second'] / other['delivered_per_second']:.0f} times its rate and "
                    f"takes 1/{other['cpu_us'] / ours['cpu_us']:.0f} of its CPU a message."]
    return out


def plots(results):
    rows = [(NAMES[key], results[key], key in "ab") for key in NAMES if key in results]
    return {"through-rate": plot.bars("Messages a second, 2 KiB, one recipient each", [(n, r["delivered_per_second"], o) for n, r, o in rows], "/s"),
            "through-cpu": plot.bars("CPU a message, sender's side", [(n, r["cpu_us"], o) for n, r, o in rows], "µs")}
