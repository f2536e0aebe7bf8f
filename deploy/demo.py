"""The demonstration behind deploy/demo.sh: one newsletter to a small invented Internet, and the accounts of it."""

import argparse
import json
import pathlib
import select
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import lab

DOMAINS, SITES = 200, 50
BOUNCE_SHARE, GREYLIST_SHARE, FULL_SHARE, DROP_SHARE = "2%", "3%", "0.5%", "0.1%"
STALL_SECONDS = 60
BAR_COLUMNS = 40
STATES = ("delivered", "bounced", "expired", "cancelled", "suppressed", "open")

JOB = {
    "from": "bounce@news.demo.test",
    "campaign": "demo",
    "content": {
        "from": "Demo News <news@news.demo.test>",
        "subject": "{{name}}, your November news",
        "text": "Dear {{name}},\n\nyou are reader number {{number}} of {{city|somewhere}}.\n\nLeave: "
                "https://news.demo.test/u/{{token}}\n",
        "html": "<p>Dear <b>{{name}}</b>,</p>{{#if city}}<p>How is {{city}} today?</p>{{else}}<p>Where are "
                "you?</p>{{/if}}<p><a href=\"https://news.demo.test/u/{{token}}\">Leave</a></p>",
        "headers": {"List-Unsubscribe": "<https://news.demo.test/u/{{token}}>"},
    },
}
NAMES = ("Ann", "Bela", "Chloë", "Dmitri", "Eun-ji", "Farid", "Gül", "Hana", "Ivo", "José")
CITIES = ("Lisbon", "Oslo", "Kraków", "", "Nairobi")


def write_job(path, recipients):
    with open(path, "w", encoding="utf-8") as out:
        out.write(json.dumps(JOB, ensure_ascii=False) + "\n")
        for number in range(recipients):
            name = NAMES[number % len(NAMES)]
            variables = {"name": name, "number": number, "token": f"t{number:x}"}
            if city := CITIES[number % len(CITIES)]:
                variables["city"] = city
            line = {"to": f"reader{number}@d{number % DOMAINS}.demo.test", "name": name, "vars": variables}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


class Bar:
    """A line that is written over on a terminal, a line every two seconds elsewhere."""

    def __init__(self, total):
        self.total, self.terminal, self.next = total, sys.stdout.isatty(), 0.0

    def show(self, status, last=False):
        now = time.monotonic()
        if now < self.next and not last:
            return
        self.next = now + (0.1 if self.terminal else 2)
        ended = status["accepted"] - status["open"]
        text = (f"accepted {status['accepted']:,}  delivered {status['delivered']:,}  bounced {status['bounced']:,}  "
                f"to come {status['open']:,}")
        if self.terminal:
            full = BAR_COLUMNS * ended // self.total
            bar = "#" * full + "." * (BAR_COLUMNS - full)
            print(f"\r[{bar}] {text}\033[K", end="\n" if last else "", flush=True)
        else:
            print(f"  {text}", flush=True)


def submit(folder, path, socket):
    """Starts curl, as a platform might: it streams the file, and the answer into its log."""
    return folder.start("curl", "curl", "-sS", "--unix-socket", socket, "-T", path, "-X", "POST", "-H",
                        "Content-Type: application/x-ndjson", "-H", "Expect:", "http://sluice/v1/messages")


def follow(engine, sink, submission, http_port, recipients):
    """Shows the progress until every recipient's fate is known. Returns (last status, seconds to accept, to end)."""
    bar, start, accept_seconds = Bar(recipients), time.monotonic(), None
    last_change, last_ended = start, -1
    while True:
        engine.check()
        sink.check()
        status = lab.get_json(http_port, "/v1/status")
        now = time.monotonic()
        if status["accepted"] == recipients and accept_seconds is None:
            accept_seconds = now - start
        ended = status["accepted"] - status["open"]
        if ended != last_ended:
            last_change, last_ended = now, ended
        if (code := submission.child.poll()) is not None and status["accepted"] < recipients:
            status = lab.get_json(http_port, "/v1/status")
            if status["accepted"] < recipients:
                raise lab.Failure(f"curl ended with {code}, and {status['accepted']} of {recipients} are accepted")
        if status["accepted"] == recipients and status["open"] == 0:
            bar.show(status, last=True)
            return status, accept_seconds, now - start
        if now - last_change > STALL_SECONDS:
            bar.show(status, last=True)
            raise lab.Failure(f"nothing has moved for {STALL_SECONDS} s; {status['open']} deliveries are open")
        bar.show(status)
        time.sleep(0.05)


def terminal_events(http_port):
    """Deliveries by their last event, read from the feed; and how many had more than one."""
    seen, twice, by_type, after = set(), 0, {}, 0
    while True:
        status, body = lab.get(http_port, f"/v1/events?after={after}&limit=10000", 30)
        if status != 200:
            raise lab.Failure(f"GET /v1/events is answered with {status}: {body[:200]!r}")
        events = [json.loads(line) for line in body.splitlines() if line]
        if not events:
            return by_type, twice
        after = events[-1]["seq"]
        for event in events:
            if event["type"] not in STATES:
                continue
            twice += event["delivery"] in seen
            seen.add(event["delivery"])
            by_type[event["type"]] = by_type.get(event["type"], 0) + 1


