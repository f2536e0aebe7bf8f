"""Sources whose connections go through proxies: SOCKS5 and the PROXY protocol, small ones and real ones."""

import os
import pathlib
import shutil
import subprocess

from harness import MOODY, Process, World, WholeRun, accepts, free_port, mail, wait_until
from proxies import proxy_protocol, socks5
from sources_test import IP1, Observer

PROXY = "127.60.3.1"


class Egress(WholeRun):
    receivers = ()

    @classmethod
    def setUpClass(cls):
        cls.world = World(cls.__name__.lower())
        cls.addClassCleanup(cls.finish)
        cls.observer = Observer(MOODY["rate"], cls.world.mail_port)
        cls.addClassCleanup(cls.observer.shutdown)
        cls.password = cls.world.folder / "password"
        cls.password.write_text("p\n")
        cls.password.chmod(0o600)
        cls.ports = {name: free_port((PROXY,)) for name in ("plain", "early", "secret", "refusing", "header", "wrong", "nobody",
                                                            "microsocks", "haproxy")}
        cls.proxies = {"plain": socks5(PROXY, cls.ports["plain"]),
                       "early": socks5(PROXY, cls.ports["early"], greets_early=True),
                       "secret": socks5(PROXY, cls.ports["secret"], log_in=b"u:p"),
                       "refusing": socks5(PROXY, cls.ports["refusing"], refuses=2),
                       "header": proxy_protocol(PROXY, cls.ports["header"])}
        def source(name, scheme="socks5", **more):
            port = cls.ports["secret" if name == "wrong" else name]
            return {"name": name, "proxy": f"{scheme}://{PROXY}:{port}", "ehlo": f"{name}.proxy.test", **more}
        sources = [source("plain"), source("early"),
                   source("secret", proxy_user="u", proxy_password_file=str(cls.password)),
                   source("wrong", proxy_user="x", proxy_password_file=str(cls.password)),
                   source("refusing"), source("nobody"), source("header", "haproxy", address=IP1),
                   source("microsocks", proxy_user="u", proxy_password_file=str(cls.password)),
                   source("haproxy", "haproxy", address=IP1)]
        cls.daemon = cls.world.daemon(source=sources, pool=[{"name": one["name"], "sources": [one["name"]]} for one in sources])
        cls.daemon.start()
        for proxy in cls.proxies.values():
            cls.addClassCleanup(proxy.shutdown)

    def delivered_by(self, pool, count=1):
        seen = len(self.observer.mails)
        self.daemon.submit(mail([f"{pool}{n}@rate.test" for n in range(count)], pool=pool))
        wait_until(lambda: len(self.observer.mails) >= seen + count, 30, f"the mail by {pool}")
        return self.observer.mails[seen:]

    def deferred_by(self, pool):
        self.daemon.submit(mail(f"{pool}@rate.test", pool=pool))
        event = wait_until(lambda: self.daemon.events(to=f"{pool}@rate.test", type="deferred"), 30, "the deferral")[0]
        self.assertEqual((event["stage"], event["source"]), ("connect", pool))
        return event["reply"]

    def test_mail_goes_through_socks5(self):
        for pool in ("plain", "early"):
            mails = self.delivered_by(pool, 20)
            self.assertEqual({name for _, name in mails}, {f"{pool}.proxy.test"})
            self.assertEqual(set(self.proxies[pool].asked), {(MOODY["rate"], self.world.mail_port)})

    def test_a_proxy_may_want_a_password(self):
        self.delivered_by("secret")
        self.assertIn("refuses the user or the password", self.deferred_by("wrong"))

    def test_what_a_proxy_refuses_is_deferred_with_its_reason(self):
        reply = self.deferred_by("refusing")
        self.assertIn("its rules do not allow the connection", reply)
        self.assertIn(f"proxy {PROXY}:{self.ports['refusing']}", reply)
        self.assertIn("refused", self.deferred_by("nobody"))

    def test_haproxys_protocol_names_source_and_host(self):
        mails = self.delivered_by("header", 3)
        self.assertEqual(set(mails), {(IP1, "header.proxy.test")})
        self.assertEqual(set(self.proxies["header"].asked), {(IP1, MOODY["rate"], self.world.mail_port)})

    def test_mail_goes_through_microsocks(self):
        program = shutil.which("microsocks")
        self.assertIsNotNone(program, "deploy/setup.sh installs it")
        process = Process("microsocks", [program, "-i", PROXY, "-p", str(self.ports["microsocks"]), "-u", "u", "-P", "p"],
                          self.world.folder)
        self.world.others.append(process)
        wait_until(lambda: accepts(PROXY, self.ports["microsocks"]), 10, "its start")
        self.assertEqual({name for _, name in self.delivered_by("microsocks", 5)}, {"microsocks.proxy.test"})

    def test_mail_goes_through_haproxy(self):
        program = shutil.which("haproxy") or "/usr/sbin/haproxy"
        self.assertTrue(pathlib.Path(program).exists(), "deploy/setup.sh installs it")
        config = self.world.folder / "haproxy.cfg"
        # The host is where the header says; from where it says takes rights that only root has.
        transparent = "source 0.0.0.0 usesrc clientip" if os.geteuid() == 0 and self.may_be_transparent() else ""
        config.write_text(f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen egress
    bind {PROXY}:{self.ports["haproxy"]} accept-proxy
    server host 0.0.0.0:0 {transparent}
""")
        process = Process("haproxy", [program, "-db", "-f", str(config)], self.world.folder)
        self.world.others.append(process)
        wait_until(lambda: accepts(PROXY, self.ports["haproxy"]) or not process.running(), 10, "its start")
        mails = self.delivered_by("haproxy", 5)
        self.assertEqual({name for _, name in mails}, {"haproxy.proxy.test"})
        if transparent:
            self.assertEqual({address for address, _ in mails}, {IP1})

    @staticmethod
    def may_be_transparent():
        """Binding to a foreign address (IP_TRANSPARENT)."""
        import socket
        with socket.socket() as one:
            try:
                one.setsockopt(socket.SOL_IP, 19, 1)
            except OSError:
                return False
        return True

    def test_a_wrong_combination_is_refused(self):
        config = self.world.folder / "wrong.toml"
        config.write_text('[[source]]\nname = "a"\nproxy = "haproxy://127.0.0.1:1"\n'
                          '[[source]]\nname = "b"\nproxy = "http://127.0.0.1:1"\n')
        done = subprocess.run([os.environ.get("SLUICE_BINARY", str(pathlib.Path(__file__).parents[2] / "build/release/sluice")),
                               "check", "--offline", "--config", str(config)], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is no proxy", done.stdout)
