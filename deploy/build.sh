#!/usr/bin/env bash
# Usage: deploy/build.sh release|asan|fuzz [target...]
# Configures build/<kind> once and builds it. Prints Ninja's progress; exits with its status.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
kind=${1:-release}
shift || true
case "$kind" in
    release) flags=(-DCMAKE_BUILD_TYPE=RelWithDebInfo -DSLUICE_SANITIZE=OFF) ;;
    asan) flags=(-DCMAKE_BUILD_TYPE=RelWithDebInfo -DSLUICE_SANITIZE=ON) ;;
    fuzz) flags=(-DSLUICE_FUZZ=ON) ;;
    *) echo "build: unknown kind '$kind'; use release, asan or fuzz" >&2; exit 2 ;;
esac
dir="$root/build/$kind"
if [ ! -f "$dir/build.ninja" ]; then
    cmake -S "$root" -B "$dir" -G Ninja -DCMAKE_CXX_COMPILER=clang++-19 "${flags[@]}" >&2
fi
# Targets are words for ninja; none means everything.
exec cmake --build "$dir" ${1:+--target "$@"} >&2
