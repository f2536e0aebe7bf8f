"""The tuned build: the mails that it is made by all end, and with --long the build itself, which then sends them, too."""

import os
import subprocess
import unittest

import lab

TRAIN = ["/usr/bin/python3", lab.ROOT / "bench/train.py"]


class Tuned(unittest.TestCase):
    def test_what_it_is_made_by_all_ends(self):
        done = subprocess.run(TRAIN, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(os.environ.get("SLUICE_E2E_LONG") == "1", "--long: it builds the program twice")
    def test_it_is_built_and_sends_the_same(self):
        built = subprocess.run([lab.ROOT / "deploy/build.sh", "tuned"], capture_output=True, text=True)
        self.assertEqual(built.returncode, 0, built.stderr[-3000:])
        tuned = lab.ROOT / "build/tuned/sluice"
        done = subprocess.run(TRAIN, env=os.environ | {"SLUICE_BINARY": str(tuned)}, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        # Link-time optimisation must not take away what RocksDB is to find in the program.
        symbols = subprocess.run(["nm", "-D", "--defined-only", tuned], capture_output=True, text=True, check=True).stdout
        self.assertIn("rocksdb6crc32c6Extend", symbols)
