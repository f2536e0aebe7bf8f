"""Runs the whole runs: every *_test.py beside this file, each case on a line with its time. tests/deploy has it run its own.

    run.py [--long] [--seed N] [--counts FILE] [-k WORD] ...

--counts FILE gets "passed failed left-out" for tests/run.sh.
"""

import argparse
import os
import pathlib
import random
import sys
import time
import traceback
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class Lines(unittest.TestResult):
    """A line per case; what went wrong directly under it."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.bad = 0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def say(self, word, test, text=""):
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        print(f"  {word:8} {test.id()} ({seconds:.1f} s)", flush=True)
        if text:
            print(text, flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.say("ok", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.bad += 1
        self.say("FAILED", test, self.failures[-1][1])

    def addError(self, test, error):  # of setUpClass and cleanups, too
        super().addError(test, error)
        self.bad += 1
        self.say("FAILED", test, self.errors[-1][1])

    def addSubTest(self, test, subtest, error):  # a case with a subtest that fails is no success, and gets no other word
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.bad += 1
            self.say("FAILED", subtest, "".join(traceback.format_exception(*error)))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("left out", test, "      " + reason)


def main(folder=HERE, description="Whole runs of the daemon on loopback."):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--long", action="store_true", help="more kills and more mail")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="of all randomness")
    parser.add_argument("--counts", help="file that gets: passed failed left-out")
    parser.add_argument("-k", action="append", default=[], help="only cases whose name has this word")
    arguments = parser.parse_args()
    os.environ["SLUICE_E2E_SEED"] = str(arguments.seed)
    os.environ["SLUICE_E2E_LONG"] = "1" if arguments.long else "0"
    print(f"  seed {arguments.seed} (--seed {arguments.seed} repeats the run's choices)", flush=True)

    sys.path.insert(0, str(folder))
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{word}*" for word in arguments.k] or None
    result = Lines()
    loader.discover(str(folder), "*_test.py").run(result)
    if arguments.counts:
        pathlib.Path(arguments.counts).write_text(f"{result.passed} {result.bad} {len(result.skipped)}\n")
    print(f"  {result.passed} passed, {result.bad} failed, {len(result.skipped)} left out", flush=True)
    return 0 if result.bad == 0 and result.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