def check_accounts(status, events, twice, sink):
    """Compares the three accounts: the ledger, the event feed, and what the receiver counted. Returns problems."""
    problems = []
    total = sum(status[state] for state in STATES)
    if total != status["accepted"]:
        problems.append(f"the ledger does not add up: {total} against {status['accepted']} accepted")
    for state in STATES[:-1]:
        if events.get(state, 0) != status[state]:
            problems.append(f"{events.get(state, 0)} events of type {state}, but {status[state]} in the ledger")
    if twice:
        problems.append(f"{twice} deliveries ended more than once")
    received = sink["recipients"]["accepted"]
    if received < status["delivered"]:
        problems.append(f"the receiver took {received}, but {status['delivered']} are called delivered")
    if sink["faults"]:
        problems.append(f"the receiver saw breaches of the protocol: {sink['faults']}")
    return problems


def summarize(status, sink, accept_seconds, seconds):
    print()
    for state in ("accepted", *STATES):
        print(f"  {state:<12}{status[state]:>10,}")
    parts = " + ".join(f"{status[state]:,}" for state in STATES if status[state] or state in ("expired", "open"))
    names = " + ".join(state for state in STATES if status[state] or state in ("expired", "open"))
    print(f"  adds up: accepted = {names}: {status['accepted']:,} = {parts}")
    received = sink["recipients"]["accepted"]
    print(f"  deferred and tried again on the way: {status['deferrals']:,}; the receiver took {received:,} "
          f"(duplicates: {received - status['delivered']:,}) over {sink['connections']['opened']:,} connections")
    print(f"  accepted in {accept_seconds:.1f} s ({status['accepted'] / accept_seconds:,.0f}/s, each on disk before its "
          f"answer), all ended after {seconds:.1f} s")


def say_what_next(http_port, socket, metrics_port):
    print("\nStill running; in another terminal:")
    print(f"  curl http://127.0.0.1:{http_port}/v1/status")
    print(f"  curl 'http://127.0.0.1:{http_port}/v1/events?type=bounced&limit=3'")
    print(f"  curl http://127.0.0.1:{metrics_port}/metrics")
    print(f"""  curl --unix-socket {socket} -H 'Content-Type: application/json' http://sluice/v1/messages -d \\
    '{{"from":"a@news.demo.test","content":{{"from":"a@news.demo.test","subject":"Hi","text":"Hello"}},"recipients":[{{"to":"me@d7.demo.test"}}]}}'""")
    print("Enter stops everything.", flush=True)


def run(recipients, keep):
    with lab.Lab("demo") as folder:
        smtp, = lab.free_ports(1, "127.60.0.1")
        http, metrics, dns, stats = lab.free_ports(4)
        socket, job = folder.folder / "ingest.sock", folder.folder / "job.ndjson"
        sink = folder.start_sink(
            f"127.60.0.0/24:{smtp}", stats, "--dns", f"127.0.0.1:{dns}", "--domains", DOMAINS, "--sites", SITES,
            "--rcpt", f"{BOUNCE_SHARE} 550 5.1.1 no such user, {GREYLIST_SHARE} 451 4.7.1 greylisted, come again",
            "--final", f"{FULL_SHARE} 452 4.2.2 mailbox full, {DROP_SHARE} drop")
        engine = folder.start_engine(
            lab.settings(folder.folder / "data", http, socket, metrics=metrics, dns=dns, delivery={"port": smtp},
                         retry={"schedule": ["1s", "2s", "4s"], "expires": "1m"}), http)
        print(f"one job, {recipients:,} recipients of {DOMAINS} domains at {SITES} sites; the receiver says "
              f"550 to {BOUNCE_SHARE}, 451 to {GREYLIST_SHARE}, 452 to {FULL_SHARE}, and hangs up on {DROP_SHARE}")
        write_job(job, recipients)
        submission = submit(folder, job, socket)
        status, accept_seconds, seconds = follow(engine, sink, submission, http, recipients)
        counted = lab.get_json(stats, "/")
        summarize(status, counted, accept_seconds, seconds)
        events, twice = terminal_events(http)
        problems = check_accounts(status, events, twice, counted)
        if problems:
            raise lab.Failure("; ".join(problems))
        print(f"  the ledger, the event feed ({sum(events.values()):,} last events, one a recipient) and the receiver agree")
        if keep and sys.stdin.isatty():
            say_what_next(http, socket, metrics)
            select.select([sys.stdin], [], [])
        code = engine.end()
        if code != 0:
            raise lab.Failure(f"the engine's stop ended with status {code}")
        print("  stopped in good order")


def main():
    parser = argparse.ArgumentParser(prog="deploy/demo.sh", description="Sluice on loopback, with accounts that add up")
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--keep", action="store_true", help="leave it running until Enter (on a terminal)")
    options = parser.parse_args()
    if options.recipients < 1:
        parser.error("--recipients must be 1 or more")
    try:
        run(options.recipients, options.keep)
    except lab.Failure as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
