"""Single transactional mails one after another, on an idle engine and beside a bulk job to the same site."""

import datetime
import http.client
import json
import time

import lab
import plot
from runs import trial

SINGLES = 500


class Singles:
    """Transactional mails, one request each, over one connection to the API; how long each took."""

    def __init__(self, one):
        self.engine, self.next = one, 0
        self.connection = http.client.HTTPConnection("127.0.0.1", one.http, timeout=60)
        self.ack_ms = []

    def send(self):
        body = json.dumps({"from": "bounce@load.test", "class": "transactional", "content": {
            "from": "Shop <shop@load.test>", "subject": "Your order", "text": "Thank you.\n" * (trial.MESSAGE_BYTES // 11)},
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
            events = self.engine.events(after)
            after = events[-1]["seq"]
            for event in (event for event in events if event["class"] == "transactional"):
                at = datetime.datetime.fromisoformat(event["time"])
                if event["type"] == "accepted":
                    accepted[event["delivery"]] = at
                elif event["type"] == "delivered":
                    took.append((at - accepted[event["delivery"]]).total_seconds() * 1000)
        return took


def percentiles(values):
    ordered = sorted(values)
    return {f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 99)}


def measure(folder, options):
    results = {}
    for name, recipients in (("idle", 0), ("beside", options.bulk)):
        with trial.sink(folder, name) as sink, trial.engine(folder, f"l-{name}", sink.port) as one:
            singles = Singles(one)
            singles.send()  # opens a connection to the site
            singles.delivered_ms(1)
            singles.ack_ms.clear()
            if recipients:
                one.load(*trial.TO_SINK, "--recipients", recipients, "--size", trial.MESSAGE_BYTES, "--vars", trial.VARIABLES)
            for _ in range(SINGLES):
                singles.send()
                time.sleep(0.01)
            if recipients and one.status()["open"] < recipients / 100:
                raise lab.Failure("the bulk job ended before the single mails did; give it more recipients")
            results[name] = {"ack_ms": percentiles(singles.ack_ms), "delivered_ms": percentiles(singles.delivered_ms(SINGLES + 1))}
    return results


def lines(results, options):
    out = [f"{SINGLES} single transactional mails, one request each, one after another with 10 ms between, to sluice-sink:", "",
           "| beside | request to its 202 p50 / p99 ms | accepted to delivered p50 / p99 ms |", "|---|---|---|"]
    what = {"idle": "nothing", "beside": f"a bulk job of {options.bulk:,} to the same site, at full speed"}
    for name, one in results.items():
        ack, sent = one["ack_ms"], one["delivered_ms"]
        out.append(f"| {what[name]} | {ack['p50']:.1f} / {ack['p99']:.1f} | {sent['p50']:.0f} / {sent['p99']:.0f} |")
    return out


def plots(results):
    what = {"idle": "idle engine", "beside": "beside a bulk job"}
    rows = [(f"{what[name]}, {p}", results[name]["delivered_ms"][p], True) for name in what for p in ("p50", "p99")]
    return {"latency": plot.bars("Transactional mail, accepted to delivered", rows, "ms", (50, "wanted p99 beside bulk"))}
