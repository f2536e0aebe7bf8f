#!/usr/bin/env bash
# Usage: tests/run.sh [--only unit|sim|e2e|console|deploy|interop|fuzz] [--long]
# Everything that is tested: unit tests and the simulator as release and under AddressSanitizer and
# UndefinedBehaviorSanitizer, whole runs of the daemon, other people's mail servers, a minute of fuzzing a target.
# Goes on after a failure; ends with "N passed, N failed" and a status that says the same.
# A unit test counts once: the sanitizer's run of it counts only when it fails.
# --long: more power cuts, more kills and more mail, all receivers, the
# simulator for hours, and ten minutes of fuzzing a target.
set -uo pipefail
exec </dev/null
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

only=all
long=
while [ $# -gt 0 ]; do
    case "$1" in
        --only)
            only=${2:-}
            case "$only" in
                unit|sim|e2e|console|deploy|interop|fuzz) ;;
                *) echo "run: --only takes unit, sim, e2e, console, deploy, interop or fuzz, not '$only'" >&2; exit 2 ;;
            esac
            shift 2 ;;
        --long) long=--long; export SLUICE_LONG=1; shift ;;
        -h|--help) sed -n '2,9s/^# \?//p' "$0"; exit 0 ;;
        *) echo "run: unknown option '$1'; there are --only unit|sim|e2e|console|deploy|interop|fuzz and --long" >&2; exit 2 ;;
    esac
done

test_seconds_max=600  # of one test program; a hang is a failure, not a wait
passed=0 failed=0 skipped=0
failures=()
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

began=$SECONDS
note() { printf '[%4ds] %s\n' $((SECONDS - began)) "$*"; }
fail() {  # count, what
    failed=$((failed + $1))
    failures+=("$2")
    note "FAILED: $2"
}

# A step that must succeed for what follows; its output is shown when it fails.
step() {  # title, command...
    local title=$1 start=$SECONDS log="$results/step.log"
    shift
    note "$title ..."
    if "$@" >"$log" 2>&1; then
        note "$title: done in $((SECONDS - start)) s"
        return 0
    fi
    tail -n 60 "$log"
    fail 1 "$title"
    return 1
}

# One test program, in the background of judge_program; a hang is a failure.
run_program() {  # kind, program
    local at="$results/$1.$(basename "$2")" start=$SECONDS
    timeout -k 10 "$test_seconds_max" "$2" --gtest_brief=1 --gtest_output="xml:$at.xml" >"$at.log" 2>&1
    echo "$? $((SECONDS - start))" >"$at.end"
}

# Its cases are counted from its own report, so that a crash is seen as a failure.
judge_program() {  # kind, program
    local kind=$1 name at status seconds
    name=$(basename "$2")
    at="$results/$kind.$name"
    read -r status seconds <"$at.end"
    local cases=0 bad=0 left_out=0
    if [ -s "$at.xml" ]; then
        cases=$(sed -n 's/^<testsuites tests="\([0-9]*\)".*/\1/p' "$at.xml")
        # The report's head does not count tests that were left out; each has a line of its own.
        left_out=$(grep -cE '<testcase .*result="(skipped|suppressed)"|<testcase .*status="notrun"' "$at.xml")
        sed -n 's/.*<skipped message="\([^"]*\)".*/left out: \1/p' "$at.xml" | cut -c1-200
        bad=$(sed -n 's/^<testsuites .* failures="\([0-9]*\)".*/\1/p' "$at.xml")
    fi
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1  # died, hung, or leaked at its end
    if [ "$kind" = release ]; then
        passed=$((passed + cases - left_out - (bad > cases ? cases : bad)))
        skipped=$((skipped + left_out))
    fi
    note "$kind $name: $cases cases, $bad failed, $seconds s"
    if [ "$bad" -gt 0 ]; then
        tail -n 60 "$at.log"
        fail "$bad" "$kind $name (status $status)"
    fi
}

