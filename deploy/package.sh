#!/usr/bin/env bash
# Usage: deploy/package.sh [FOLDER]
# Builds Sluice as "build.sh tuned" does and a Debian package of it in FOLDER (default: build/package). The last line of
# its output is the file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../build/package}
"$here/setup.sh"
"$here/build.sh" tuned
mkdir -p "$out"
cd "$here/../build/tuned"
cpack -G DEB -B "$out" >&2
find "$out" -name "sluice_*.deb" -printf "%T@ %p\n" | sort -rn | head -n 1 | cut -d" " -f2-
