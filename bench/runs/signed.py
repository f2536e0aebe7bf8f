"""The same mail unsigned and with an RSA-2048 signature each, and what signatures cost `openssl speed` in between."""

import os
import re
import subprocess

import lab
from runs import trial

MESSAGES_MAX = 20_000


def openssl_signatures(*words):
    """Signatures a second that `openssl speed` makes, of one process or of several together."""
    done = subprocess.run(["openssl", "speed", "-mr", "-seconds", "5", *words, "rsa2048"], capture_output=True, text=True)
    # +F2:<number>:<bits>:<signatures a second, or seconds a signature>:<verifications>; by the clock of its CPU. Of several
    # processes the sum stands last.
    found = re.findall(r"^\+F2:\d+:2048:([0-9.]+):", done.stdout, re.MULTILINE)
    if not found:
        raise lab.Failure(f"openssl speed said nothing that we know: {done.stdout[-300:]}")
    value = float(found[-1])
    return value if value > 1 else 1 / value


def measure(folder, options):
    count = min(options.messages, MESSAGES_MAX)
    key = folder.folder / "dkim.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key], check=True,
                   capture_output=True)
    key.chmod(0o600)
    entry = {"domain": "load.test", "selector": "s1", "key": str(key)}
    results = {"count": count, "cores": os.cpu_count()}
    for name, more in (("plain", {}), ("signed", {"dkim": [entry]})):
        with trial.sink(folder, name) as sink, trial.engine(folder, name, sink.port, **more) as one:
            results[name] = trial.single_mails(one, count, sink.process)
        if name == "plain":
            results["openssl_us"] = 1e6 / openssl_signatures()
            results["openssl_together"] = openssl_signatures("-multi", str(os.cpu_count()))
    results["beyond_us"] = results["signed"]["cpu_us"] - results["openssl_us"]
    # Unsigned mail takes its part of the cores, with receiver and load; signatures can have the rest.
    plain = results["plain"]
    others = plain["cpu_us"] + plain["receiver_cpu_us"] + plain["load_cpu_us"]
    results["allowed_per_second"] = 1 / (others / 1e6 / results["cores"] + 1 / results["openssl_together"])
    return results


def lines(d, options):
    signed = d["signed"]
    return [f"DKIM with RSA-2048, {d['count']:,} messages: {signed['delivered_per_second']:,.0f}/s at {signed['cpu_us']:.0f} µs of CPU each, "
            f"unsigned {d['plain']['cpu_us']:.0f}. A signature costs `openssl speed` {d['openssl_us']:.0f} µs, so a signed message costs "
            f"{d['beyond_us']:.0f} µs beyond its signature (wanted: 50).", "",
            f"`openssl speed -multi {d['cores']}` makes {d['openssl_together']:,.0f} signatures a second and nothing else. Engine, receiver and load take "
            f"their part of the cores, as the unsigned run has it; what is left allows {d['allowed_per_second']:,.0f}/s, and the engine "
            f"delivers {signed['delivered_per_second'] / d['allowed_per_second'] * 100:.0f}% of that (wanted: 90%)."]
