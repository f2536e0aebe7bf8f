"""Small proxies for tests: SOCKS5 and one that reads the PROXY protocol. Each writes down what it was asked."""

import socket
import socketserver
import struct
import threading

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def exactly(stream, count):
    data = stream.read(count)
    if len(data) != count:
        raise ConnectionError(f"{len(data)} of {count} octets")
    return data


def forward(here, there):
    try:
        while data := here.recv(65536):
            there.sendall(data)
    except OSError:
        pass
    for end in (here, there):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Proxy(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, ip, port, handler):
        super().__init__((ip, port), handler)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Relay(socketserver.StreamRequestHandler):
    rbufsize = 0  # nothing of the mail may stay in a buffer here

    def relay(self, target, source=None, first=b""):
        other = socket.create_connection(target, 10, source and (source, 0))
        other.settimeout(None)
        with other:
            self.answer(first, other)
            threading.Thread(target=forward, args=(other, self.connection), daemon=True).start()
            forward(self.connection, other)

    def answer(self, first, other):
        self.connection.sendall(first)


class Socks5(Relay):
    """user:password "u:p" when the server has `log_in`; with `greets_early` its answer and the host's greeting are one segment."""

    def handle(self):
        try:
            self.converse()
        except (ConnectionError, OSError):
            pass

    def converse(self):
        version, count = exactly(self.rfile, 2)
        assert version == 5
        methods = exactly(self.rfile, count)
        if self.server.log_in:
            if 2 not in methods:
                return self.connection.sendall(b"\x05\xff")
            self.connection.sendall(b"\x05\x02")
            _, length = exactly(self.rfile, 2)
            user = exactly(self.rfile, length)
            password = exactly(self.rfile, exactly(self.rfile, 1)[0])
            good = user + b":" + password == self.server.log_in
            self.connection.sendall(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return None
        else:
            self.connection.sendall(b"\x05\x00")
        version, command, _, kind = exactly(self.rfile, 4)
        assert (version, command) == (5, 1)
        octets = exactly(self.rfile, 16 if kind == 4 else 4)
        ip = socket.inet_ntop(socket.AF_INET6 if kind == 4 else socket.AF_INET, octets)
        port = struct.unpack("!H", exactly(self.rfile, 2))[0]
        self.server.asked.append((ip, port))
        if self.server.refuses:
            return self.connection.sendall(b"\x05" + bytes([self.server.refuses]) + b"\0\x01" + bytes(6))
        return self.relay((ip, port), first=b"\x05\0\0\x03\x05a.b.c" + bytes(2))

    def answer(self, first, other):
        if self.server.greets_early:
            first += other.recv(4096)
        self.connection.sendall(first)


def socks5(ip, port, log_in=b"", refuses=0, greets_early=False):
    proxy = Proxy(ip, port, Socks5)
    proxy.log_in, proxy.refuses, proxy.greets_early = log_in, refuses, greets_early
    return proxy


class ProxyProtocol(Relay):
    """Connects to where the header says, from where it says: what HAProxy does when it is told to be transparent."""

    def handle(self):
        try:
            assert exactly(self.rfile, 12) == SIGNATURE
            version, family, length = struct.unpack("!BBH", exactly(self.rfile, 4))
            assert version == 0x21
            body = exactly(self.rfile, length)
            size = 16 if family == 0x21 else 4
            name = socket.AF_INET6 if family == 0x21 else socket.AF_INET
            source, target = (socket.inet_ntop(name, body[i * size:(i + 1) * size]) for i in (0, 1))
            port = struct.unpack("!H", body[2 * size + 2:2 * size + 4])[0]
            self.server.asked.append((source, target, port))
            self.relay((target, port), source)
        except (ConnectionError, OSError):
            pass


def proxy_protocol(ip, port):
    return Proxy(ip, port, ProxyProtocol)
