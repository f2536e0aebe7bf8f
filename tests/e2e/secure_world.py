"""What tests of TLS policies need: an authority, a validating resolver (unbound) with zones that are signed, unsigned and
forged, mail hosts that break STARTTLS in every way, and hosts of MTA-STS policies."""

import json
import os
import pathlib
import pwd
import re
import socket
import subprocess

from harness import PYTHON, Process, World, accepts, answers_dns, free_port, wait_until

HERE = pathlib.Path(__file__).resolve().parent
POLICY_HOST = "127.60.3.1"


class Authority:
    """Makes certificates with the openssl command."""

    def __init__(self, folder):
        self.folder = folder
        self.cert, self.key = self.make("ca", days=30, extra=["basicConstraints=critical,CA:TRUE"])

    def run(self, *words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make(self, name, names=(), days=30, signer=None, extra=()):
        """Certificate and key files; signed by itself without a signer."""
        key, cert = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        self.run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        self.run("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        alternatives = ["subjectAltName=" + ",".join(f"DNS:{one}" for one in names)] if names else []
        extensions.write_text("\n".join([*alternatives, *extra]) + "\n")
        by = ["-CA", signer.cert, "-CAkey", signer.key, "-CAcreateserial"] if signer else ["-signkey", key]
        self.run("x509", "-req", "-in", request, *by, "-days", days, "-extfile", extensions, "-out", cert)
        if signer:  # the whole chain, as DANE-TA needs it
            cert.write_bytes(cert.read_bytes() + pathlib.Path(signer.cert).read_bytes())
        return cert, key

    def digest(self, cert, selector):
        """What a TLSA record with matching type 1 has."""
        der = ["x509", "-in", cert, "-outform", "DER"]
        octets = self.run(*der) if selector == 0 else self.run(
            "pkey", "-pubin", "-in", self.public_key(cert), "-pubout", "-outform", "DER")
        return subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=octets, capture_output=True,
                              check=True).stdout.split()[0].decode()

    def public_key(self, cert):
        path = self.folder / "public.pem"
        path.write_bytes(self.run("x509", "-in", cert, "-pubkey", "-noout"))
        return path


class SecureWorld(World):
    """`zones`: name -> (records, "signed" | "unsigned", what to forge after signing: (from, to) or None)."""

    def __init__(self, name):
        super().__init__(name)
        self.authority = Authority(self.folder)
        self.policy_port = free_port((POLICY_HOST, "127.0.0.1"))
        self.resolver_port = free_port(kinds=(socket.SOCK_DGRAM, socket.SOCK_STREAM))
        self.mail_journal = self.folder / "mail.journal"
        self.policy_journal = self.folder / "policy.journal"
        self.policy_process = None

    def start_mail_hosts(self, places):
        port_of = [{**place, "port": self.mail_port} for place in places]
        path = self.folder / "mail.json"
        path.write_text(json.dumps(port_of, default=str))
        self.mail_journal.touch()
        process = Process("mail-hosts", [PYTHON, HERE / "tls_receiver.py", "--journal", self.mail_journal, path], self.folder)
        self.others.append(process)
        wait_until(lambda: all(accepts(place["ip"], self.mail_port) for place in places), 20, "the mail hosts' start")

    def start_policy_hosts(self, hosts):
        path = self.folder / "policies.json"
        path.write_text(json.dumps({"ip": POLICY_HOST, "port": self.policy_port, "hosts": hosts}, default=str))
        self.policy_journal.touch()
        self.policy_process = Process("policy-hosts", [PYTHON, HERE / "policy_host.py", "--journal", self.policy_journal,
                                                       path], self.folder)
        wait_until(lambda: accepts(POLICY_HOST, self.policy_port), 20, "the policy hosts' start")
        self.others.append(self.policy_process)

    def stop_policy_hosts(self):
        self.others.remove(self.policy_process)
        self.policy_process.end()

    def start_resolver(self, zones):
        anchors, clauses = [], []
        for zone, (records, kind, forged) in zones.items():
            path = self.folder / f"{zone}.zone"
            path.write_text(f"$ORIGIN {zone}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n"
                            f"ns A 127.0.0.1\n" + "\n".join(records) + "\n")
            if kind == "signed":
                path, anchor = self.sign(zone, path)
                anchors.append(anchor)
            if forged:
                text = path.read_text()
                changed = re.sub(forged[0], forged[1], text)
                assert changed != text, f"nothing forged in {zone}"
                path.write_text(changed)
            clauses.append(f'auth-zone:\n name: "{zone}."\n zonefile: "{path}"\n for-downstream: no\n'
                           " for-upstream: yes\n fallback-enabled: no\n")
        user = pwd.getpwuid(os.getuid()).pw_name
        config = self.folder / "unbound.conf"
        config.write_text("\n".join([
            "server:", " interface: 127.0.0.1", f" port: {self.resolver_port}", f' username: "{user}"', ' chroot: ""',
            f' directory: "{self.folder}"', ' pidfile: ""', " use-syslog: no", " verbosity: 1", " num-threads: 1",
            " do-daemonize: no", ' module-config: "validator iterator"', " do-not-query-localhost: no",
            ' local-zone: "test." nodefault', ' local-zone: "ready.test." always_nxdomain', " trust-anchor-signaling: no", " val-log-level: 1",
            *[f' trust-anchor-file: "{anchor}"' for anchor in anchors], "remote-control:", " control-enable: no",
            *clauses]) + "\n")
        self.others.append(Process("unbound", ["/usr/sbin/unbound", "-d", "-c", config], self.folder))
        wait_until(lambda: answers_dns(self.resolver_port), 20, "unbound's start")

    def sign(self, zone, path):
        run = dict(cwd=self.folder, capture_output=True, check=True)
        key = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone], **run).stdout.decode().strip()
        subprocess.run(["ldns-signzone", "-f", f"{path}.signed", path, key], **run)
        return pathlib.Path(f"{path}.signed"), self.folder / f"{key}.key"

    def received(self, to):
        entries = [json.loads(line) for line in self.mail_journal.read_text().splitlines()]
        return [entry for entry in entries if to in entry["to"]]

    def daemon(self, name="sluice", **overrides):
        made = super().daemon(name, **overrides)
        made.config["dns"]["servers"] = [f"127.0.0.1:{self.resolver_port}"]
        made.config["delivery"].update({"mta_sts_port": self.policy_port, "tls_ca_file": str(self.authority.cert)})
        return made
