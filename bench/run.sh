#!/usr/bin/env bash
# Usage: bench/run.sh [--messages N] [--recipients N] [--only a,b,c,peer]
# Measures the whole engine between sluice-load and two receivers, a peer beside it in the same run, and writes
# bench/RESULTS.md. Two minutes or so; everything is on loopback.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../deploy/setup.sh"
"$here/../deploy/build.sh" release sluice sluice-sink sluice-load
exec /usr/bin/python3 "$here/run.py" "$@"
