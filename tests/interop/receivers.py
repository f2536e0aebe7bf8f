"""The receivers: other people's mail servers, each set up so that it takes mail for its domain, refuses every
recipient that begins with "no", and keeps what it takes where we can read it.

A class has `name`, `unavailable()` (why it cannot run here, or None), the constructor (starts it and returns when it
listens), `kept()` and `end()`. `long` ones are left to --long.
"""

import base64
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess

import harness
import letters
import postfix
from room import Room, unavailable as no_room

IP = "127.60.2.1"
HERE = pathlib.Path(__file__).resolve().parent
NPM = harness.ROOT / "build/interop/npm"


@dataclasses.dataclass
class Place:
    """Where a receiver lives for one run."""
    folder: pathlib.Path
    port: int
    certificate: pathlib.Path = None  # PEM, with the key beside it; None: plaintext, STARTTLS is not offered
    key: pathlib.Path = None

    @property
    def tls(self):
        return self.certificate is not None


class Receiver:
    long = True
    no_starttls = None  # why it is not run over STARTTLS
    mixed = True  # takes several recipients in one transaction
    process = None

    @classmethod
    def domain(cls):
        return f"{cls.name}.test"

    @classmethod
    def unavailable(cls):
        return None

    def listening(self, place):
        """Returns when it listens. A receiver that does not start is ended here: nobody else knows of it."""
        try:
            harness.wait_until(lambda: harness.accepts(IP, place.port) or not self.process.running(), 30, f"{self.name}'s start")
            assert self.process.running(), f"{self.name} ended at its start:\n{self.process.text()[-3000:]}"
        except AssertionError:
            self.end()
            raise

    def end(self):
        self.process.end()


class Postfix(Receiver):
    """Delivers into a Maildir, through its queue manager."""
    name = "postfix"
    long = False

    @classmethod
    def unavailable(cls):
        return postfix.unavailable()

    def __init__(self, place):
        self.mail = place.folder / "mail"
        self.mail.mkdir()
        os.chown(self.mail, 65534, 65534)
        (place.folder / "users").write_text("/^ok/ box/\n")
        tls = (f"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {place.certificate}\nsmtpd_tls_key_file = {place.key}\n"
               if place.tls else "")
        self.server = postfix.Postfix(place.folder, "postfix", f"{IP}:{place.port}", f"""
virtual_mailbox_domains = {self.domain()}
virtual_mailbox_maps = regexp:{place.folder}/users
virtual_mailbox_base = {self.mail}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
virtual_destination_recipient_limit = 1
{tls}""")
        self.process = self.server.process

    def kept(self):
        return letters.read_maildir(self.mail / "box")


class Exim(Receiver):
    """Keeps what it takes in its queue. Its synchronization check is on, as by default."""
    name = "exim"
    long = False
    package = "exim4-daemon-light"

    @classmethod
    def unavailable(cls):
        return no_room(cls.package)

    def __init__(self, place):
        self.spool = place.folder / "spool"
        self.spool.mkdir()
        tls = (f"tls_advertise_hosts = *\ntls_certificate = {place.certificate}\ntls_privatekey = {place.key}\n"
               if place.tls else "tls_advertise_hosts =\n")
        (place.folder / "exim.conf").write_text(f"""
primary_hostname = exim.test
local_interfaces = {IP}
daemon_smtp_ports = {place.port}
spool_directory = {self.spool}
log_file_path = {self.spool}/%s.log
keep_environment =
queue_only
domainlist ours = {self.domain()}
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = rcpt
{tls}
begin acl
rcpt:
  deny message = 5.1.1 no such user
       local_parts = ^no
  accept domains = +ours
  deny message = 5.7.1 not ours
begin routers
none:
  driver = redirect
  data = :defer: kept for inspection
""")
        self.process = Room(self.name, self.package, place.folder,
                            f"chown -R Debian-exim: {self.spool} {place.key or ''}\nexec exim4 -C {place.folder}/exim.conf -bdf", [("Debian-exim", 9101)])
        self.listening(place)

    def kept(self):
        kept = []
        for head in self.spool.glob("input/**/*-H"):
            envelope, header = head.read_bytes().split(b"\n\n", 1)
            lines = envelope.split(b"\n")
            content = head.with_name(head.name[:-1] + "D").read_bytes().split(b"\n", 1)[1]
            # The recipients are the last lines of the envelope, behind their count.
            count = next(i for i, line in enumerate(lines) if line == b"XX" or line.startswith((b"YN ", b"NN ", b"YY ", b"NY "))) + 1
            while not lines[count].isdigit():
                count += 1
            recipients = [line.decode() for line in lines[count + 1:count + 1 + int(lines[count])]]
            kept.append(letters.Kept(lines[2].decode().strip("<>"), recipients,
                                     re.sub(rb"^\d{3}. ", b"", header, flags=re.MULTILINE) + b"\n" + content))
        return kept


