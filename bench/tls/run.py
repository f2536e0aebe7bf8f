#!/usr/bin/env python3
"""Full and resumed TLS handshakes a second: the engine's client beside openssl s_time, against one openssl s_server.

    bench/tls/run.py [--seconds 5] [--binary build/release/bench/bench-tls]

One connection after the other, closed after its handshake; but TLS 1.3's tickets come behind the handshake, so there
both ask for a page (and wait 40 ms for s_server's Nagle each time: look at the CPU).
"""

import argparse
import itertools
import json
import pathlib
import re
import resource
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_server(folder, version, page):
    port = free_port()
    words = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", f"-{version}", "-cert", folder / "cert.pem",
             "-key", folder / "key.pem", *(["-www"] if page else [])]
    # Without -www it ends with its standard input.
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return port, server
        except OSError:
            time.sleep(0.05)
    server.kill()
    raise RuntimeError("s_server does not listen")


def run(*words, **options):
    """Standard output, and CPU seconds of the process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout + done.stderr, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def certificate(folder):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
        folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext",
        "subjectAltName=DNS:localhost")


def s_time(port, folder, version, kind, seconds, page):
    mode = "-new" if kind == "full" else "-reuse"
    text, cpu = run("openssl", "s_time", "-connect", f"127.0.0.1:{port}", mode, f"-{version}", "-time", seconds,
                    "-verify", 2, "-CAfile", folder / "cert.pem", *(["-www", "/"] if page else []))
    count, real = re.findall(r"(\d+) connections in (\d+) real seconds", text)[-1]
    return int(count) / int(real), cpu / max(int(count), 1) * 1e6


def ours(binary, port, folder, kind, seconds, page):
    text, _ = run(binary, f"127.0.0.1:{port}", folder / "cert.pem", seconds, kind, *(["page"] if page else []))
    result = json.loads(text.splitlines()[-1])
    assert result["failed"] == 0 and (kind == "full") == (result["resumed"] < result["done"] / 2), text
    return result["done"] / seconds, result["cpu_us"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--binary", default=ROOT / "build/release/bench/bench-tls")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-tls-") as name:
        folder = pathlib.Path(name)
        certificate(folder)
        print("| handshake | s_time a second | CPU each | ours a second | CPU each |\n|---|---|---|---|---|")
        for version, kind in itertools.product(("tls1_3", "tls1_2"), ("full", "resumed")):
            page = (version, kind) == ("tls1_3", "resumed")
            port, server = start_server(folder, version, page)
            try:
                theirs = s_time(port, folder, version, kind, arguments.seconds, page)
                mine = ours(arguments.binary, port, folder, kind, arguments.seconds, page)
            finally:
                server.terminate()
                server.wait()
            print(f"| {version.replace('tls1_', 'TLS 1.')} {kind}{', and a page' if page else ''} | {theirs[0]:.0f} "
                  f"| {theirs[1]:.0f} us | {mine[0]:.0f} | {mine[1]:.0f} us |", flush=True)


if __name__ == "__main__":
    main()
