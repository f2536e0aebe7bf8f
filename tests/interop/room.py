"""A room: a mount namespace in which a Debian package is there as if it were installed, over the real system.

Mail servers conflict as packages and have their paths built in. So their files are unpacked into an overlay of the
whole file system that only the room's processes see; what they write goes there, too, and is gone with them. The
folder of the run is the same inside and outside.
"""

import os
import pathlib
import re
import signal
import subprocess

import harness

DEBS = harness.ROOT / "build/interop/debs"

# Runs in namespaces of its own (mounts and processes). $1: folder of the room, $2: folder of the run, then the
# packages up to --, then the program.
SCRIPT = r"""
set -e
room=$1 run=$2; shift 2
mount --make-rprivate /
mount -t tmpfs -o size=1g tmpfs "$room"
mkdir "$room/upper" "$room/work" "$room/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$room/upper,workdir=$room/work" "$room/root"
root=$room/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root$run"
mount --bind "$run" "$root$run"
while [ "$1" != -- ]; do
    dpkg --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$root"
    shift
done
shift
# Nobody in a room asks the world's DNS.
echo 'nameserver 127.0.0.1' > "$root/etc/resolv.conf"
echo 'hosts: files' > "$root/etc/nsswitch.conf.new"
sed '/^hosts:/d' "$root/etc/nsswitch.conf" >> "$root/etc/nsswitch.conf.new"
mv "$root/etc/nsswitch.conf.new" "$root/etc/nsswitch.conf"
echo "127.0.0.1 $(hostname).test $(hostname) localhost" > "$root/etc/hosts"  # sendmail waits for a full name
# This shell must stay: it dies with unshare, and all others of the namespace with it. A set-user-id program in its
# place would not, because the kernel takes the parent-death signal from it.
chroot "$root" /bin/bash -ec "$1"
exit $?
"""


def unavailable(package):
    """Why no room can be had for a package; None when it can. Downloads what it needs, once."""
    if os.getuid() != 0:
        return "its paths are built in, and an overlay over them needs root"
    try:
        debs(package)
    except (OSError, subprocess.SubprocessError) as error:
        return f"apt cannot download {package}: {str(error)[-200:]}"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else None


def debs(package):
    """Files of a package and of what it needs and is not installed; kept in build/ between runs."""
    folder = DEBS / package
    done = folder / "complete"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run = {"check": True, "capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 120}
        plan = subprocess.run(["apt-get", "install", "--no-install-recommends", "-s", package], **run).stdout
        names = re.findall(r"^Inst (\S+)", plan, re.MULTILINE) or [package]
        subprocess.run(["apt-get", "download", *names], cwd=folder, **run)
        done.touch()
    return sorted(folder.glob("*.deb"))


class Room(harness.Process):
    """`script` runs as root in the room and must stay in the foreground; it ends with everything that it started."""

    def __init__(self, name, package, folder, script, users=()):
        """users: (name, uid) that the package would have made."""
        accounts = "".join(f"echo '{user}:x:{uid}:{uid}::/nonexistent:/bin/false' >> /etc/passwd\n"
                           f"echo '{user}:x:{uid}:' >> /etc/group\n" for user, uid in users)
        place = pathlib.Path(folder) / f"{name}.room"
        place.mkdir()
        # --kill-child: when the first process of the namespace dies, the kernel ends all others in it.
        super().__init__(name, ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", SCRIPT, "room", place, folder,
                                *debs(package), "--", accounts + script], pathlib.Path(folder))

    def end(self, how=signal.SIGKILL, seconds=20):
        return super().end(how, seconds)  # unshare itself ignores SIGTERM
