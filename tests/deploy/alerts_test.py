"""The alert rules of deploy/prometheus: they fire when they should and only then, and each has a page for 3 a.m."""

import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

import world as worlds

FOLDER = worlds.ROOT / "deploy/prometheus"
CASES = pathlib.Path(__file__).resolve().parent / "alerts.test.yml"
RULES = [rule for group in yaml.safe_load(worlds.RULES.read_text())["groups"] for rule in group["rules"]]
NAMES = [rule["alert"] for rule in RULES]


class Alerts(unittest.TestCase):
    def test_prometheus_takes_the_files_as_they_ship(self):
        done = subprocess.run(["promtool", "check", "config", FOLDER / "prometheus.yml"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", worlds.RULES], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_fires_when_it_should_and_only_then(self):
        with tempfile.TemporaryDirectory() as folder:
            cases = pathlib.Path(folder) / "cases.yml"
            cases.write_text(CASES.read_text().replace("sluice.rules.yml", str(worlds.RULES)))
            done = subprocess.run(["promtool", "test", "rules", cases], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_no_alert_is_without_a_case_for_each_answer(self):
        cases = yaml.safe_load(CASES.read_text())["tests"]
        asked = [(one["alertname"], bool(one.get("exp_alerts"))) for case in cases for one in case["alert_rule_test"]]
        self.assertEqual({name for name, fires in asked if fires}, set(NAMES))
        self.assertEqual({name for name, fires in asked if not fires}, set(NAMES))

    def test_each_says_what_it_means_and_what_to_run_first(self):
        page = (worlds.ROOT / "deploy/README.md").read_text()
        for rule in RULES:
            with self.subTest(rule["alert"]):
                self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook"})
                self.assertIn(rule["labels"]["severity"], ("page", "ticket"))
                self.assertRegex(page, rf"(?m)^#### {rule['alert']}$")
        self.assertEqual(re.findall(r"(?m)^#### (Sluice\w+)$", page), NAMES, "the order of the rules")

    def test_each_names_metrics_that_the_engine_has(self):
        names = set(re.findall(r"\b((?:sluice|process)_\w+)", " ".join(rule["expr"] for rule in RULES)))
        page = worlds.families(worlds.world().page())
        self.assertEqual(names - page, set())
        self.assertGreater(len(names), 20)

    def test_a_real_prometheus_evaluates_them_on_a_real_engine(self):
        world = worlds.world()

        def groups():
            return world.ask("rules")["groups"]
        worlds.lab.wait_until(lambda: all(rule["health"] != "unknown" for group in groups() for rule in group["rules"]), 20,
                              "every rule is evaluated")
        rules = [rule for group in groups() for rule in group["rules"]]
        self.assertEqual([(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"], [])
        self.assertEqual(sorted(rule["name"] for rule in rules), sorted(NAMES))
        firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
        self.assertEqual(firing, [], "a healthy engine pages nobody")
