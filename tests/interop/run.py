"""The engine against other people's mail servers: everything that was called delivered is there, once and whole.

    run.py [--long] [--messages 2000] [--seed N] [--counts FILE] [-k WORD] ...

--counts FILE gets "passed failed left-out" for tests/run.sh. The table goes to build/interop/table.md.
"""

import argparse
import http.client
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.path.insert(0, str(HERE))

import harness  # noqa: E402  (both found on the path above)
import letters  # noqa: E402
import receivers  # noqa: E402

TABLE = harness.ROOT / "build/interop/table.md"
COLUMNS = ["receiver", "transport", "offers", "transactions by depth", "connections", "deferrals", "in doubt", "delivered", "refused", "lost",
           "duplicates", "seconds"]
TRANSPORTS = ("plaintext", "STARTTLS")
CONNECTIONS = 2
SETTLE_SECONDS = 240


class Failed(Exception):
    """What did not hold, for people."""


def certificate(folder):
    key, pem = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=mx.test", "-keyout", key, "-out", pem], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    key.chmod(0o600)
    return pem, key


def offers(place):
    """Extensions in the receiver's reply to EHLO, in its words."""
    with smtplib.SMTP(receivers.IP, place.port, timeout=20) as client:
        client.ehlo("probe.test")
        return sorted(name for name in client.esmtp_features if name in
                      ("pipelining", "chunking", "8bitmime", "smtputf8", "dsn", "starttls", "limits"))


def metric(text, name):
    return sum(float(value) for value in re.findall(rf"^sluice_{name}(?:{{[^}}]*}})? ([0-9.e+-]+)$", text, re.MULTILINE))


def depths(page):
    """Transactions by the depth that they were written at, the shallowest first."""
    counts = dict(re.findall(r'^sluice_transactions_total{depth="(\w+)"} ([0-9.e+]+)$', page, re.MULTILINE))
    return ", ".join(f"{name} {float(counts[name]):.0f}" for name in ("lock_step", "envelope", "next", "messages")
                     if float(counts.get(name, 0))) or "-"


def exchange(kind, transport, options, folder):
    """One receiver, one run of mail: the row of the table. Raises Failed."""
    place = receivers.Place(folder, harness.free_port((receivers.IP,)))
    if transport == "STARTTLS":
        place.certificate, place.key = certificate(folder)
    run = f"r{options.seed % 100000}"
    mails = letters.write_letters(run, options.messages, kind.domain(), options.seed, kind.mixed)
    receiver = kind(place)
    daemon = None
    try:
        if hasattr(receiver, "prepare"):
            receiver.prepare(mails)
        row = {"receiver": kind.name, "transport": transport, "offers": " ".join(offers(place))}
        if transport == "STARTTLS" and "starttls" not in row["offers"]:
            raise Failed(f"{kind.name} does not offer STARTTLS: its setup here is wrong")
        route = {"name": kind.domain(), "route": [f"[{receivers.IP}]:{place.port}"], "connections": CONNECTIONS,
                 "messages_per_connection": 0}
        if transport == "STARTTLS":
            route["tls"] = "required"
        daemon = harness.Daemon(folder, 9, 25, domain=[route]).start()
        began = time.monotonic()
        answer = daemon.submit_lines([mail.job() for mail in mails])
        recipients = sum(len(mail.recipients) for mail in mails)
        if answer[-1].get("accepted") != recipients:
            raise Failed(f"the engine took {answer[-1]} of {recipients} recipients")
        events = daemon.settled(recipients, SETTLE_SECONDS)
        row["seconds"] = f"{time.monotonic() - began:.0f}"
        ends = {event["to"]: event["type"] for event in events if event["type"] in harness.TERMINAL}
        delivered = {to for to, how in ends.items() if how == "delivered"}
        good = {to for mail in mails for to in mail.good()}
        # The receiver's own delivery may lag behind its 250.
        wait_for_copies(receiver, len(delivered))
        verdict = letters.judge(run, mails, receiver.kept(), delivered)
        page = metrics_page(daemon)
        doubts = sum(1 for event in events if event.get("in_doubt"))
        row |= {"transactions by depth": depths(page), "connections": f"{metric(page, 'connections_opened_total'):.0f}",
                "deferrals": sum(event["type"] == "deferred" for event in events), "in doubt": doubts,
                "delivered": len(delivered), "refused": len(ends) - len(delivered),
                "lost": len(verdict.lost) + len(verdict.damaged), "duplicates": len(verdict.twice)}
        # What is in doubt may arrive twice; nothing else may.
        if verdict.lost or verdict.damaged or verdict.phantom or verdict.foreign or len(verdict.twice) > doubts:
            raise Failed(verdict.text())
        if delivered != good:
            missing, wrong = sorted(good - delivered), sorted(delivered - good)
            raise Failed(f"{len(missing)} good recipients not delivered {missing[:5]}: "
                         f"{[e for e in events if e['to'] in missing[:2] and e['type'] != 'accepted'][:4]}; "
                         f"{len(wrong)} refused ones delivered {wrong[:5]}")
        if transport == "STARTTLS" and any(not event.get("tls") for event in events if event["type"] == "delivered"):
            raise Failed("delivered without a word of TLS in its event")
        return row
    finally:
        if daemon and daemon.process and daemon.process.running():
            daemon.stop()
        receiver.end()


