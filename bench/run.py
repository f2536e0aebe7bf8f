"""The measured claims: engine and peers in one run, ratios and CPU per message first. See bench/README.md."""

import argparse
import json
import sys

import lab
import results
from runs import connections, fairness, job, large, latency, shards, signed, through, ways

RUNS = {"through": through, "shards": shards, "job": job, "large": large, "signed": signed, "ways": ways, "latency": latency,
        "fairness": fairness, "connections": connections}


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description="Measures the engine beside its peers")
    parser.add_argument("--messages", type=int, default=200_000, help="of run through; others take a part of them")
    parser.add_argument("--recipients", type=int, default=1_000_000, help="of the job of run job")
    parser.add_argument("--bulk", type=int, default=1_000_000, help="recipients of the bulk job of runs latency and fairness")
    parser.add_argument("--connections", type=int, default=20_000, help="of run connections, as far as descriptors go")
    parser.add_argument("--only", default=",".join(RUNS), help="some of " + ",".join(RUNS))
    parser.add_argument("--print", action="store_true", dest="only_print", help="leave RESULTS.md and plots as they are")
    options = parser.parse_args()
    options.wanted = options.only.split(",")
    if unknown := set(options.wanted) - set(RUNS):
        parser.error(f"unknown runs {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    return options


def measure(run, options, occasion):
    """Runs one, and writes its section: a later one that fails takes nothing from it."""
    print(f"run {run} ...", file=sys.stderr, flush=True)
    module = RUNS[run]
    with lab.Lab("bench") as folder:
        figures = module.measure(folder, options)
    print(f"  {json.dumps(figures)}", file=sys.stderr, flush=True)
    lines = module.lines(figures, options)
    plots = module.plots(figures) if hasattr(module, "plots") else {}
    for name in plots:
        lines += ["", f"![{name}](plots/{name}.svg)"]
    text = results.section(run, occasion, lines)
    print(text, flush=True)
    if options.only_print:
        return
    results.PLOTS.mkdir(exist_ok=True)
    for name, drawing in plots.items():
        (results.PLOTS / f"{name}.svg").write_text(drawing)
    results.write({run: text})


def main():
    options = arguments()
    failed = []
    for run in options.wanted:
        try:
            measure(run, options, results.Occasion("bench/run.sh"))
        except lab.Failure as failure:
            print(f"bench: {run}: {failure}", file=sys.stderr)
            failed.append(run)
    if failed:
        print(f"bench: {', '.join(failed)} failed; their sections are as they were", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
