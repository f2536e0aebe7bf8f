#!/usr/bin/env bash
# Usage: deploy/demo.sh [--recipients N] [--keep]
# Builds Sluice, starts it beside a receiving server and a DNS of its own, all on loopback, sends one newsletter to 100,000
# recipients of 200 domains, some of which refuse or ask to come again, and shows what became of every one of them.
# --keep: on a terminal, leave everything running until Enter. Stops what it started; leaves nothing behind.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/setup.sh"
echo "building (minutes the first time, seconds after that) ..."
log=$(mktemp)
if ! "$here/build.sh" release sluice sluice-sink >"$log" 2>&1; then
    tail -n 40 "$log"
    rm -f "$log"
    echo "demo: the build failed; its last lines are above" >&2
    exit 1
fi
rm -f "$log"
# Debian's own Python, which setup.sh has seen to. It takes the shell's place, so that signals reach it.
exec /usr/bin/python3 "$here/demo.py" "$@"
