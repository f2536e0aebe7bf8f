"""The same mail through an engine of one shard and of two: what the second costs each message."""

from runs import trial

GROWTH_GOAL = 0.10


def measure(folder, options):
    results = {}
    for shards in (1, 2):
        with trial.sink(folder, f"shards{shards}") as sink, trial.engine(folder, f"shards{shards}", sink.port, node={"shards": shards}) as one:
            results[shards] = trial.single_mails(one, options.messages // 2, sink.process)
    results["growth"] = results[2]["cpu_us"] / results[1]["cpu_us"] - 1
    return results


def lines(results, options):
    out = [f"{options.messages // 2:,} single mails of {trial.MESSAGE_BYTES} octets to sluice-sink:", "",
           "| shards | accepted/s | delivered/s | CPU µs a message |", "|---|---|---|---|"]
    for shards in (1, 2):
        one = results[shards]
        out.append(f"| {shards} | {one['accepted_per_second']:,.0f} | {one['delivered_per_second']:,.0f} | {one['cpu_us']:.1f} |")
    return out + ["", f"CPU a message changes by {results['growth'] * 100:+.0f}% (wanted: at most +{GROWTH_GOAL * 100:.0f}%)."]
