"""Runs the fuzzers side by side, one process per core.

    run.py [--seconds 60] [--long] [--counts FILE] [-k WORD] [--keep]

Each target starts from its corpus in the tree and goes on for --seconds (--long: ten minutes). What makes it fail is
kept in build/fuzz/found and named; --keep then merges what is new and small into the corpus.
--counts FILE gets "passed failed left-out" for tests/run.sh.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FUZZER = ROOT / "build/fuzz/tests/fuzz/sluice-fuzz"
CORPUS = ROOT / "tests/fuzz/corpus"
WORK, FOUND = ROOT / "build/fuzz/work", ROOT / "build/fuzz/found"
INPUT_OCTETS_MAX = 4096    # of one input; what needs more belongs into a unit test
KEPT_OCTETS_MAX = 1024     # of an input that --keep takes over
CORPUS_OCTETS_MAX = 40_000  # of a target's folder
CORPUS_FILES_MAX = 120
LONG_SECONDS = 600
HANG_SECONDS = 10          # for one input


def commit_seed():
    """A number of the commit's own, so that a run of one commit begins as the last one did; 0 (libFuzzer draws) without git."""
    asked = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short=7", "HEAD"], stdin=subprocess.DEVNULL, capture_output=True,
                           text=True)
    return int(asked.stdout[:7], 16) if asked.returncode == 0 else 0


def fuzz(target, seconds, seed):
    """(target, failed, one line about it)"""
    work = WORK / target
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    FOUND.mkdir(parents=True, exist_ok=True)
    command = [FUZZER, f"--target={target}", f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={INPUT_OCTETS_MAX}", f"-timeout={HANG_SECONDS}",
               "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={FOUND}/{target}-", work, CORPUS / target]
    began = time.monotonic()
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"})
    took = time.monotonic() - began
    executions = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    coverage = re.findall(r"cov: (\d+)", done.stderr)
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-45:])
        return target, True, f"failed after {took:.0f} s:\n{tail}"
    return target, False, (f"{int(executions.group(1)) if executions else 0:,} inputs in {took:.0f} s, "
                           f"{coverage[-1] if coverage else '?'} edges, {sum(1 for _ in work.iterdir())} new inputs")


def keep(target):
    """Merges what the run found worth keeping into the tree's corpus, the small ones only."""
    small = WORK / f"{target}-small"
    shutil.rmtree(small, ignore_errors=True)
    small.mkdir()
    for file in (WORK / target).iterdir():
        if file.stat().st_size <= KEPT_OCTETS_MAX:
            shutil.copy(file, small)
    merged = WORK / f"{target}-merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir()
    subprocess.run([FUZZER, f"--target={target}", "-merge=1", merged, CORPUS / target, small], check=True, capture_output=True,
                   stdin=subprocess.DEVNULL)
    room = CORPUS_OCTETS_MAX - sum(file.stat().st_size for file in (CORPUS / target).iterdir())
    places = CORPUS_FILES_MAX - sum(1 for _ in (CORPUS / target).iterdir())
    known = {file.read_bytes() for file in (CORPUS / target).iterdir()}
    for file in sorted(merged.iterdir(), key=lambda file: file.stat().st_size):
        size = file.stat().st_size
        if file.read_bytes() not in known and size <= room and places > 0:
            shutil.copy(file, CORPUS / target / file.name[:12])
            room, places = room - size, places - 1


def main():
    targets = sorted(folder.name for folder in CORPUS.iterdir() if folder.is_dir())
    parser = argparse.ArgumentParser(description="Runs the fuzzers side by side.")
    parser.add_argument("--seconds", type=int, default=60, help="for each target; nine of them, two at a time, are five minutes")
    parser.add_argument("--long", action="store_true", help=f"{LONG_SECONDS} s for each")
    parser.add_argument("--counts", help="file that gets: passed failed left-out")
    parser.add_argument("-k", action="append", default=[], help="only targets with this word")
    parser.add_argument("--keep", action="store_true", help="take over what is worth keeping into the corpus")
    options = parser.parse_args()
    chosen = [target for target in targets if not options.k or any(word in target for word in options.k)]
    seconds = LONG_SECONDS if options.long else options.seconds
    seed = 0 if options.long else commit_seed()
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for target, bad, text in pool.map(lambda target: fuzz(target, seconds, seed), chosen):
            failed += bad
            print(f"  {'FAILED  ' if bad else 'ok      '} {target}: {text}", flush=True)
            if options.keep and not bad:
                keep(target)
    if failed:
        print(f"  the inputs are in {FOUND}; run one with {FUZZER} --target=NAME FILE", flush=True)
    if options.counts:
        pathlib.Path(options.counts).write_text(f"{len(chosen) - failed} {failed} 0\n")
    print(f"  {len(chosen) - failed} passed, {failed} failed", flush=True)
    return 0 if failed == 0 and chosen else 1


if __name__ == "__main__":
    sys.exit(main())
