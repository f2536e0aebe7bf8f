"""Puts an LMTP server behind an SMTP client: the first "EHLO" of a connection becomes "LHLO". All else passes as it is,
in the same segments. lhlo_proxy.py IP:PORT TO_IP:PORT"""

import asyncio
import sys


async def pass_on(reader, writer, greeting=None):
    try:
        while data := await reader.read(65536):
            if greeting and data[:4].upper() == b"EHLO":
                data = greeting + data[4:]
            greeting = None
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    (ip, port), to = (word.rsplit(":", 1) for word in sys.argv[1:])

    async def connection(reader, writer):
        far_reader, far_writer = await asyncio.open_connection(*to)
        await asyncio.gather(pass_on(reader, far_writer, b"LHLO"), pass_on(far_reader, writer))

    server = await asyncio.start_server(connection, ip, int(port))
    await server.serve_forever()


asyncio.run(main())
