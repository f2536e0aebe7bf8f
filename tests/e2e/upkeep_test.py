"""What operators do with the queue's files: backup, restore, fsck, a log on another disk; and what a disk does to them."""

import collections
import json
import os
import pathlib
import random
import shutil
import smtplib
import subprocess
import time
import unittest

from harness import BINARY, RECEIVER, Daemon, Process, WholeRun, ledger, mail, settings, wait_until
from load import Load


def sluice(*words, code=0):
    """The command's standard output; its exit code must be `code`."""
    ran = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=120)
    assert ran.returncode == code, f"sluice {words[0]}: {ran.returncode}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout if code == 0 or ran.stdout else ran.stderr


def fsck(daemon, *words, code=0):
    return json.loads(sluice("fsck", "--config", daemon.write_config(), "--json", *words, code=code))


def all_ended(daemon, seconds=120):
    def over():
        tenants = ledger(daemon)
        return tenants and all(counts["open"] == 0 for counts in tenants.values())
    wait_until(over, seconds, "the end of all deliveries", every=0.1)


class Backup(WholeRun):
    def test_a_backup_under_load_is_a_whole_queue(self):
        # Nobody listens there, so the backup has open deliveries for sure.
        self.daemon.submit(mail([f"later{n}@dead.test" for n in range(50)]))
        load = Load(self.daemon)
        self.addCleanup(load.end)
        wait_until(lambda: len(load.accepted) > 300, 60, "some load")
        with load.lock:
            before = set(load.accepted)
        target = self.world.folder / "backup"
        made = json.loads(sluice("backup", target, "--config", self.daemon.write_config(), "--json"))
        wait_until(lambda: len(load.accepted) > len(before) + 100, 60, "load after the backup")
        load.end()
        self.assertGreaterEqual(made["open"], 50)
        self.assertIn("exists", sluice("backup", target, "--config", self.daemon.write_config(), code=1))

        # The same configuration must not serve twice, so the restored queue gets a daemon of its own.
        restored = self.world.folder / "restored.data"
        self.assertIn("goes again", sluice("restore", target, "--data-dir", restored))
        self.assertIn("is not empty", sluice("restore", target, "--data-dir", restored, code=1))
        second = self.world.daemon("restored", data_dir=restored, retry={"schedule": ["1s"], "expires": "8s"})
        report = fsck(second)
        self.assertTrue(report["sound"], report)
        self.assertGreaterEqual(report["deliveries"], 50)
        second.start()
        counts = ledger(second)["default"]
        self.assertGreaterEqual(counts["accepted"], len(before) + 50)
        wait_until(lambda: before <= {to for to in self.world.receiver.recipients()}, 60, "all that was accepted")
        wait_until(lambda: ledger(second)["default"]["open"] <= 50, 120, "what was open in the backup")
        events = second.events()
        accepted = {event["to"] for event in events if event["type"] == "accepted"}
        self.assertLessEqual(before, accepted, "what was acknowledged before the backup is in it")
        counts = ledger(second)["default"]
        self.assertEqual(counts["accepted"], len([event for event in events if event["type"] == "accepted"]))
        second.stop()
        self.assertTrue(fsck(second)["sound"])

    def test_a_backup_needs_a_directory_that_the_daemon_can_make(self):
        status, _, body = self.daemon.request("POST", "/v1/backup?directory=relative")
        self.assertEqual(status, 422)
        self.assertIn("absolute", body.decode())
        self.assertEqual(self.daemon.request("POST", "/v1/backup")[0], 422)
        self.assertEqual(self.daemon.request("POST", "/v1/backup?directory=/proc/no/such")[0], 422)


class Check(WholeRun):
    def test_a_queue_is_sound_after_kills_under_load(self):
        choose = random.Random(settings()["seed"])
        load = Load(self.daemon)
        self.addCleanup(load.end)
        for _ in range(20 if settings()["long"] else 4):
            time.sleep(choose.uniform(0.5, 1.5))
            self.daemon.kill()
            report = fsck(self.daemon)
            self.assertTrue(report["sound"], report)
            self.assertTrue(all(found["kind"] == "orphan" for found in report["found"]), report)
            self.daemon.start()
        load.end()
        self.assertIn("in use", sluice("fsck", "--config", self.daemon.write_config(), code=1))
        all_ended(self.daemon)
        self.daemon.kill()
        report = fsck(self.daemon)
        self.assertEqual((report["sound"], report["deliveries"]), (True, 0), report)


