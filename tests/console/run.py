"""The console in a real Chromium, against a real engine under load. Installs its npm packages itself.

    /usr/bin/python3 tests/console/run.py            # needs build/release/sluice and bench/sluice-sink
"""

import argparse
import filecmp
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import world as worlds

HERE = pathlib.Path(__file__).resolve().parent
CONSOLE = HERE.parents[1] / "ingest/console"
FILES = ("index.html", "console.js", "console.css")
TENANT_KEY = "a tenant's key, for this test alone"
SECONDS_MAX = 150


def missing():
    """What this machine lacks, if anything."""
    browser = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    lacks = [name for name in ("node", "npm", browser) if not shutil.which(name)]
    return f"not installed: {', '.join(lacks)}" if lacks else None


def npm_packages(folder):
    """What the lock file names, installed once."""
    lock, mark = folder / "package-lock.json", folder / "node_modules/.installed"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return
    subprocess.run(["npm", "ci", "--prefer-offline"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    mark.write_text(digest)


class Counts:
    def __init__(self):
        self.good = self.bad = self.left_out = 0

    def case(self, name, problem):
        self.bad += problem is not None
        self.good += problem is None
        print(f"{'ok' if problem is None else 'FAILED'}  {name}", flush=True)
        if problem:
            print(problem)


def check_types(counts):
    ran = subprocess.run(["npm", "run", "-s", "types"], cwd=CONSOLE, capture_output=True, text=True)
    counts.case("the source has the types it says", None if ran.returncode == 0 else ran.stdout + ran.stderr)


def check_built(counts):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["node", "build.mjs", folder], cwd=CONSOLE, check=True)
        other = [name for name in FILES if not filecmp.cmp(f"{folder}/{name}", CONSOLE / "dist" / name, shallow=False)]
    counts.case("dist/ is what the source gives",
                f"{', '.join(other)} differ: run `npm ci && npm run build` in ingest/console" if other else None)


def run_browser(counts):
    guarded_tenant = {"tenant": [{"name": "acme", "api_key_sha256": hashlib.sha256(TENANT_KEY.encode()).hexdigest()}]}
    with worlds.World() as world, worlds.World("guarded", guarded_tenant) as guarded:
        world.submit(3_000, "big-one", to="big{}@d1.demo.test")
        story = world.submit(1, "story", to="story@d7.demo.test")
        world.start_load()
        environment = {**os.environ, "SLUICE_CONSOLE": f"{world.url}/console", "SLUICE_STORY_JOB": story,
                       "SLUICE_PID": str(world.engine.pid),
                       "SLUICE_GUARDED": f"{guarded.url}/console", "SLUICE_TENANT_KEY": TENANT_KEY}
        ran = subprocess.run(["node", "--test", "--test-reporter=tap", "console.test.mjs"], cwd=HERE, env=environment,
                             capture_output=True, text=True, timeout=SECONDS_MAX)
    cases = re.findall(r"^    (not ok|ok) \d+ - (.*)$", ran.stdout, re.MULTILINE)
    for verdict, name in cases:
        counts.case(name, None if verdict == "ok" else "  see below")
    if ran.returncode != 0:
        print(ran.stdout[-8000:], ran.stderr[-2000:], sep="\n")
        if not any(verdict == "not ok" for verdict, _ in cases):
            counts.case("the browser's tests ran to their end", f"node ended with {ran.returncode}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", type=pathlib.Path, help="file for \"passed failed left-out\"")
    parser.add_argument("--long", action="store_true", help="taken and of no effect: the suite is short")
    options = parser.parse_args()
    counts = Counts()
    if lacking := missing():
        counts.left_out = 1
        print(f"left out: the console, {lacking}")
    else:
        for folder in (CONSOLE, HERE):
            npm_packages(folder)
        check_types(counts)
        check_built(counts)
        run_browser(counts)
    if options.counts:
        options.counts.write_text(f"{counts.good} {counts.bad} {counts.left_out}\n")
    return 1 if counts.bad else 0


if __name__ == "__main__":
    sys.exit(main())
