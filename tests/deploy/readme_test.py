"""README.md's "first mail in five minutes", typed as it stands there, on ports and in a folder of this test's own."""

import json
import quopri
import re
import subprocess
import tempfile
import unittest

import lab

ROOT = lab.ROOT
# What a person sees before going on, and a script must wait for.
WAITS = {"curl -s http://127.0.0.1:8025/v1/messages": "until curl -sf http://127.0.0.1:8025/readyz; do sleep 0.1; done",
         "build/release/sluice events": "until curl -s 'http://127.0.0.1:8025/v1/events?type=delivered' | grep -q .; do sleep 0.1; done"}


def first_mail():
    """The block of the section, without the line that builds."""
    section = (ROOT / "README.md").read_text().split("## The first mail in five minutes")[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1]
    lines = block.splitlines()
    assert lines[0].startswith("deploy/setup.sh && deploy/build.sh"), lines[0]
    return lines[1:]


def script(folder, http, smtp):
    """What is typed, with what a person would wait for; in `folder`, on these ports, and none of the defaults' beside."""
    out = ["set -e"]
    for line in first_mail():
        out += [wait for start, wait in WAITS.items() if line.startswith(start)]
        if "sluice check" in line:
            line = line.split("#")[0] + "|| true"  # of the world this machine may have none
        if line.startswith("kill "):
            line += "; wait"
        out.append(line)
        if line.startswith("http = "):
            out += ["smtp = []", 'metrics = ""']
    text = "\n".join(out) + "\n"
    for there, here in (("$PWD/build/first", f"{folder}/first"), ("build/first", f"{folder}/first"),
                        ("127.0.0.1:8025", f"127.0.0.1:{http}"), ("127.0.0.1:2525", f"127.0.0.1:{smtp}"),
                        ("[127.0.0.1]:2525", f"[127.0.0.1]:{smtp}")):
        text = text.replace(there, here)
    return text


class Readme(unittest.TestCase):
    def test_the_first_mail_arrives_and_its_events_say_so(self):
        http, smtp = lab.free_ports(2)
        with tempfile.TemporaryDirectory(prefix="sluice-readme-") as folder:
            typed = script(folder, http, smtp)
            ended = subprocess.run(["bash", "-mc", typed], cwd=ROOT, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        shown = ended.stdout + ended.stderr
        self.assertIn('"accepted":1', ended.stdout, shown)
        self.assertRegex(ended.stdout, r"accepted +friend@their-domain\.example", shown)
        self.assertRegex(ended.stdout, r"delivered +friend@their-domain\.example", shown)
        events = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith('{"seq"')]
        self.assertEqual([event["type"] for event in events], ["accepted", "delivered"], shown)
        self.assertIn("Subject: Hello Ann", ended.stdout)
        self.assertIn("Hi Ann, it works.", quopri.decodestring(ended.stdout.encode()).decode())

    def test_what_it_names_is_there(self):
        text = (ROOT / "README.md").read_text()
        files = set(re.findall(r"`((?:deploy|bench|tests|ingest|engine)/[\w./-]+?)`", text)) | set(re.findall(r"\]\(([\w./-]+)\)", text))
        self.assertEqual({name for name in files if not (ROOT / name).exists()}, set())
        commands = set(re.findall(r"`sluice ([a-z-]+)", text))
        known = subprocess.run([lab.ENGINE, "--help"], capture_output=True, text=True, check=True).stdout
        self.assertEqual({word for word in commands if not re.search(rf"(?m)^  {word}\s", known)}, set())
