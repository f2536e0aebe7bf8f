"""aiosmtpd that keeps a journal: aiosmtpd_server.py IP PORT JOURNAL [CERTIFICATE KEY]"""

import asyncio
import base64
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP


class Keeper:
    def __init__(self, journal):
        self.journal = open(journal, "a", buffering=1, encoding="ascii")

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("no"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        self.journal.write(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos,
                                       "data": base64.b64encode(envelope.original_content).decode()}) + "\n")
        return "250 2.0.0 kept"


async def main():
    ip, port, journal, *pair = sys.argv[1:]
    context = None
    if pair:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
    keeper = Keeper(journal)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(keeper, hostname="aiosmtpd.test", enable_SMTPUTF8=True, tls_context=context), ip, int(port))
    await server.serve_forever()


asyncio.run(main())