class Sendmail(Receiver):
    """Keeps what it takes in its queue."""
    name = "sendmail"
    package = "sendmail-bin"

    @classmethod
    def unavailable(cls):
        return no_room(cls.package)

    def __init__(self, place):
        self.spool = place.folder / "mqueue"
        self.spool.mkdir(mode=0o700)
        tls = "".join(f"define(`{name}', `{value}')\n" for name, value in
                      [("confSERVER_CERT", "/etc/mail/cert.pem"), ("confSERVER_KEY", "/etc/mail/key.pem"),
                       ("confCACERT", "/etc/mail/cert.pem"), ("confCACERT_PATH", "/etc/mail")]) if place.tls else ""
        (place.folder / "test.mc").write_text(f"""divert(-1)
divert(0)
OSTYPE(`linux')
define(`confDOMAIN_NAME', `sendmail.test')
define(`QUEUE_DIR', `{self.spool}')
define(`confPID_FILE', `{place.folder}/sendmail.pid')
define(`STATUS_FILE', `')
define(`ALIAS_FILE', `')
define(`confDELIVERY_MODE', `queue')
define(`confTO_IDENT', `0')
define(`confDONT_BLAME_SENDMAIL', `GroupReadableKeyFile,GroupReadableSASLDBFile')
define(`confBAD_RCPT_THROTTLE', `0')
define(`confREFUSE_LA', `1000')
define(`confQUEUE_LA', `1000')
define(`confDELAY_LA', `1000')
{tls}FEATURE(`nocanonify')
FEATURE(`accept_unresolvable_domains')
FEATURE(`promiscuous_relay')
FEATURE(`no_default_msa')
DAEMON_OPTIONS(`Name=MTA, Addr={IP}, Port={place.port}{"" if place.tls else ", M=S"}')
MAILER(`smtp')
LOCAL_CONFIG
Krefused regex -aREFUSED ^<no
LOCAL_RULESETS
SLocal_check_rcpt
R$*			$: $(refused $1 $)
RREFUSED		$#error $@ 5.1.1 $: "550 5.1.1 no such user"
""")
        self.process = Room(self.name, self.package, place.folder, f"""
cd /usr/share/sendmail/cf/cf
m4 ../m4/cf.m4 {place.folder}/test.mc > {place.folder}/sendmail.cf
mkdir -p /var/run/sendmail /etc/mail
{f"cp {place.certificate} {place.key} /etc/mail  # a key below /tmp is not safe enough for it" if place.tls else ""}
exec /usr/libexec/sendmail/sendmail -C{place.folder}/sendmail.cf -bD -X/dev/null
""", [("smmta", 9102), ("smmsp", 9103)])
        self.listening(place)

    def kept(self):
        kept = []
        for control in self.spool.glob("qf*"):
            lines = control.read_bytes().split(b"\n")
            sender = next(line[1:] for line in lines if line.startswith(b"S"))
            to = [re.sub(rb"^R[A-Z]*:", b"", line) for line in lines if re.match(rb"R[A-Z]*:", line)]
            header = b"\n".join(re.sub(rb"^H\?[^?]*\?", b"", line) for line in lines if line.startswith(b"H"))
            kept.append(letters.Kept(sender.decode().strip("<>"), [one.decode().strip("<>") for one in to],
                                     header + b"\n\n" + control.with_name("df" + control.name[2:]).read_bytes()))
        return kept


class OpenSmtpd(Receiver):
    """Keeps what it takes in its queue: nobody listens where it would pass it on. 100 mails a session, its default."""
    name = "opensmtpd"
    no_starttls = "Debian 12's build of it fails each handshake (SSL routines::EVP lib), with openssl s_client, too"
    package = "opensmtpd"

    @classmethod
    def unavailable(cls):
        return no_room(cls.package)

    def __init__(self, place):
        self.spool = place.folder / "spool"
        self.spool.mkdir()
        pki = f'pki ours cert "{place.certificate}"\npki ours key "{place.key}"\n' if place.tls else ""
        (place.folder / "smtpd.conf").write_text(f"""
{pki}listen on {IP} port {place.port} {"tls pki ours" if place.tls else ""} hostname opensmtpd.test
action "keep" relay host "smtp://127.0.0.1:9"
match from any for any rcpt-to regex "^no" reject
match from any for domain "{self.domain()}" action "keep"
""")
        self.process = Room(self.name, self.package, place.folder, f"""
mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty
mount --bind {self.spool} /var/spool/smtpd
chmod 711 /var/spool/smtpd
chmod 600 {place.folder}/smtpd.conf
exec /usr/sbin/smtpd -d -f {place.folder}/smtpd.conf
""", [("opensmtpd", 9104), ("opensmtpq", 9105)])
        self.listening(place)

    def kept(self):
        kept = []
        for message in self.spool.glob("queue/*/*/message"):
            envelopes = [dict(re.findall(r"^([a-z-]+): (.*)$", file.read_text(), re.MULTILINE))
                         for file in message.parent.iterdir() if file != message]
            for envelope in envelopes:
                kept.append(letters.Kept(envelope.get("sender", ""), [envelope.get("rcpt") or envelope.get("dest")],
                                         message.read_bytes()))
        return kept


