"""Reads the mails of render_corpus with Python's own mail parser: another's eyes see what was meant.

Usage: reading_test.py path/to/render_corpus
"""
import base64
import email
import email.policy
import json
import subprocess
import sys


def body(message, subtype):
    part = message.get_body(preferencelist=(subtype,))
    return "" if part is None else part.get_content().replace("\r\n", "\n")


def names(addresses):
    """Python 3.11 keeps the blank between two encoded-words of a phrase, and makes one of many: compare without any."""
    return [("".join(a.display_name.split()), a.addr_spec) for a in addresses]


def check(number, case):
    want = {key: base64.b64decode(value) for key, value in case.items()}
    message = email.message_from_bytes(want["mail"], policy=email.policy.default)
    attachments = [part for part in message.walk() if part.get_content_type() == "application/x-test"]
    sender = message["From"].addresses
    got = {
        "subject": message["Subject"],
        "from": names(sender),
        "to": names(message["To"].addresses),
        "text": body(message, "plain"),
        "html": body(message, "html"),
        "filename": attachments[0].get_filename(),
        "octets": attachments[0].get_content(),
        "defects": [part.defects for part in message.walk() if part.defects],
        "field defects": [str(v.defects) for k, v in message.items() if v.defects],
    }
    name = "".join(want["name"].decode().split())
    expected = {
        "subject": want["subject"].decode(),
        "from": [(name, "news@example.com")],
        "to": [(name, "ann@example.org")],
        "text": want["text"].decode(),
        "html": want["html"].decode(),
        "filename": want["filename"].decode(),
        "octets": want["octets"],
        "defects": [],
        "field defects": [],
    }
    wrong = [key for key in expected if got[key] != expected[key]]
    for key in wrong:
        print(f"mail {number}: {key}\n  got      {got[key]!r}\n  expected {expected[key]!r}")
    if wrong and "-v" in sys.argv:
        print(want["mail"].decode())
    return not wrong


def main():
    lines = subprocess.run([sys.argv[1]], capture_output=True, check=True).stdout.splitlines()
    good = sum(check(number, json.loads(line)) for number, line in enumerate(lines))
    print(f"{good} of {len(lines)} mails read as meant")
    sys.exit(0 if lines and good == len(lines) else 1)


main()
