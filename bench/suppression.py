"""What a suppression list costs ingest: CPU a recipient without a list and with one, memory, disk. See README.md.

Usage: bench/suppression.py [--entries N] [--recipients N] [--rounds N]
"""

import argparse
import datetime
import http.client
import json
import socket
import statistics
import sys

import lab

PIECE = 2_000  # lines that are put together at a time


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("sluice")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self.path))


def lines(count, line):
    for start in range(0, count, PIECE):
        yield "".join(line(n) for n in range(start, min(start + PIECE, count))).encode()


def ask(folder, path, body):
    connection = UnixConnection(folder / "ingest.sock")
    try:
        connection.request("POST", path, body, {"Content-Type": "application/x-ndjson"}, encode_chunked=True)
    except BrokenPipeError:
        pass  # the answer says why
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status not in (200, 202):
        raise lab.Failure(f"{path}: {answer.status} {text[:300]}")
    return json.loads(text.splitlines()[-1])


def job(tenant):
    """To be sent in months: nothing but ingest works."""
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=300)
    return (json.dumps({"from": "b@news.test", "tenant": tenant, "class": "bulk", "send_at": then.strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "expires_in": "1h", "content": {"from": "b@news.test", "subject": "s", "text": "t"}}) + "\n").encode()


def hand_over(folder, engine, tenant, recipients, on_list):
    """Every `on_list`th recipient is on the list of the tenants that have one; 0: nobody. CPU and what was suppressed."""
    def body():
        yield job(tenant)
        yield from lines(recipients, lambda n: '{"to":"%s%d@d%d.test"}\n' % (
            "off" if on_list and n % on_list == 0 else "user", n, n % 100))
    before = engine.cpu_seconds()
    answer = ask(folder, "/v1/messages", body())
    if answer["accepted"] != recipients:
        raise lab.Failure(f"accepted {answer['accepted']} of {recipients}")
    return (engine.cpu_seconds() - before) / recipients * 1e6, answer.get("suppressed", 0)


def entry(n):
    return '{"tenant":"listed","address":"off%d@d%d.test","reason":"bounced","source":"import"}\n' % (n, n % 100)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--recipients", type=int, default=100_000, help="of one round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.entries < options.recipients:
        parser.error("--entries must be as many as --recipients at least: those of a round are looked for among them")
    with lab.Lab("suppression") as run:
        http_port, metrics = lab.free_ports(2)
        engine = run.start_engine(lab.settings(run.folder / "data", http_port, run.folder / "ingest.sock", metrics=metrics), http_port)
        hand_over(run.folder, engine, "warm", options.recipients, 0)
        rounds = {}

        def measure(name, tenant, on_list):
            cost, suppressed = hand_over(run.folder, engine, tenant, options.recipients, on_list)
            rounds.setdefault(name, []).append(cost)
            return suppressed

        for _ in range(options.rounds):
            measure("no list anywhere", "plain", 0)
        rss, disk, cpu = engine.rss_bytes(), lab.disk_bytes(run.folder / "data"), engine.cpu_seconds()
        added = ask(run.folder, "/v1/suppressions", lines(options.entries, entry))["added"]
        print(f"{added} entries taken in: {(engine.cpu_seconds() - cpu) / added * 1e6:.1f} us of CPU each, resident "
              f"{rss / 2**20:.0f} -> {engine.rss_bytes() / 2**20:.0f} MiB, data_dir {disk / 2**20:.0f} -> "
              f"{lab.disk_bytes(run.folder / 'data') / 2**20:.0f} MiB")
        for _ in range(options.rounds):
            measure("no list of this tenant", "plain", 0)
            measure("a list, nobody on it", "listed", 0)
            if measure("a list, 1 of 100 on it", "listed", 100) != (options.recipients + 99) // 100:
                raise lab.Failure("others were suppressed than those on the list")
        for name, costs in rounds.items():
            print(f"{name:30} {statistics.median(costs):6.2f} us of CPU a recipient (median of {len(costs)}, "
                  f"{min(costs):.2f} to {max(costs):.2f})")
        ratio = statistics.median(rounds["a list, nobody on it"]) / statistics.median(rounds["no list of this tenant"])
        print(f"a list over none: {ratio:.2f}; resident at the end {engine.rss_bytes() / 2**20:.0f} MiB, most "
              f"{engine.peak_rss_bytes() / 2**20:.0f} MiB")


if __name__ == "__main__":
    try:
        main()
    except lab.Failure as failure:
        sys.exit(f"bench/suppression.py: {failure}")
