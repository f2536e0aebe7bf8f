"""The Debian package: built, installed, served from, upgraded and removed, on a copy of this machine that nobody keeps."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import lab

# On an overlay of the root file system, with mounts, network and process ids of its own: dpkg and the daemon see a whole
# machine, and this one sees nothing of it.
MACHINE = r"""
set -eu
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t tmpfs none run
mount -t tmpfs none tmp
mount -t proc proc proc
mount --rbind /dev dev
cp "$2" tmp/sluice.deb
ip link set lo up
exec chroot . bash -euc "$3"
"""
AS_SLUICE = "setpriv --reuid sluice --regid sluice --clear-groups --no-new-privs --bounding-set=-all"


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("installing takes root")
        cls.folder = tempfile.TemporaryDirectory(prefix="sluice-package-")
        cls.addClassCleanup(cls.folder.cleanup)
        done = subprocess.run(["cpack", "-G", "DEB", "-B", cls.folder.name], cwd=lab.BUILD, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        cls.package, = pathlib.Path(cls.folder.name).glob("sluice_*.deb")

    def on_a_machine(self, script):
        """What the script prints; it runs with -eu."""
        with tempfile.TemporaryDirectory() as place:
            done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", MACHINE, "machine",
                                   place, self.package, script], capture_output=True, text=True, timeout=120,
                                  env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})
        if "mount:" in done.stderr:
            self.skipTest(f"no overlay here: {done.stderr.strip().splitlines()[0]}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_it_is_small_and_says_what_it_needs(self):
        fields = subprocess.run(["dpkg-deb", "--field", self.package], capture_output=True, text=True, check=True).stdout
        for library in ("librocksdb7.8", "liburing2", "libssl3", "libc6"):
            self.assertIn(library, fields)
        self.assertLess(self.package.stat().st_size, 20_000_000)

    def test_installing_makes_the_user_the_folders_and_a_unit_that_systemd_takes(self):
        seen = self.on_a_machine(r"""
            dpkg -i /tmp/sluice.deb >/tmp/log
            grep -q "sluice check" /tmp/log
            stat -c "%n %U:%G %a" /var/lib/sluice /etc/sluice /etc/sluice/sluice.toml /usr/bin/sluice
            getent passwd sluice | cut -d: -f6-7
            sluice --version
            systemd-analyze verify /lib/systemd/system/sluice.service /lib/systemd/system/sluice.socket
            ls /usr/share/sluice/grafana/dashboards /usr/share/sluice/prometheus""")
        for line in ("/var/lib/sluice sluice:sluice 750", "/etc/sluice root:sluice 750", "/etc/sluice/sluice.toml root:sluice 640",
                     "/usr/bin/sluice root:root 755", "/var/lib/sluice:/usr/sbin/nologin", "overview.json", "sluice.rules.yml"):
            self.assertIn(line, seen)

    def test_the_configuration_that_comes_with_it_serves_as_its_user(self):
        seen = self.on_a_machine(rf"""
            hostname out1.example.com 2>/dev/null || true
            dpkg -i /tmp/sluice.deb >/tmp/log
            systemd-tmpfiles --create sluice.conf
            sed -i 's/^#name = "out1.example.com"/name = "out1.example.com"/' /etc/sluice/sluice.toml
            {AS_SLUICE} sluice serve --config /etc/sluice/sluice.toml 2>/tmp/serve.log &
            for i in $(seq 100); do curl -fs http://127.0.0.1:8025/readyz >/dev/null && break; sleep 0.1; done
            curl -fs http://127.0.0.1:8025/readyz || {{ cat /tmp/serve.log; exit 1; }}
            echo '{{"from":"a@news.test","content":{{"from":"a@news.test","subject":"s","text":"t"}},"recipients":[{{"to":"r@x.test"}}]}}' |
                sluice submit -
            sluice status
            curl -fs http://127.0.0.1:9125/metrics | grep build_info
            kill -TERM $! && wait $! && echo "ended well"
            ls /var/lib/sluice | head -n 1""")
        self.assertIn("ended well", seen)
        self.assertIn("sluice_build_info", seen)

    def test_an_upgrade_keeps_what_the_operator_has_written(self):
        self.on_a_machine(r"""
            dpkg -i /tmp/sluice.deb >/tmp/log
            echo '# mine' >> /etc/sluice/sluice.toml
            dpkg -i /tmp/sluice.deb </dev/null >/tmp/log
            tail -n 1 /etc/sluice/sluice.toml | grep -q mine
            stat -c %G%a /etc/sluice/sluice.toml | grep -q sluice640""")

    def test_removing_leaves_the_configuration_and_purging_leaves_only_mail(self):
        seen = self.on_a_machine(r"""
            dpkg -i /tmp/sluice.deb >/tmp/log
            touch /var/lib/sluice/mail
            dpkg -r sluice >/tmp/log
            ! test -e /usr/bin/sluice
            ! test -e /lib/systemd/system/sluice.service
            test -e /etc/sluice/sluice.toml
            dpkg -P sluice 2>&1
            ! test -e /etc/sluice
            ! test -e /usr/share/sluice
            test -e /var/lib/sluice/mail""")
        self.assertIn("/var/lib/sluice stays", seen)