class DovecotLmtp(Receiver):
    """Delivers into Maildirs. It speaks LMTP; a small proxy says LHLO in place of our EHLO and hides STARTTLS."""
    name = "dovecot-lmtp"
    package = "dovecot-lmtpd"
    no_starttls = "behind the handshake the proxy in front of it could not say LHLO"
    mixed = False     # LMTP answers the content once per recipient

    @classmethod
    def unavailable(cls):
        return no_room(cls.package)

    def __init__(self, place):
        self.mail = place.folder / "mail"
        self.mail.mkdir(mode=0o777)
        self.mail.chmod(0o777)
        inner = harness.free_port((IP,))
        (place.folder / "dovecot.conf").write_text(f"""
protocols = lmtp
base_dir = {place.folder}/run
state_dir = {place.folder}/state
log_path = {place.folder}/dovecot.log
ssl = no
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
mail_location = maildir:{self.mail}/box
mail_uid = 65534
mail_gid = 65534
auth_mechanisms = plain
lmtp_save_to_detail_mailbox = no
recipient_delimiter =
passdb {{
  driver = static
  args = password=x
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {place.folder}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = {IP}
    port = {inner}
  }}
}}
""")
        (place.folder / "users").touch()
        self.folder, self.inner, self.place = place.folder, inner, place
        self.process = Room(self.name, self.package, place.folder,
                            f"mkdir -p {place.folder}/run {place.folder}/state\nexec dovecot -F -c {place.folder}/dovecot.conf",
                            [("dovecot", 9106), ("dovenull", 9107)])
        self.proxy = harness.Process("lhlo-proxy", [harness.PYTHON, HERE / "lhlo_proxy.py", f"{IP}:{place.port}", f"{IP}:{inner}"],
                                     place.folder)
        self.listening(dataclasses.replace(place, port=inner))
        self.listening(place)

    def prepare(self, mails):
        """Its users are a file: there is no rule for names."""
        (self.folder / "users").write_text("".join(f"{address}::65534:65534::{self.mail}::\n"
                                                   for mail in mails for address in mail.good()))

    def kept(self):
        return letters.read_maildir(self.mail / "box")

    def end(self):
        self.proxy.end()
        self.process.end()


class Journalled(Receiver):
    """A server of ours over somebody else's library, which writes a line of JSON per message before it accepts it."""

    def kept(self):
        entries = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [letters.Kept(entry["from"], entry["to"], base64.b64decode(entry["data"])) for entry in entries]

    def run(self, place, *words):
        self.journal = place.folder / "journal"
        self.journal.touch()
        self.process = harness.Process(self.name, [*words, IP, place.port, self.journal,
                                                   *([place.certificate, place.key] if place.tls else [])],
                                       place.folder, **self.options())
        self.listening(place)

    def options(self):
        return {}


class Aiosmtpd(Journalled):
    name = "aiosmtpd"
    long = False

    def __init__(self, place):
        self.run(place, harness.PYTHON, HERE / "aiosmtpd_server.py")


class SmtpServer(Journalled):
    """nodemailer's smtp-server, from npm."""
    name = "smtp-server"
    long = False

    @classmethod
    def unavailable(cls):
        return no_module("smtp-server", "3")

    def options(self):
        return {"env": {**os.environ, "NODE_PATH": str(NPM / "smtp-server/node_modules")}}

    def __init__(self, place):
        self.run(place, "node", HERE / "smtp_server.js")


class Haraka(Journalled):
    name = "haraka"

    @classmethod
    def unavailable(cls):
        return no_module("Haraka", "3")

    def __init__(self, place):
        home = place.folder / "haraka"
        (home / "config").mkdir(parents=True)
        (home / "plugins").mkdir()
        self.journal = place.folder / "journal"
        self.journal.touch()
        shutil.copy(HERE / "haraka_journal.js", home / "plugins/journal.js")
        config = {"smtp.ini": f"listen={IP}:{place.port}\nnodes=0\n", "plugins": ("tls\n" if place.tls else "") + "journal\n",
                  "loglevel": "warn", "me": "haraka.test", "journal": str(self.journal)}
        if place.tls:
            config["tls.ini"] = f"key={place.key}\ncert={place.certificate}\n"
        for name, text in config.items():
            (home / "config" / name).write_text(text)
        shutil.copy(NPM / "Haraka/node_modules/Haraka/config/connection.ini", home / "config")  # it does not start without
        self.process = harness.Process(self.name, ["node", NPM / "Haraka/node_modules/.bin/haraka", "-c", home], place.folder)
        self.listening(place)


def no_module(module, version):
    """Why a server from npm cannot run; None when it can. Installs it, once."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node and npm are not installed"
    folder = NPM / module
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", f"{module}@{version}"], cwd=folder, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=300)
        if done.returncode:
            return f"npm cannot install {module}: {done.stderr[-200:].strip()}"
        (folder / "complete").touch()
    return None


ALL = [Aiosmtpd, Postfix, Exim, SmtpServer, Sendmail, OpenSmtpd, DovecotLmtp, Haraka]
