"""Runs a program as a service manager or a container engine would: under a system call filter, without new privileges.

    confined.py unit|container PROGRAM WORD...

unit: the filter of deploy/systemd/sluice.service, its groups as systemd expands them. container: deploy/container/seccomp.json.
A call that the filter does not allow kills the program, where the real ones answer EPERM: nothing goes unnoticed.
"""

import ctypes
import json
import os
import pathlib
import re
import subprocess
import sys

import seccomp

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 38, 65, 1


def expand(group):
    """The system calls of a group of systemd's."""
    lines = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True).stdout
    words = [line.strip() for line in lines.splitlines()[1:]]
    return set().union(*(expand(word) if word[0] == "@" else {word} for word in words if word and word[0] != "#"))


def of_unit():
    allowed = set()
    for line in re.findall(r"(?m)^SystemCallFilter=(.+)$", (DEPLOY / "systemd/sluice.service").read_text()):
        takes_away, words = line.startswith("~"), line.lstrip("~").split()
        names = set().union(*(expand(word) if word[0] == "@" else {word} for word in words))
        allowed = allowed - names if takes_away else allowed | names
    return allowed


def of_container():
    profile = json.loads((DEPLOY / "container/seccomp.json").read_text())
    return {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}


def confine(names):
    filter = seccomp.SyscallFilter(seccomp.KILL_PROCESS)
    for name in sorted(names):
        try:
            filter.add_rule(seccomp.ALLOW, name)
        except (RuntimeError, ValueError):
            continue  # this machine's libseccomp does not know it: it stays forbidden
    # The calls by which the program itself is started.
    for name in ("execve", "prctl", "seccomp"):
        filter.add_rule(seccomp.ALLOW, name)
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)  # kernels before 6.3 refuse it: one check less
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    filter.load()


if __name__ == "__main__":
    confine({"unit": of_unit, "container": of_container}[sys.argv[1]]())
    os.execv(sys.argv[2], sys.argv[2:])
