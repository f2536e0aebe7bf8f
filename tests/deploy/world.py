"""A real engine under load, a real Prometheus that scrapes it, and receivers that take, refuse, put off and hang up.

One world serves all test classes of this folder: `world()` starts it at the first call, and it ends with the program.
"""

import atexit
import functools
import http.client
import json
import pathlib
import shutil
import smtplib
import subprocess
import threading
import unittest
import urllib.parse

import lab

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/sluice.rules.yml"
RECEIVER = "127.60.1.1"
SCRAPE_SECONDS = 1
RATE_WINDOW = "15s"  # in place of $__rate_interval


def start_dns(folder, port, hosts):
    """Answers for {domain: its mail host}; all hosts are the receiver."""
    path = folder.folder / "dnsmasq.conf"
    path.write_text("".join(f"mx-host={domain},{host},10\n" for domain, host in hosts.items())
                    + "".join(f"host-record={host},{RECEIVER}\n" for host in sorted(set(hosts.values()))))
    folder.start("dnsmasq", "/usr/sbin/dnsmasq", "--keep-in-foreground", f"--conf-file={path}", f"--port={port}",
                 "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts", "--local=/test/",
                 "--local-ttl=60", "--cache-size=0", "--user=root", "--log-facility=-")


class Load(threading.Thread):
    """Submits jobs until it is stopped: most of them good, some of them refused at the door."""

    def __init__(self, http_port, smtp_port):
        super().__init__(daemon=True)
        self.http_port, self.smtp_port = http_port, smtp_port
        self.stopped, self.problem = threading.Event(), None

    def run(self):
        try:
            round = 0
            while not self.stopped.wait(0.2):
                self.submit(round)
                round += 1
        except Exception as problem:  # seen by the test that waits for its effects
            self.problem = problem

    def submit(self, round):
        domains = [f"d{n}.test" for n in range(15)] + ["slow.test", "secure.test", "secure.test", "held.test"]
        recipients = [{"to": f"r{round}-{n}@{domains[n % len(domains)]}"} for n in range(60)]
        recipients.append({"to": "not an address"})
        if round % 10 == 0:
            recipients.append({"to": f"r{round}@dead.test"})
        job = {"from": "bounce@news.test", "class": ("bulk", "transactional")[round % 2], "campaign": "deploy",
               "dsn": True, "recipients": recipients,
               "content": {"from": "News <news@news.test>", "subject": "Load", "text": "One of many.\n"}}
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        connection.request("POST", "/v1/messages", json.dumps(job), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 202:
            raise AssertionError(f"POST /v1/messages: {answer.status} {answer.read()[:300]!r}")
        connection.close()
        with smtplib.SMTP("127.0.0.1", self.smtp_port, local_hostname="load.test", timeout=10) as smtp:
            smtp.sendmail("bounce@news.test", [f"s{round}@d4.test"],
                          "From: news@news.test\r\nSubject: one\r\n\r\nHello\r\n")
            smtp.docmd("NONSENSE")


class World:
    def __init__(self):
        if not shutil.which("prometheus"):
            raise unittest.SkipTest("prometheus is not installed (deploy/setup.sh)")
        self.lab = lab.Lab("deploy").__enter__()
        atexit.register(self.end)
        try:
            self.start()
        except BaseException:
            print(self.lab.tails())
            raise

    def start(self):
        folder = self.lab.folder
        self.http, self.smtp, self.metrics, dns, stats, slow_stats, self.prometheus = lab.free_ports(7)
        port, tls_port = lab.free_ports(2, RECEIVER)
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", folder / "dkim.pem"], check=True,
                       capture_output=True)
        (folder / "dkim.pem").chmod(0o600)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=mx.secure.test", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
                       check=True, capture_output=True)
        start_dns(self.lab, dns, {f"d{n}.test": f"mx{n % 5}.{('alpha', 'beta', 'gamma')[n % 3]}.test" for n in range(15)})
        self.lab.start_sink(
            f"{RECEIVER}:{port}", stats, "--rcpt",
            "2% 550 5.1.1 no such user, 1% 550 5.7.1 blocked, listed as spam, 3% 451 4.7.1 greylisted, come again",
            "--final", "0.5% 452 4.2.2 mailbox full, 0.7% drop")
        self.lab.start_sink(f"127.60.2.1:{port}", slow_stats, "--mail", "20% 421 4.7.28 too many messages, slow down",
                            name="slow-sink")
        self.lab.start("tls-receiver", "/usr/bin/python3", ROOT / "tests/e2e/receiver.py", "--journal", folder / "journal",
                       "--tls", f"{folder}/tls.crt,{folder}/tls.key", f"127.60.3.1:{tls_port}")
        self.engine = self.lab.start_engine(lab.settings(
            folder / "data", self.http, smtp=self.smtp, metrics=self.metrics, dns=dns, node={"name": "out1.deploy.test"},
            delivery={"port": port}, retry={"schedule": ["1s", "2s", "4s"], "expires": "1m"},
            provider=[{"name": "alpha", "mx_suffix": [".alpha.test"], "connections": 4},
                      {"name": "beta", "mx_suffix": [".beta.test"], "messages_per_connection": 5, "rate": "50/s"}],
            domain=[{"name": "slow.test", "route": [f"[127.60.2.1]:{port}"]},
                    {"name": "secure.test", "route": [f"[127.60.3.1]:{tls_port}"], "messages_per_connection": 3},
                    {"name": "dead.test", "route": [f"[127.60.4.1]:{port}"]}],
            webhook=[{"name": "nobody", "url": "http://127.0.0.1:9/"}],
            dkim=[{"domain": "news.test", "selector": "s1", "key": f"{folder}/dkim.pem"}]), self.http)
        (folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: {SCRAPE_SECONDS}s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\n"
            f"scrape_configs: [{{job_name: sluice, static_configs: [{{targets: ['127.0.0.1:{self.metrics}']}}]}}]\n")
        self.lab.start("prometheus", "prometheus", f"--config.file={folder}/prometheus.yml",
                       f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{self.prometheus}")
        lab.wait_until(lambda: lab.answers(self.prometheus) and lab.get(self.prometheus, "/-/ready")[0] == 200, 30,
                       "Prometheus is ready")
        self.hold("held.test")
        self.load = Load(self.http, self.smtp)
        self.load.start()

    def end(self):
        if hasattr(self, "load"):
            self.load.stopped.set()
            self.load.join(15)
        self.lab.__exit__(None, None, None)

    def hold(self, domain):
        """An operator's suspension, for as long as the world lasts."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=10)
        connection.request("POST", "/v1/suspensions", json.dumps({"domain": domain, "for": "1h", "reason": "for the dashboards"}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 201:
            raise AssertionError(f"POST /v1/suspensions: {answer.status} {answer.read()[:300]!r}")

    def page(self):
        return lab.get(self.metrics, "/metrics")[1].decode()

    def ask(self, path, **parameters):
        return lab.get_json(self.prometheus, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")["data"]

    def values(self, expr):
        """{labels: number} of an instant query in the words of a dashboard; without what is no number."""
        for variable, value in {"$__rate_interval": RATE_WINDOW, "$instance": ".*", "$provider": ".*"}.items():
            expr = expr.replace(variable, value)
        found = {}
        for series in self.ask("query", query=expr)["result"]:
            number = float(series["value"][1])
            if number == number:
                found[", ".join(f"{k}={v}" for k, v in sorted(series["metric"].items()))] = number
        return found


@functools.cache
def world():
    return World()


def families(page):
    """Names of a page by their TYPE lines, as queries write them: with _bucket, _sum and _count of histograms."""
    names = set()
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            names |= {name + end for end in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
    return names