def wait_for_copies(receiver, wanted):
    def copies():
        return sum(len(one.recipients) for one in receiver.kept()) >= wanted
    try:
        harness.wait_until(copies, 60, "copies", every=0.5)
    except AssertionError:
        pass  # the judge says what is missing


def metrics_page(daemon):
    connection = http.client.HTTPConnection("127.0.0.1", daemon.metrics_port, timeout=20)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def table(rows):
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(row.get(column, "-")) for column in COLUMNS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def logs(folder, octets=3000):
    for log in sorted([*folder.glob("*.log"), *folder.glob("[!ms]*/*.log")]):  # neither mailboxes nor our store
        text = log.read_text(errors="replace")
        if text:
            print(f"--- {log.relative_to(folder)}\n{text[-octets:]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="The engine against other people's mail servers, on loopback.")
    parser.add_argument("--long", action="store_true", help="all receivers; without it those that are quick")
    parser.add_argument("--messages", type=int, default=2000, help="to each receiver, in each transport")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--counts", help="file that gets: passed failed left-out")
    parser.add_argument("-k", action="append", default=[], help="only cases with this word, such as exim or STARTTLS")
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # end what was started, as on Ctrl-C
    print(f"  seed {options.seed}", flush=True)
    rows, failed, left_out = [], 0, 0
    for kind in receivers.ALL:
        for transport in TRANSPORTS:
            name = f"{kind.name} {transport}"
            if options.k and not any(word in name for word in options.k):
                continue
            if kind.long and not options.long and not options.k:
                continue
            reason = (kind.no_starttls if transport == "STARTTLS" else None) or kind.unavailable()
            if reason:
                left_out += 1
                print(f"  left out {name}: {reason}", flush=True)
                continue
            folder = pathlib.Path(tempfile.mkdtemp(prefix=f"sluice-interop-{kind.name}-"))
            folder.chmod(0o755)
            try:
                rows.append(exchange(kind, transport, options, folder))
                print(f"  ok       {name} ({rows[-1]['seconds']} s)", flush=True)
            except Exception as error:  # a broken set-up is a failure like any other
                failed += 1
                text = str(error) if isinstance(error, (Failed, AssertionError)) else traceback.format_exc()
                print(f"  FAILED   {name}: {text}", flush=True)
                logs(folder)
            finally:
                if os.environ.get("SLUICE_KEEP") != "1":
                    shutil.rmtree(folder, ignore_errors=True)
    if rows:
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        TABLE.write_text(table(rows))
        print(table(rows), flush=True)
    if options.counts:
        pathlib.Path(options.counts).write_text(f"{len(rows)} {failed} {left_out}\n")
    print(f"  {len(rows)} passed, {failed} failed, {left_out} left out", flush=True)
    return 0 if failed == 0 and rows else 1


if __name__ == "__main__":
    sys.exit(main())
