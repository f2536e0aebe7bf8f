"""The dashboards' source and their queries, by way of node and npm."""

import functools
import json
import os
import pathlib
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/grafana"


@functools.cache
def install():
    """Installs what package-lock.json says, once and again when it has changed. Skips where that cannot be."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed (Node.js 18 or newer)")
    stamp, lock = FOLDER / "node_modules/.sluice-lock", (FOLDER / "package-lock.json").read_bytes()
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    done = subprocess.run(["npm", "ci"], cwd=FOLDER, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise AssertionError(f"npm ci: {done.stderr[-2000:]}")
    stamp.write_bytes(lock)


def npm(script, *words):
    install()
    return subprocess.run(["npm", "run", "--silent", script, *(["--", *words] if words else [])], cwd=FOLDER,
                          capture_output=True, text=True, timeout=120, env={**os.environ, "NO_COLOR": "1"})


@functools.cache
def queries():
    """[{dashboard, panel, expr, legend, metrics}] of all dashboards; fails with every problem of them."""
    done = npm("queries")
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)