# Two programs at a time: some of them wait more than they compute.
run_unit_tests() {
    local kind program programs
    for kind in release asan; do
        step "build $kind" deploy/build.sh "$kind" unit_tests || continue
        programs=()
        for program in build/"$kind"/tests/test_*; do
            [ "${program##*/}" = test_sim_mutants ] && continue  # has a step of its own
            [ -f "$program" ] && [ -x "$program" ] && programs+=("$program")
        done
        for program in "${programs[@]}"; do
            while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
            run_program "$kind" "$program" &
        done
        wait
        for program in "${programs[@]}"; do judge_program "$kind" "$program"; done
    done
}

# Bugs that are planted in copies of the engine must be found by the simulator. A step of its own: a planted bug whose line
# is gone from the engine fails here, and nothing else.
run_planted_bugs() {
    step "build the planted bugs" deploy/build.sh release test_sim_mutants || return
    run_program release build/release/tests/test_sim_mutants
    judge_program release build/release/tests/test_sim_mutants
}

# Fresh seeds on both cores, for SLUICE_SIM_MINUTES, and a power cut at every sync.
run_simulator_for_long() {
    step "build the simulator" deploy/build.sh release sluice-sim || return
    local minutes=${SLUICE_SIM_MINUTES:-120}
    step "a power cut at every sync" build/release/tests/sluice-sim --power-cuts 1 --jobs 2 && passed=$((passed + 1))
    tail -n 3 "$results/step.log"
    step "simulator for $minutes minutes" build/release/tests/sluice-sim --long "$minutes" --jobs 2 && passed=$((passed + 1))
    tail -n 1 "$results/step.log"
}

# Programs whose output others judge: Python's mail parser, dkimpy.
run_readers() {
    step "build what others read" deploy/build.sh release render_corpus signed_corpus || return
    local pair corpus script
    for pair in render_corpus:reading_test.py signed_corpus:signed_test.py; do
        corpus=build/release/tests/${pair%%:*} script=tests/engine/message/${pair#*:}
        step "$script" timeout -k 10 "$test_seconds_max" /usr/bin/python3 "$script" "$corpus" && passed=$((passed + 1))
    done
}

# A suite that counts for itself: what of the build it needs, then the program, which takes --counts FILE.
run_suite() {  # title, build kind, targets, program, arguments...
    local title=$1 kind=$2 targets=$3
    shift 3
    # shellcheck disable=SC2086  # targets are words
    step "build $targets" deploy/build.sh "$kind" $targets || return
    local start=$SECONDS counts="$results/suite.counts"
    rm -f "$counts"
    # Debian's own Python: the one that has python3-aiosmtpd.
    /usr/bin/python3 "$@" --counts "$counts" $long
    local status=$? good=0 bad=0 left_out=0
    [ -s "$counts" ] && read -r good bad left_out <"$counts"
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    passed=$((passed + good))
    skipped=$((skipped + left_out))
    note "$title: $good passed, $bad failed, $((SECONDS - start)) s"
    [ "$bad" -eq 0 ] || fail "$bad" "$title"
}

step "install what is missing" deploy/setup.sh || { echo "0 passed, 1 failed"; exit 1; }
wanted() { [ "$only" = all ] || [ "$only" = "$1" ]; }
wanted unit && { run_unit_tests; run_planted_bugs; run_readers; }
wanted e2e && run_suite "whole runs (tests/e2e)" release "sluice sluice-sink" tests/e2e/run.py
wanted console && run_suite "the console in Chromium (tests/console)" release "sluice sluice-sink" tests/console/run.py
wanted deploy && run_suite "deployment (tests/deploy)" release "sluice sluice-sink sluice-load" tests/deploy/run.py
wanted interop && run_suite "real receivers (tests/interop)" release sluice tests/interop/run.py
wanted fuzz && run_suite "fuzzers (tests/fuzz)" fuzz sluice-fuzz tests/fuzz/run.py
if [ "$only" = sim ] || { [ "$only" = all ] && [ -n "$long" ]; }; then run_simulator_for_long; fi

for failure in ${failures[@]+"${failures[@]}"}; do echo "failed: $failure"; done
[ "$skipped" -eq 0 ] || echo "$skipped left out (each said why)"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
