#!/usr/bin/env bash
# Installs what packages.txt lists, and asks apt only when something is missing. Idempotent.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# "npm [npm]": only where there is no such command yet; other people's packages of Node.js bring it, too.
wanted=()
while read -r package command; do
    command=${command//[\[\]]/}
    [ -n "$command" ] && command -v "$command" >/dev/null && continue
    wanted+=("$package")
done < <(grep -vE '^\s*(#|$)' "$here/packages.txt")

# dpkg-query is a local look-up: a machine that has everything never talks to a mirror.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p' || true)
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(printf '%s\n' "$installed" | sort -u))
[ "${#missing[@]}" -eq 0 ] && exit 0

echo "setup: installing ${missing[*]}" >&2
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
if ! command -v apt-get >/dev/null; then
    echo "setup: needs Debian's apt-get to install the packages above; install them by hand and run again" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# policy-rc.d keeps a peer such as postfix from starting a service on the developer's machine.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    made_policy=1
fi
cleanup() { [ -z "$made_policy" ] || as_root rm -f "$policy"; rm -f "$log"; }
trap cleanup EXIT
if ! { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
    </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get could not install the packages above; mend that and run again" >&2
    exit 1
fi
