"""deploy/examples: what a submitter would write, in each language, against a daemon. A language that is not here is left out."""

import email
import email.policy
import os
import shutil
import subprocess

from harness import ROOT, WholeRun

EXAMPLES = {"send.sh": ["bash"], "send.py": ["python3"], "send.mjs": ["node"], "send.php": ["php"], "send.go": ["go", "run"]}
NEEDS = {"send.sh": "curl"}


class Examples(WholeRun):
    def run_example(self, file):
        words = EXAMPLES[file]
        needed = NEEDS.get(file, words[0])
        if shutil.which(needed) is None:
            self.skipTest(f"{needed} is not installed here")
        name = file.replace(".", "-")
        good, bad = f"ann-{name}@one.test", f"r550-{name}@one.test"
        ended = subprocess.run([*words, ROOT / "deploy/examples" / file, f"http://127.0.0.1:{self.daemon.http_port}",
                                "news@news.example", good, bad], capture_output=True, text=True, timeout=120, check=False,
                               env={**os.environ, "GOCACHE": str(self.world.folder / "go"), "GO111MODULE": "off"})
        self.assertEqual(ended.returncode, 0, ended.stderr + ended.stdout)
        told = {tuple(line.split()[:2]) for line in ended.stdout.splitlines()}
        self.assertEqual(told, {(good, "delivered"), (bad, "bounced")})
        entry, = self.world.receiver.received_by(good)
        received = email.message_from_bytes(entry["data"], policy=email.policy.default)
        self.assertEqual(received["Subject"], f"Hello ann-{name}")
        self.assertEqual(received.get_content().strip(), f"Hi ann-{name}, it works.")

    def test_curl(self):
        self.run_example("send.sh")

    def test_python(self):
        self.run_example("send.py")

    def test_node(self):
        self.run_example("send.mjs")

    def test_php(self):
        self.run_example("send.php")

    def test_go(self):
        self.run_example("send.go")

    def test_there_is_no_example_that_is_not_run(self):
        self.assertEqual({path.name for path in (ROOT / "deploy/examples").iterdir()}, {*EXAMPLES, "README.md"})
