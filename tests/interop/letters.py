"""The mails of an interop run, and what a receiver must hold of them afterwards.

Every line of a body says run.message.line, so that a missing, foreign or doubled line is seen; every message has an
envelope sender of its own. Every tenth recipient is refused ("no...", 550 by the receiver's own rules); every
twentieth message has three recipients, of whom one is refused.
"""

import collections
import dataclasses
import email.parser
import email.policy
import pathlib
import random
import re

REFUSED = "no"


@dataclasses.dataclass
class Letter:
    number: int
    sender: str
    recipients: list  # addresses
    lines: list       # of the body, bytes

    def job(self):
        """As a line of an NDJSON stream."""
        head = ["From: Interop <news@sender.test>", f"Subject: letter {self.number}", f"X-Number: {self.number}",
                "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
        raw = "\r\n".join(head + [""] + [line.decode() for line in self.lines]) + "\r\n"
        return {"from": self.sender, "campaign": f"c{self.number % 4}", "content": {"raw": raw},
                "recipients": [{"to": address} for address in self.recipients]}

    def good(self):
        return [address for address in self.recipients if not address.startswith(REFUSED)]


@dataclasses.dataclass
class Kept:
    """One message in a receiver's hands."""
    sender: str
    recipients: list  # whom it is kept for; one copy per recipient or one for all, as the receiver does
    data: bytes


def write_letters(run, count, domain, seed, mixed):
    dice = random.Random(seed)
    letters = []
    refused = set(dice.sample(range(count), count // 10))
    for number in range(count):
        first = f"{REFUSED if number in refused else 'ok'}{number}@{domain}"
        recipients = [first]
        if mixed and number % 20 == 7 and number not in refused:  # one refused between two good ones
            recipients += [f"{REFUSED}{number}b@{domain}", f"ok{number}c@{domain}"]
        letters.append(Letter(number, f"s{number}@sender.test", recipients, body(run, number, dice)))
    return letters


def body(run, number, dice):
    """About 2 KiB; dots at the start of lines, empty-looking commands, long lines and octets above 127 among them."""
    lines = []
    for line in range(dice.randint(10, 50)):
        dots = "." * dice.choice([0, 0, 0, 0, 1, 2, 3])
        what = dice.choice(["x" * dice.randint(0, 60), "RSET", "MAIL FROM:<forged@evil.test>", "", "BDAT 10 LAST", "QUIT",
                            "y" * dice.choice([70, 500, 900]) if dice.random() < 0.05 else "z",
                            "grüße aus köln €"])
        lines.append(f"{dots}{run}.{number}.{line} {what}|".encode())
    return lines


def body_lines(data, run):
    """The lines of ours in a kept message's body, decoded from what a hop may have made of it."""
    data = data.replace(b"\r\n", b"\n")
    message = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(data)
    payload = message.get_payload(decode=True)
    return [line for line in payload.split(b"\n") if line]


def number_of(data):
    found = re.search(rb"^X-Number: (\d+)\r?$", data, re.MULTILINE | re.IGNORECASE)
    return int(found.group(1)) if found else None


@dataclasses.dataclass
class Verdict:
    """All of them empty in a good run."""
    lost: list        # (number, recipient): delivered by our events, not kept
    damaged: list     # number: kept, but not with exactly its lines
    twice: list       # (number, recipient)
    phantom: list     # kept for a recipient that our events do not call delivered
    foreign: list     # number: kept under another sender

    def text(self):
        return ", ".join(f"{name} {len(items)}" + (f" ({items[:5]})" if items else "")
                         for name, items in dataclasses.asdict(self).items())


def judge(run, letters, kept, delivered):
    """Compares what a receiver has kept with the addresses that our events call delivered."""
    verdict = Verdict([], [], [], [], [])
    by_number = {letter.number: letter for letter in letters}
    copies = collections.Counter()
    for one in kept:
        number = number_of(one.data)
        letter = by_number.get(number)
        if letter is None:
            verdict.foreign.append(number)
            continue
        if one.sender != letter.sender:
            verdict.foreign.append(number)
        if body_lines(one.data, run) != letter.lines:
            verdict.damaged.append(number)
        for recipient in one.recipients:
            copies[number, recipient] += 1
            if recipient not in delivered or recipient not in letter.recipients:
                verdict.phantom.append((number, recipient))
    for letter in letters:
        for recipient in letter.recipients:
            if recipient in delivered and copies[letter.number, recipient] == 0:
                verdict.lost.append((letter.number, recipient))
            if copies[letter.number, recipient] > 1:
                verdict.twice.append((letter.number, recipient))
    return verdict


def read_maildir(folder):
    """Messages of a Maildir whose delivery program writes Return-Path and Delivered-To."""
    kept = []
    for file in sorted(pathlib.Path(folder).glob("new/*")) + sorted(pathlib.Path(folder).glob("cur/*")):
        data = file.read_bytes()
        head = data.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
        sender = re.search(rb"^Return-Path: *<?([^>\n]*)>?", head, re.MULTILINE | re.IGNORECASE)
        to = re.search(rb"^(?:X-Original-To|Delivered-To|Envelope-To): *<?([^>\n]*)>?", head, re.MULTILINE | re.IGNORECASE)
        kept.append(Kept(sender.group(1).decode() if sender else "?", [to.group(1).decode()] if to else [], data))
    return kept
