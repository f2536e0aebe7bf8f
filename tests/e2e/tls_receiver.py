"""A mail host that does with STARTTLS what its place says, and writes down each content with the TLS it came over.

    tls_receiver.py --journal FILE PLACES

PLACES is a JSON file: a list of {"ip", "port", "mode", "cert", "key"}. Modes:
    tls       STARTTLS with that certificate
    stripped  does not offer it (as behind somebody on the way who takes it out)
    refused   offers it and answers 454
    garbage   answers 220 and then no handshake, but text
    cut       answers 220 and closes
Each of them takes mail in plaintext when it is given any. The journal has one JSON object a line: ip, tls (the version,
or null), to, data.
"""

import argparse
import asyncio
import json
import ssl
import sys


class Session:
    def __init__(self, place, journal, reader, writer):
        self.place, self.journal = place, journal
        self.reader, self.writer = reader, writer
        self.to = []

    def tls(self):
        made = self.writer.get_extra_info("ssl_object")
        return made.version() if made else None

    async def say(self, *lines):
        self.writer.write("".join(line + "\r\n" for line in lines).encode())
        await self.writer.drain()

    async def start_tls(self):
        mode = self.place["mode"]
        if mode == "refused":
            return await self.say("454 4.7.0 TLS is not available for now")
        await self.say("220 2.0.0 Go ahead")
        if mode == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.place["cert"], self.place["key"])
            await self.writer.start_tls(context)
            return None
        if mode == "garbage":
            await self.say("this is no handshake", "and neither is this")
            await self.reader.read(1000)
        raise ConnectionError("as the mode has it")

    async def content(self):
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionError("cut within the content")
            lines.append(line)
        self.journal.write(json.dumps({"ip": self.place["ip"], "tls": self.tls(), "to": self.to,
                                       "data": b"".join(lines).decode("latin-1")}) + "\n")

    async def serve(self):
        await self.say("220 host.test ESMTP")
        while line := await self.reader.readline():
            words = line.decode("latin-1").strip()
            verb = words.split(":")[0].split(" ")[0].upper()
            if verb == "EHLO":
                offers = self.place["mode"] != "stripped" and not self.tls()
                await self.say("250-host.test", "250-PIPELINING", "250-8BITMIME", *(["250-STARTTLS"] if offers else []),
                               "250 ENHANCEDSTATUSCODES")
            elif verb == "STARTTLS":
                await self.start_tls()
            elif verb == "RCPT":
                self.to.append(words[words.index("<") + 1:words.index(">")])
                await self.say("250 2.1.5 OK")
            elif verb == "DATA":
                await self.say("354 Go")
                await self.content()
                await self.say("250 2.0.0 Taken")
            elif verb == "QUIT":
                return await self.say("221 2.0.0 Bye")
            else:
                if verb in ("MAIL", "RSET"):
                    self.to = []
                await self.say("250 2.0.0 OK")
        return None


async def serve(places, journal):
    for place in places:
        async def session(reader, writer, place=place):
            try:
                await Session(place, journal, reader, writer).serve()
            except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()
        # Behind a full backlog the kernel answers with cookies and forgets who connects, who then waits for a banner.
        await asyncio.start_server(session, place["ip"], place["port"], backlog=4096)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", required=True)
    parser.add_argument("places")
    arguments = parser.parse_args()
    with open(arguments.places, encoding="ascii") as file:
        wanted = json.load(file)
    try:
        asyncio.run(serve(wanted, open(arguments.journal, "a", buffering=1, encoding="ascii")))
    except KeyboardInterrupt:
        sys.exit(0)
