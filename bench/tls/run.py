#!/usr/bin/env python3
"""Full and resumed TLS handshakes a second: the engine's client beside openssl s_time, against one openssl s_server.

    bench/tls/run.py [--seconds 5] [--binary build/release/bench/bench-tls]

Both ask s_server -www for a page over one connection after the other, so both get TLS 1.3's tickets.
"""

import argparse
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


def s_time(port, folder, version, kind, seconds):
    mode = "-new" if kind == "full" else "-reuse"
    text, cpu = run("openssl", "s_time", "-connect", f"127.0.0.1:{port}", mode, f"-{version}", "-time", seconds, "-www",
                    "/", "-CAfile", folder / "cert.pem")
    count, real = re.findall(r"(\d+) connections in (\d+) real seconds", text)[-1]
    return int(count) / int(real), cpu / max(int(count), 1) * 1e6


def ours(binary, port, folder, kind, seconds):
    text, _ = run(binary, f"127.0.0.1:{port}", folder / "cert.pem", seconds, kind)
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
        for version in ("tls1_3", "tls1_2"):
            port = free_port()
            server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet",
                                       f"-{version}", "-cert", folder / "cert.pem", "-key", folder / "key.pem"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                deadline = time.monotonic() + 10
                while time.monotonic() < deadline:
                    try:
                        socket.create_connection(("127.0.0.1", port), 1).close()
                        break
                    except OSError:
                        time.sleep(0.05)
                for kind in ("full", "resumed"):
                    theirs = s_time(port, folder, version, kind, arguments.seconds)
                    mine = ours(arguments.binary, port, folder, kind, arguments.seconds)
                    print(f"| {version.replace('tls1_', 'TLS 1.')} {kind}, P-256 | {theirs[0]:.0f} | {theirs[1]:.0f} us "
                          f"| {mine[0]:.0f} | {mine[1]:.0f} us |", flush=True)
            finally:
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
