"""The engine under the system call filters that ship with it, and the unit in the eyes of systemd."""

import importlib.util
import re
import shutil
import subprocess
import unittest

import lab
import world as worlds

UNIT = worlds.ROOT / "deploy/systemd/sluice.service"
EXPOSURE_MAX = 2.0
CONFINED = worlds.ROOT / "tests/deploy/confined.py"


class Confined(unittest.TestCase):
    def setUp(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")

    def test_systemd_calls_the_unit_well_confined(self):
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", UNIT], capture_output=True, text=True)
        exposure = float(re.search(r"Overall exposure level for sluice.service: ([\d.]+)", done.stdout)[1])
        print(f"      exposure {exposure}", flush=True)
        self.assertLess(exposure, EXPOSURE_MAX)

    def test_it_delivers_under_the_units_filter(self):
        self.deliver("unit")

    def test_it_delivers_under_the_containers_profile(self):
        self.deliver("container")

    def test_a_call_that_the_filter_leaves_out_is_not_let_pass(self):
        self.need_seccomp()
        done = subprocess.run(["/usr/bin/python3", CONFINED, "unit", "/usr/bin/unshare", "--mount", "true"], capture_output=True)
        self.assertEqual(done.returncode, -31, "SIGSYS was to be its end")

    def need_seccomp(self):
        if not importlib.util.find_spec("seccomp"):
            self.skipTest("python3-seccomp is not installed (deploy/setup.sh)")

    def deliver(self, how):
        self.need_seccomp()
        with lab.Lab("confined") as folder:
            http, smtp, metrics, dns, stats = lab.free_ports(5)
            port, = lab.free_ports(1, worlds.RECEIVER)
            worlds.start_dns(folder, dns, {"x.test": "mx.x.test"})
            folder.start_sink(f"{worlds.RECEIVER}:{port}", stats)
            path = folder.folder / "sluice.toml"
            path.write_text(lab.toml(lab.settings(folder.folder / "data", http, smtp=smtp, metrics=metrics, dns=dns,
                                                  delivery={"port": port})))
            engine = folder.start("sluice", "/usr/bin/python3", CONFINED, how, lab.ENGINE, "serve", "--config", path)
            lab.wait_until(lambda: engine.check() or lab.ready(http), 30, "the engine is ready")
            subprocess.run([lab.ENGINE, "submit", "--server", f"127.0.0.1:{http}", "-"], check=True, capture_output=True, text=True,
                           input='{"from":"a@news.test","content":{"from":"a@news.test","subject":"s","text":"t"},'
                                 '"recipients":[{"to":"r@x.test"}]}\n')
            lab.wait_until(lambda: engine.check() or lab.get_json(http, "/v1/status")["delivered"] == 1, 30, "the mail is delivered")
            self.assertIn(b"process_resident_memory_bytes", lab.get(metrics, "/metrics")[1])
            self.assertEqual(engine.end(), 0)
