#!/usr/bin/env bash
# Hands a mail over with curl and waits for what became of it. Usage: send.sh URL FROM TO...
set -euo pipefail
url=$1 from=$2
shift 2
auth=()
[ -z "${SLUICE_API_KEY:-}" ] || auth=(-H "Authorization: Bearer $SLUICE_API_KEY")

recipients=$(printf '{"to": "%s", "vars": {"name": "%s"}},' $(for to in "$@"; do echo "$to" "${to%%@*}"; done))
job='{"from": "'$from'", "campaign": "example", "class": "transactional",
      "content": {"from": "Example <'$from'>", "subject": "Hello {{name}}", "text": "Hi {{name}}, it works.\n"},
      "recipients": ['${recipients%,}']}'

# The same key again within a day gives the same answer and sends nothing twice, so that a lost answer may be asked for.
answer=$(curl -sS --fail-with-body --retry 5 --retry-connrefused "${auth[@]}" "$url/v1/messages" \
    -H "Content-Type: application/json" -H "Idempotency-Key: example-$$-$(date +%s)" -d "$job") || { echo "$answer" >&2; exit 1; }
id=$(sed -E 's/.*"job": ?"([^"]*)".*/\1/' <<<"$answer")

# Events come in order; the cursor says how far we have looked. Keep it, and nothing is ever missed.
ends="type=delivered,bounced,expired,cancelled,suppressed&campaign=example&wait=10s"
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
query="since=5m" left=$#
while [ "$left" -gt 0 ]; do
    lines=$(curl -sS --fail-with-body "${auth[@]}" -D "$headers" "$url/v1/events?$query&$ends")
    query="after=$(tr -d '\r' <"$headers" | sed -n 's/^sluice-cursor: //Ip')"
    while IFS= read -r event; do
        [[ $event == *"\"job\":\"$id\""* ]] || continue
        sed -E 's/.*"type":"([^"]*)".*"to":"([^"]*)".*/\2 \1/' <<<"$event"
        left=$((left - 1))
    done <<<"$lines"
done
