"""A Postfix of our own: Debian's programs, everything else in a folder of the run. As a receiver, or as a sender."""

import os
import pathlib
import pwd
import re
import subprocess

import harness

SBIN = pathlib.Path("/usr/lib/postfix/sbin")

MASTER = """
{listen} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

COMMON = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {log}
maillog_file_prefixes = /tmp, /var, /dev/shm
alias_maps =
alias_database =
mydestination =
myhostname = {name}.test
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
smtpd_recipient_restrictions = reject_unauth_destination
in_flow_delay = 0
"""


def unavailable():
    """Why it cannot run here; None when it can."""
    if os.getuid() != 0:
        return "Postfix's master must be started by root"
    return None if (SBIN / "master").exists() else "the package postfix is not installed"


class Postfix:
    def __init__(self, folder, name, listen, settings):
        self.folder = pathlib.Path(folder) / name
        self.log = self.folder / "postfix.log"
        for made in (self.folder, self.folder / "queue", self.folder / "data", self.folder / "conf"):
            made.mkdir(mode=0o755)
        for above in self.folder.parents:  # its processes are of other users, and the run's folder is ours alone
            if above.stat().st_mode & 0o077 == 0:
                above.chmod(0o711)
        os.chown(self.folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        conf = self.folder / "conf"
        (conf / "main.cf").write_text(COMMON.format(folder=self.folder, log=self.log, name=name) + settings)
        (conf / "master.cf").write_text(MASTER.format(listen=listen))
        subprocess.run(["/usr/sbin/postfix", "-c", conf, "check"], check=True, stdin=subprocess.DEVNULL,
                       capture_output=True)
        self.process = harness.Process(name, [SBIN / "master", "-c", conf, "-d"], self.folder)
        ip, port = listen.rsplit(":", 1)
        try:
            harness.wait_until(lambda: harness.accepts(ip, int(port)), 20, f"{name}'s start")
        except AssertionError:
            self.end()
            raise

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def sent(self):
        """Deliveries that it has made so far."""
        return len(re.findall(r"status=sent", self.text()))

    def end(self):
        self.process.end()
