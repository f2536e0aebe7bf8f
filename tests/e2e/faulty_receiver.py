"""A mail host whose faults come at random, and that writes down every content it has seen to its end.

    faulty_receiver.py --journal FILE --seed N ip:port ...

The journal has a line a content: the answer ("250", "451", "cut": closed without a word) and the recipients. It is written
before the answer leaves, so what a client may believe is always there.
"""

import argparse
import asyncio
import random

BANNER_421, MAIL_421, RCPT_451, RCPT_550 = 0.02, 0.01, 0.02, 0.005
CONTENT_451, CONTENT_CUT, CONTENT_RESET, CONTENT_SLOW = 0.02, 0.02, 0.01, 0.1


class Host:
    def __init__(self, journal, seed):
        self.journal = journal
        self.random = random.Random(seed)

    def chance(self, of):
        return self.random.random() < of

    async def serve(self, reader, writer):
        try:
            await self.talk(reader, writer)
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()

    async def talk(self, reader, writer):
        def say(line):
            writer.write(line.encode() + b"\r\n")
        if self.chance(BANNER_421):
            return say("421 4.3.2 too busy")
        say("220 faulty.test ESMTP")
        to = []
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                say("250-faulty.test\r\n250-8BITMIME\r\n250 PIPELINING")
            elif word == b"MAIL":
                if self.chance(MAIL_421):
                    return say("421 4.3.2 closing")
                to = []
                say("250 ok")
            elif word == b"RCPT":
                self.recipient(line, to, say)
            elif word == b"DATA":
                if not to:
                    say("554 nobody there")
                    continue
                say("354 go")
                if not await self.content(reader, writer, to, say):
                    return
            elif word == b"QUIT":
                return say("221 bye")
            else:
                say("250 ok")
            await writer.drain()

    def recipient(self, line, to, say):
        if self.chance(RCPT_550):
            say("550 5.1.1 nobody")
        elif self.chance(RCPT_451):
            say("451 4.7.1 later")
        else:
            to.append(line.decode().split("<")[1].split(">")[0])
            say("250 ok")

    async def content(self, reader, writer, to, say):
        if self.chance(CONTENT_RESET):
            await reader.readline()
            writer.transport.abort()
            return False
        while await reader.readline() not in (b".\r\n", b""):
            pass
        if reader.at_eof():
            return False
        if self.chance(CONTENT_SLOW):
            await asyncio.sleep(self.random.uniform(0.05, 0.5))
        answer = "451" if self.chance(CONTENT_451) else "cut" if self.chance(CONTENT_CUT) else "250"
        self.journal.write(" ".join([answer, *to]) + "\n")
        if answer == "cut":
            return False
        say("250 2.0.0 taken" if answer == "250" else "451 4.3.0 later")
        return True


async def main(arguments):
    host = Host(open(arguments.journal, "a", buffering=1, encoding="ascii"), arguments.seed)
    for place in arguments.places:
        ip, port = place.rsplit(":", 1)
        await asyncio.start_server(host.serve, ip, int(port), backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("places", nargs="+")
    asyncio.run(main(parser.parse_args()))
