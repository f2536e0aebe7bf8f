#!/usr/bin/env bash
# Usage: bench/run.sh [--messages N] [--recipients N] [--bulk N] [--connections N] [--only through,signed,...] [--print]
# Measures the whole engine between load and receivers, peers beside it in the same run, and writes the section of each
# run in bench/RESULTS.md. Ten minutes or so; everything is on loopback.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../deploy/setup.sh"
"$here/../deploy/build.sh" release sluice sluice-sink sluice-load
exec /usr/bin/python3 "$here/run.py" "$@"
