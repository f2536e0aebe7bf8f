#!/usr/bin/env bash
# Usage: deploy/build.sh release|tuned|asan|fuzz [target...]
# Configures build/<kind> once and builds it; of "tuned" the program alone, when no target is named. Prints Ninja's
# progress; exits with its status.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
kind=${1:-release}
shift || true

# build DIR FLAGS... -- TARGETS...: none means everything.
build() {
    local dir=$root/build/$1 flags=()
    shift
    while [ "$1" != -- ]; do flags+=("$1"); shift; done
    shift
    if [ ! -f "$dir/build.ninja" ]; then
        cmake -S "$root" -B "$dir" -G Ninja -DCMAKE_CXX_COMPILER=clang++-19 "${flags[@]}" >&2
    fi
    cmake --build "$dir" ${1:+--target "$@"} >&2
}

# A program that counts its branches sends some thousands of mails; what it counted is build/profiled/sluice.profdata.
# Made again whenever the program has changed.
profile() {
    local dir=$root/build/profiled
    build profiled -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSLUICE_PROFILE=write -- sluice
    if [ ! "$dir/sluice.profdata" -nt "$dir/sluice" ]; then
        build release -DCMAKE_BUILD_TYPE=RelWithDebInfo -- sluice-sink sluice-load
        rm -rf "$dir/counts"
        SLUICE_BINARY=$dir/sluice LLVM_PROFILE_FILE=$dir/counts/%p.profraw /usr/bin/python3 "$root/bench/train.py" >&2
        llvm-profdata-19 merge -o "$dir/sluice.profdata" "$dir"/counts/*.profraw >&2
    fi
}

case "$kind" in
    release) build release -DCMAKE_BUILD_TYPE=RelWithDebInfo -- "$@" ;;
    tuned)
        profile
        build tuned -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DSLUICE_PROFILE=$root/build/profiled/sluice.profdata" -- "${@:-sluice}"
        ;;
    asan) build asan -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSLUICE_SANITIZE=ON -- "$@" ;;
    fuzz) build fuzz -DSLUICE_FUZZ=ON -- "$@" ;;
    *) echo "build: unknown kind '$kind'; use release, tuned, asan or fuzz" >&2; exit 2 ;;
esac
