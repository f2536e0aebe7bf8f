"""A site that takes less than there is: tenants by their weights, and a small transactional job beside a large one."""

import collections
import datetime
import http.client
import json
import time

import lab
import plot
from runs import trial

WEIGHTS = range(1, 11)
RATE = 400  # messages a second that the tenants share
COUNTED = 6_000
SMALL, SLOW_RATE = 100, 50


def submit(one, head, addresses):
    """A job whose mail differs for each recipient, so that each is a message of its own."""
    content = {"from": "News <news@load.test>", "subject": "to {{to}}", "text": "hello {{to}}\n"}
    job = {"from": "bounce@load.test", "content": content, **head}
    body = "\n".join([json.dumps(job), *(json.dumps({"to": address}) for address in addresses), ""])
    connection = http.client.HTTPConnection("127.0.0.1", one.http, timeout=60)
    connection.request("POST", "/v1/messages", body, {"Content-Type": "application/x-ndjson"})
    answer = connection.getresponse()
    last = json.loads(answer.read().splitlines()[-1])
    connection.close()
    if answer.status not in (200, 202) or not last.get("complete"):
        raise lab.Failure(f"a job is answered with {answer.status}: {last}")


def by_weight(folder):
    """Shares of ten tenants while all of them have mail waiting."""
    tenants = [{"name": f"w{weight}", "weight": weight} for weight in WEIGHTS]
    each = COUNTED // 4  # the heaviest gets less than that of what is counted
    begin = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=10)
    with trial.sink(folder, "weights") as sink, trial.engine(folder, "weights", sink.port, {"rate": f"{RATE}/s"}, tenant=tenants) as one:
        for weight in WEIGHTS:
            head = {"tenant": f"w{weight}", "class": "bulk", "send_at": begin.strftime("%Y-%m-%dT%H:%M:%SZ")}
            submit(one, head, [f"u{n}@sink.test" for n in range(each)])
        if datetime.datetime.now(datetime.timezone.utc) > begin:
            raise lab.Failure("the tenants' mail came in too slowly, and some of it was due before the end")
        shares, after, passed = collections.Counter(), one.status()["storage"]["last_event"], 0
        lab.wait_until(lambda: one.status()["delivered"] > 0, 30, "the first mail is delivered", every=0.2)
        while shares.total() < COUNTED:
            events = one.events(after)
            after = events[-1]["seq"]
            for event in events:
                passed += event["type"] == "delivered"
                # From the 200th on: until then homes have not all been told of all of it.
                if event["type"] == "delivered" and passed > 200 and shares.total() < COUNTED:
                    shares[event["tenant"]] += 1
    parts = sum(WEIGHTS)
    return {weight: shares[f"w{weight}"] / (COUNTED * weight / parts) - 1 for weight in WEIGHTS}


def small_beside_large(folder, options):
    """Seconds from the acceptance of a small transactional job to its last delivery."""
    with trial.sink(folder, "small") as sink, trial.engine(folder, "small", sink.port, {"rate": f"{SLOW_RATE}/s"}) as one:
        one.load(*trial.TO_SINK, "--recipients", options.bulk, "--size", trial.MESSAGE_BYTES, "--vars", trial.VARIABLES)
        lab.wait_until(lambda: one.status()["delivered"] > SLOW_RATE, 60, "the large job is under way")
        after = one.status()["storage"]["last_event"]
        submit(one, {"class": "transactional"}, [f"t{n}@sink.test" for n in range(SMALL)])
        accepted, delivered = [], []
        deadline = time.monotonic() + 60
        while len(delivered) < SMALL and time.monotonic() < deadline:
            events = one.events(after)
            after = events[-1]["seq"]
            for event in (event for event in events if event["class"] == "transactional"):
                at = datetime.datetime.fromisoformat(event["time"])
                if event["type"] in ("accepted", "delivered"):
                    (accepted if event["type"] == "accepted" else delivered).append(at)
        if len(delivered) < SMALL:
            raise lab.Failure(f"{len(delivered)} of {SMALL} mails of the small job are delivered")
    return (max(delivered) - max(accepted)).total_seconds()


def measure(folder, options):
    return {"off": by_weight(folder), "small_seconds": small_beside_large(folder, options)}


def lines(results, options):
    off = results["off"]
    worst = max(off, key=lambda weight: abs(off[weight]))
    return [f"Ten tenants of weights 1 to 10 share a site of {RATE} messages a second. Of {COUNTED:,} messages delivered while all of them had mail waiting, "
            f"the share that is furthest from its weight is off by {off[worst] * 100:+.1f}% (weight {worst}; wanted: within 5%).", "",
            "| weight | " + " | ".join(map(str, off)) + " |", "|---" * (len(off) + 1) + "|",
            "| share against the weight's | " + " | ".join(f"{part * 100:+.1f}%" for part in off.values()) + " |", "",
            f"A transactional job of {SMALL} mails with a text of their own, beside a bulk job of {options.bulk:,} to a site of {SLOW_RATE} messages a second: "
            f"all delivered {results['small_seconds']:.2f} s after they were accepted. The rate alone takes {(SMALL - 1) / SLOW_RATE:.2f} s (wanted: 2 s)."]


def plots(results):
    rows = [(f"weight {weight}", weight * (1 + part), True) for weight, part in results["off"].items()]
    return {"fairness": plot.bars("Mail delivered of ten tenants, in units of weight", rows)}
