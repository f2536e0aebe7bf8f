#!/usr/bin/env bash
# Usage: bench/one_connection.sh [--seconds S] [--delay 25ms] [--only postfix,sink,peers] [--depths auto,envelope,...] [--write]
# Messages a second on one connection over a delay line, the engine at each depth beside Postfix's client and
# smtp-source. Five minutes or so; everything is on loopback. --write puts the table into bench/RESULTS.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../deploy/setup.sh"
"$here/../deploy/build.sh" release sluice sluice-sink sluice-load sluice-delay
exec /usr/bin/python3 "$here/one_connection.py" "$@"
