"""dkimpy verifies what signed_corpus signs, and Python's mail parser reads the same before and after conversion.

Usage: signed_test.py path/to/signed_corpus [COUNT]
"""
import base64
import email
import email.policy
import json
import pathlib
import subprocess
import sys
import tempfile

import dkim


def make_keys(folder):
    for name, words in {"rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ed": ["-algorithm", "ED25519"]}.items():
        subprocess.run(["openssl", "genpkey", "-out", f"{folder}/{name}.pem", *words], check=True, capture_output=True)
        yield f"{name}={folder}/{name}.pem"


def verifies(mail, records):
    """Both signatures."""
    return all(dkim.DKIM(mail).verify(index, dnsfunc=lambda name, timeout=5: records.get(name.decode().rstrip(".")))
               for index in range(2))


def leaves(mail):
    """Type, file name and decoded octets of every part that has no parts."""
    message = email.message_from_bytes(mail, policy=email.policy.compat32)
    return [(part.get_content_type(), part.get_payload(decode=True)) for part in message.walk() if not part.is_multipart()]



def main():
    count = sys.argv[2] if len(sys.argv) > 2 else "1000"
    with tempfile.TemporaryDirectory() as folder:
        keys = list(make_keys(folder))
        output = subprocess.run([sys.argv[1], count, *keys], capture_output=True, check=True).stdout.splitlines()
    lines = [json.loads(line) for line in output]
    records = {line["name"]: line["record"].encode() for line in lines if "name" in line}
    mails = [{kind: base64.b64decode(text) for kind, text in line.items()} for line in lines if "sent" in line]
    bad = 0
    for number, mail in enumerate(mails):
        wrong = [f"{kind}: a signature does not hold" for kind in mail if not verifies(mail[kind], records)]
        if not mail["seven"].isascii():
            wrong.append("the seven-bit form is not ASCII")
        if any(len(line) > 998 for line in mail["seven"].split(b"\r\n")):
            wrong.append("the seven-bit form has a line of over 998 octets")
        if leaves(mail["sent"]) != leaves(mail["seven"]):
            wrong.append(f"a reader sees a difference:\n{leaves(mail['sent'])}\n{leaves(mail['seven'])}")
        if wrong:
            bad += 1
            print(f"mail {number}:", *wrong, sep="\n  ")
            if "-v" in sys.argv:
                print(mail["sent"].decode(errors="replace"), mail["seven"].decode(), sep="\n======\n")
    converted = sum(mail["sent"] != mail["seven"] for mail in mails)
    print(f"{len(mails) - bad} of {len(mails)} mails hold, {converted} of them converted")
    sys.exit(0 if mails and converted and not bad else 1)


main()