class LogDirectory(WholeRun):
    def test_the_log_lies_where_the_setting_says_and_is_missed_when_it_is_gone(self):
        disk = self.world.folder / "log-disk"
        disk.mkdir()
        daemon = self.world.daemon("apart", node={"log_dir": str(disk)}).start()
        daemon.submit(mail([f"a{n}@dead.test" for n in range(20)]))
        self.assertTrue(list((disk / "rocksdb-log").glob("*.log")))
        self.assertEqual(list((daemon.data_dir / "rocksdb").glob("*.log")), [])
        daemon.kill()

        # Like a disk that is not mounted: only the mount point is there.
        away = self.world.folder / "away"
        shutil.move(disk / "rocksdb-log", away)
        daemon.spawn()
        wait_until(lambda: not daemon.process.running(), 20, "the refusal")
        self.assertIn("mount that disk", daemon.process.text())
        checked = json.loads(sluice("check", "--offline", "--json", "--config", daemon.write_config(), code=1))
        told = [finding for finding in checked["findings"] if finding["verdict"] == "fail"]
        self.assertEqual([finding["name"] for finding in told], ["log_dir"], checked)
        self.assertIn("mount that disk", sluice("fsck", "--config", daemon.write_config(), code=1))

        shutil.move(away, disk / "rocksdb-log")
        daemon.start()
        self.assertEqual(ledger(daemon)["default"]["accepted"], 20)
        daemon.stop()

        # Taken out of the setting: the log moves home, and nothing is lost on the way.
        del daemon.config["node"]["log_dir"]
        self.assertTrue(fsck(daemon)["sound"])
        daemon.start()
        self.assertEqual(ledger(daemon)["default"]["accepted"], 20)
        self.assertEqual(list((disk / "rocksdb-log").glob("*.log")), [])
        daemon.stop()


class Damage(WholeRun):
    @unittest.skipUnless(settings()["long"], "takes five to ten minutes with all its places, as it waits 8 s where mail stays; tests/storage/fsck_test.cc has octets of "
                         "events and queues in each run. With --long")
    def test_whichever_file_has_a_wrong_bit_nothing_is_lost_in_silence(self):
        choose = random.Random(settings()["seed"])
        sound = self.make_queue()
        ends = collections.Counter()
        for number, file in enumerate(self.some_of_each_kind(sound, choose)):
            data_dir = self.world.folder / f"damaged{number}.data"
            shutil.copytree(sound, data_dir)
            where = turn_a_bit(data_dir / file.relative_to(sound), choose)
            daemon = self.world.daemon(f"damaged{number}", data_dir=data_dir, domain=[
                {"name": "dead.test", "route": [f"[{RECEIVER}]:{self.world.mail_port}"]}])
            try:
                ends[self.nobody_is_forgotten(daemon)] += 1
            except AssertionError as failure:
                raise AssertionError(f"{where}: {failure}") from failure
            shutil.rmtree(data_dir)
        print(f"      {dict(ends)}")
        self.assertGreater(ends["refused and mended"], 0)

    def make_queue(self):
        """A data_dir with deliveries in tables and in the log, contents in rows and in blobs."""
        daemon = self.world.daemon("sound", retry={"schedule": ["3s"]})
        text = "".join(random.Random(1).choices("abcdefghij klmnop\n", k=60_000))
        self.recipients = set()
        for start in range(3):
            daemon.start()
            for job in range(4):
                names = [f"d{start}-{job}-{n}@dead.test" for n in range(25)]
                self.recipients |= set(names)
                daemon.submit(mail(names, text=text if job % 2 else "short\n"))
            daemon.kill()
        return daemon.data_dir

    @staticmethod
    def some_of_each_kind(sound, choose):
        kinds = {}
        for file in sorted((sound / "rocksdb").iterdir()):
            if file.stat().st_size > 0:
                kinds.setdefault(file.suffix or file.name.split("-")[0], []).append(file)
        for kind, files in sorted(kinds.items()):
            many = {".sst": 5, ".log": 2}.get(kind, 1) * (10 if settings()["long"] else 1)
            yield from (choose.choice(files) for _ in range(many))

    def nobody_is_forgotten(self, daemon):
        """Whatever the damage does, each recipient gets the mail or an event that says that it is lost."""
        before = len(self.world.receiver.messages())
        was_refused = not starts(daemon)
        if was_refused and "rocksdb::" in daemon.process.text() and "Assertion" in daemon.process.text():
            return "ended by an assertion of RocksDB"  # it reads a table's properties before it checks their sum
        if was_refused:
            self.assertIn("fsck", daemon.process.text(), "a refusal says what to do")
            self.mend(daemon)
            daemon.start()
        self.wait_while_mail_leaves(daemon)
        met = daemon.metric("sluice_storage_unreadable_total")
        if ledger(daemon)["default"]["open"] > 0:
            self.assertGreater(met, 0, "what waits for ever must have been told")
            daemon.stop()
            self.mend(daemon)
            daemon.start()
            all_ended(daemon, 30)
        received = {to for entry in self.world.receiver.messages()[before:] for to in entry["to"]}
        lost = {event["to"] for event in daemon.events(type="bounced") if event.get("bounce_class") == "lost"}
        self.assertEqual(self.recipients - received - lost, set(), "acknowledged and lost")
        daemon.stop()
        return "refused and mended" if was_refused else "told and gone around" if met else "harmless"

    def mend(self, daemon):
        self.assertFalse(fsck(daemon, code=1)["sound"])
        report = fsck(daemon, "--repair")
        self.assertEqual(report["left"], [], report)

    def wait_while_mail_leaves(self, daemon):
        """Until all has ended, or nothing has for some seconds longer than a retry takes."""
        last, since = None, time.monotonic()
        while time.monotonic() - since < 8:
            now = ledger(daemon)["default"]["open"]
            if now == 0:
                return
            if now != last:
                last, since = now, time.monotonic()
            time.sleep(0.1)


