"""RESULTS.md: a section for each run, which that run replaces and no other touches."""

import datetime
import os
import pathlib
import platform
import shlex
import subprocess
import sys

import lab

PATH = lab.ROOT / "bench/RESULTS.md"
PLOTS = lab.ROOT / "bench/plots"
# In the order in which they stand.
TITLES = {
    "through": "Through the queue",
    "shards": "One shard and two",
    "job": "A job of a million",
    "large": "Large mails",
    "signed": "Signed",
    "ways": "Other ways in",
    "latency": "Latency",
    "fairness": "Fairness at a slow site",
    "connections": "Open connections",
    "backlog": "A backlog larger than memory",
    "down": "A receiver that is down",
    "line": "One connection over a long line",
}


class Occasion:
    """When and where a run was made: for the first line of its section. To be made before the run begins."""

    def __init__(self, script):
        self.command = shlex.join([*chosen_binary(), script, *sys.argv[1:]])
        self.load = os.getloadavg()[0]

    def text(self):
        return (f"{datetime.date.today()}, commit {commit()}, `{self.command}`. {processor()}, {os.cpu_count()} cores, Linux "
                f"{platform.release()}; load average at the start {self.load:.1f}.")


def chosen_binary():
    """How the program was named, where it is not build/release's."""
    return [] if lab.ENGINE == lab.BUILD / "sluice" else [f"SLUICE_BINARY={os.path.relpath(lab.ENGINE, lab.ROOT)}"]


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit():
    """Of this tree; a change that is in no commit is told."""
    git = ["git", "-C", str(lab.ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "engine", "ingest", "storage", "metrics"], capture_output=True)
    return (head or "unknown") + (" and changes" if changed.returncode == 1 else "")


def section(run, occasion, lines):
    """The section of a run, whose figures and tables are `lines`."""
    return "\n".join([f"## {TITLES[run]}", "", occasion.text(), "", *lines]).rstrip("\n") + "\n"


def split(text):
    """What stands above the sections, and the sections by title."""
    head, *parts = text.split("\n## ")
    return head.rstrip("\n"), {part.split("\n", 1)[0]: "## " + part.rstrip("\n") + "\n" for part in parts}


def join(head, sections):
    known = [title for title in TITLES.values() if title in sections]
    others = [title for title in sections if title not in known]
    return "\n\n".join([head, *(sections[title].rstrip("\n") for title in known + others)]) + "\n"


def write(texts):
    """Puts sections into RESULTS.md, by run; all others stay as they are."""
    head, sections = split(PATH.read_text())
    for run, text in texts.items():
        sections[TITLES[run]] = text
    PATH.write_text(join(head, sections))
