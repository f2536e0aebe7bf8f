"""A receiving mail server (aiosmtpd) that writes down every message before it accepts it.

    receiver.py --journal FILE [--tls CERTIFICATE,KEY] [--auth user:password] [--old ip:port] [smtps://]ip:port ...

A recipient's local part says what it meets:
    r550-x    550 to RCPT, always (any code)
    t2-x      451 to RCPT the first two times, then accepted
    d552-x    552 after the content, always (any code)
    slow-x    accepted after 0.3 s
    anything else is accepted
At an address given with --old it offers neither 8BITMIME nor SMTPUTF8, as servers of the last century do.
The journal has one JSON object a line: at, from, to, tls (its version), data (base64, as it came less dot-stuffing), connection (its
number) and open (connections at this moment).
"""

import argparse
import asyncio
import base64
import collections
import json
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

RCPT_SCRIPT = re.compile(r"r([45]\d\d)-")
DATA_SCRIPT = re.compile(r"d([45]\d\d)-")
TEMPORARY_SCRIPT = re.compile(r"t(\d+)-")
TEXTS = {"550": "5.1.1 No such user here", "552": "5.3.4 Too big for us", "451": "4.7.1 Come back later",
         "452": "4.2.2 Mailbox full", "554": "5.7.1 We do not want this"}


def reply(code):
    return f"{code} {TEXTS.get(code, code[0] + '.0.0 So it is scripted')}"


class Server(SMTP):
    """Counts its connections, over all addresses."""

    made = 0
    open = 0

    def connection_made(self, transport):
        Server.made += 1
        Server.open += 1
        self.number = Server.made
        super().connection_made(transport)

    def tls(self):
        """Of the connection at this moment: its version, or nothing."""
        object = self.transport.get_extra_info("ssl_object") if self.transport else None
        return object.version() if object else ""

    def connection_lost(self, error):
        Server.open -= 1
        super().connection_lost(error)


class Journal:
    def __init__(self, path):
        self.file = open(path, "a", buffering=1, encoding="ascii")

    def write(self, at, server, envelope):
        entry = {"at": at, "connection": server.number, "open": Server.open, "from": envelope.mail_from, "to": envelope.rcpt_tos,
                 "tls": server.tls(), "data": base64.b64encode(envelope.original_content).decode("ascii")}
        self.file.write(json.dumps(entry) + "\n")


class Handler:
    tries = collections.Counter()  # of each recipient, over all connections

    def __init__(self, journal, at, old):
        self.journal = journal
        self.at = at
        self.old = old

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        modern = ("8BITMIME", "SMTPUTF8")
        return [line for line in responses if not self.old or not line[4:].startswith(modern)]

    async def handle_RCPT(self, server, session, envelope, address, options):
        if script := RCPT_SCRIPT.match(address):
            return reply(script[1])
        if script := TEMPORARY_SCRIPT.match(address):
            self.tries[address] += 1
            if self.tries[address] <= int(script[1]):
                return reply("451")
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        for address in envelope.rcpt_tos:
            if script := DATA_SCRIPT.match(address):
                return reply(script[1])
            if address.startswith("slow-"):
                await asyncio.sleep(0.3)
        self.journal.write(self.at, server, envelope)
        return "250 2.0.0 Taken"


def tls_context(files):
    """Of "certificate,key"; of "none" one that can shake hands with nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if files != "none":
        context.load_cert_chain(*files.split(","))
    return context


def log_in(expected):
    def check(server, session, envelope, mechanism, data):
        user, password = data.login.decode(), data.password.decode()
        return AuthResult(success=f"{user}:{password}" == expected)
    return check


async def serve(arguments, journal):
    loop = asyncio.get_running_loop()
    context = tls_context(arguments.tls) if arguments.tls else None
    for place in arguments.places + arguments.old:
        first = place.startswith("smtps://")
        ip, port = place.removeprefix("smtps://").rsplit(":", 1)
        options = {"hostname": "receiver.test", "enable_SMTPUTF8": place not in arguments.old, "data_size_limit": 64 << 20, "loop": loop}
        if context and not first:
            options["tls_context"] = context
        if arguments.auth:
            options.update(auth_required=True, auth_require_tls=not first, authenticator=log_in(arguments.auth))
        handler = Handler(journal, ip, place in arguments.old)
        await loop.create_server(lambda handler=handler, options=options: Server(handler, **options),
                                 ip, int(port), backlog=1024, ssl=context if first else None)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", required=True)
    parser.add_argument("--tls", help="certificate,key in PEM to offer STARTTLS with; or none, for one that fails")
    parser.add_argument("--auth", help="user:password that must be given")
    parser.add_argument("--old", action="append", default=[])
    parser.add_argument("places", nargs="+", help="ip:port, or smtps://ip:port for TLS from the first octet on")
    arguments = parser.parse_intermixed_args()
    try:
        asyncio.run(serve(arguments, Journal(arguments.journal)))
    except KeyboardInterrupt:
        sys.exit(0)
