"""The dashboards of deploy/grafana: generated as checked in, valid, and every panel shows data of a real engine."""

import filecmp
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import grafana
import world as worlds

NAMES = ("engine.json", "overview.json", "provider.json")


class Dashboards(unittest.TestCase):
    def test_their_source_is_well_typed(self):
        done = grafana.npm("types")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_generating_them_gives_the_files_that_are_checked_in(self):
        with tempfile.TemporaryDirectory() as folder:
            done = grafana.npm("generate", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            same, differ, missing = filecmp.cmpfiles(folder, grafana.FOLDER / "dashboards", NAMES, shallow=False)
        self.assertEqual((differ, missing), ([], []), "run: cd deploy/grafana && npm ci && npm run generate")
        self.assertEqual(sorted(NAMES), sorted(os.listdir(grafana.FOLDER / "dashboards")))

    def test_they_are_valid_and_every_query_can_be_parsed(self):
        self.assertGreater(len(grafana.queries()), 60)

    def test_the_lock_file_names_no_machine(self):
        text = (grafana.FOLDER / "package-lock.json").read_text()
        self.assertNotIn('"resolved"', text)
        self.assertNotIn("http://", text)

    def test_every_metric_that_they_name_is_on_the_engines_page(self):
        world = worlds.world()
        wanted = {name: query["panel"] for query in grafana.queries() for name in query["metrics"]}

        def missing():
            return {name: panel for name, panel in wanted.items() if name not in worlds.families(world.page())}
        deadline = time.monotonic() + 20
        while missing() and time.monotonic() < deadline:
            time.sleep(0.5)
        self.assertEqual(missing(), {})

    def test_every_panels_query_returns_data_from_a_real_prometheus(self):
        world = worlds.world()
        if os.environ.get("SLUICE_PANELS"):
            time.sleep(25)  # for a list that people read: rates over a whole window
        shown, waiting = [], list(grafana.queries())
        deadline = time.monotonic() + 45
        while waiting and time.monotonic() < deadline:
            self.assertIsNone(world.load.problem)
            rest = []
            for query in waiting:
                values = world.values(query["expr"])
                if values and (any(values.values()) or stays_at_zero(query)):
                    shown.append((query, values))
                else:
                    rest.append(query)
            waiting = rest
            time.sleep(0.5)
        write_list(shown)
        self.assertEqual([f"{q['dashboard']} / {q['panel']}: {q['expr']}" for q in waiting], [])


def stays_at_zero(query):
    """What a healthy engine shows as 0: its data are the zeros."""
    return any(name in query["expr"] for name in (
        "intake_closed", "unaccounted", "queue_oldest", "shard_silent", "mailbox_waiting", "overflows", "starved", "worker_backlog",
        "signers_backlog", "letters_converted", "cancellations_pending", "log_lines_dropped", "ingest_connections"))


def write_list(shown):
    """What each query showed, for whoever asks: SLUICE_PANELS names the file."""
    if path := os.environ.get("SLUICE_PANELS"):
        with open(path, "w", encoding="utf-8") as out:
            for query, values in sorted(shown, key=lambda one: (one[0]["dashboard"], one[0]["panel"])):
                some = "; ".join(f"{labels or '-'}: {value:.4g}" for labels, value in list(values.items())[:4])
                more = f" (+{len(values) - 4})" if len(values) > 4 else ""
                out.write(f"{query['dashboard'][:-5]} | {query['panel']} | {query['legend']} | {some}{more}\n")
