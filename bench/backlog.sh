#!/usr/bin/env bash
# Usage: bench/backlog.sh [--deliveries N] [--queues N] [--down N] [--only backlog,down] [--write]
# A backlog that is larger than memory: what it costs on disk and in memory, how fast it comes in, how soon a restart
# delivers again and how fast, and what a receiver that is down costs the others. --write puts it into bench/RESULTS.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../deploy/setup.sh"
"$here/../deploy/build.sh" release sluice sluice-sink sluice-load
exec /usr/bin/python3 "$here/backlog.py" "$@"