def starts(daemon):
    try:
        daemon.start()
        return True
    except AssertionError:
        return False


def turn_a_bit(path, choose):
    octets = bytearray(path.read_bytes())
    at, bit = choose.randrange(len(octets)), choose.randrange(8)
    octets[at] ^= 1 << bit
    path.write_bytes(octets)
    return f"{path.name} octet {at} bit {bit}"


class SmallDisk(Daemon):
    """A daemon whose data_dir is a small file system that only it can see; it is gone with it."""

    def spawn(self):
        self.data_dir.mkdir(exist_ok=True)
        script = 'mount -t tmpfs -o size=256m sluice "$1" && exec "$2" serve --config "$3"'
        self.process = Process(self.name, ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                                           self.data_dir, BINARY, self.write_config()], self.folder)

    @property
    def filler(self):
        return pathlib.Path(f"/proc/{self.process.child.pid}/root{self.data_dir}/filler")

    def leave_free(self, octets):
        """Fills the disk up to so many octets."""
        piece = bytes(64 << 10)
        with open(self.filler, "ab", buffering=0) as file:
            while True:
                free = os.statvfs(self.filler.parent)
                if free.f_bavail * free.f_frsize <= octets:
                    return
                try:
                    file.write(piece)
                except OSError:  # the daemon has taken the rest
                    return


class LowDisk(WholeRun):
    @classmethod
    def setUpClass(cls):
        probe = subprocess.run(["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"],
                               capture_output=True, text=True)
        if probe.returncode != 0:
            raise unittest.SkipTest("this user may not mount a file system of its own: " + probe.stderr.strip())
        super().setUpClass()

    def small(self, name, **more):
        daemon = SmallDisk(self.world.folder, self.world.dns_port, self.world.mail_port, name,
                           queue={"free_disk_min": "64MiB"}, **more)
        self.world.daemons.append(daemon)
        return daemon.start()

    def test_below_the_floor_nothing_is_taken_in_and_delivery_goes_on(self):
        daemon = self.small("floor", delivery={"rate": "50/s"})
        names = [f"floor{n}@one.test" for n in range(400)]
        daemon.submit(mail(names))
        daemon.leave_free(32 << 20)
        status, answer = wait_until(lambda: self.refusal(daemon), 20, "a refusal")
        self.assertEqual((status, answer["errors"][0]["code"]), (503, "disk.low"), answer)
        self.assertIn("free_disk_min", answer["errors"][0]["hint"])
        with smtplib.SMTP("127.0.0.1", daemon.smtp_port, timeout=20) as client:
            with self.assertRaises(smtplib.SMTPException) as refused:
                client.sendmail("bounce@news.example", ["late@one.test"], "Subject: x\r\n\r\nx\r\n")
        self.assertIn("4.3.1", str(refused.exception))
        still_open = ledger(daemon)["default"]["open"]
        self.assertGreater(still_open, 20, "there was something left to be delivered")
        all_ended(daemon, 60)
        self.assertIsNotNone(self.refusal(daemon), "still low")
        daemon.filler.unlink()
        wait_until(lambda: not self.refusal(daemon), 30, "ingest, open again")
        all_ended(daemon, 60)
        self.assert_all_told(daemon, set(names))

    def test_a_disk_that_is_full_loses_nothing_and_needs_no_restart(self):
        daemon = self.small("full")
        load = Load(daemon, may_refuse=True)
        self.addCleanup(load.end)
        wait_until(lambda: len(load.accepted) > 200, 60, "some load")
        daemon.leave_free(0)
        wait_until(lambda: load.refused > 10, 30, "refusals")
        time.sleep(2)  # for which the disk is full; whoever wants to write meets it
        with load.lock:
            told = len(load.accepted)
        daemon.filler.unlink()
        wait_until(lambda: len(load.accepted) > told + 200, 90, "load after it")
        load.end()
        all_ended(daemon, 90)
        self.assert_all_told(daemon, set(load.accepted))

    @staticmethod
    def refusal(daemon):
        status, answer = daemon.post(mail("probe@one.test"))
        return None if status == 202 else (status, answer)

    def assert_all_told(self, daemon, accepted):
        self.assertTrue(daemon.process.running())
        self.assertEqual(accepted - set(self.world.receiver.recipients()), set(), "accepted and lost")
        events = daemon.events()
        self.assert_complete(events)
        counts = ledger(daemon)["default"]
        self.assertEqual(counts["accepted"], sum(event["type"] == "accepted" for event in events))
        self.assertLessEqual(accepted, {event["to"] for event in events if event["type"] == "delivered"})
