"""Hands a mail over and waits for what became of it, with Python's standard library. Usage: send.py URL FROM TO..."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

url, sender, recipients = sys.argv[1], sys.argv[2], sys.argv[3:]
key = os.environ.get("SLUICE_API_KEY")


def ask(path, body=None, **fields):
    """One exchange: headers and text. 429 and 503 say when to come again."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    while True:
        request = urllib.request.Request(url + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refused:
            if refused.code not in (429, 503):
                sys.exit(f"{refused.code}: {refused.read().decode()}")
            time.sleep(float(refused.headers.get("Retry-After", 1)))


job = {
    "from": sender,
    "campaign": "example",
    "class": "transactional",
    "content": {"from": f"Example <{sender}>", "subject": "Hello {{name}}", "text": "Hi {{name}}, it works.\n"},
    "recipients": [{"to": to, "vars": {"name": to.split("@")[0]}} for to in recipients],
}
# The same key again within a day gives the same answer and sends nothing twice, so that a lost answer may be asked for.
_, text = ask("/v1/messages", json.dumps(job).encode(), Content_Type="application/json", Idempotency_Key=str(uuid.uuid4()))
answer = json.loads(text)
for one in answer.get("rejected", []):
    print(one["to"], "rejected", one["message"])

# Events come in order; the cursor says how far we have looked. Keep it, and nothing is ever missed.
left, position = answer["accepted"], "since=5m"
while left > 0:
    headers, lines = ask(f"/v1/events?{position}&wait=10s&campaign=example&type=delivered,bounced,expired,cancelled,suppressed")
    position = f"after={headers['Sluice-Cursor']}"
    for event in map(json.loads, lines.splitlines()):
        if event["job"] == answer["job"]:
            print(event["to"], event["type"], event.get("code", ""), event.get("reply", ""))
            left -= 1
