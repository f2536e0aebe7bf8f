"""What bench/ writes down: a run replaces its own section of RESULTS.md and no other."""

import pathlib
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import plot
import results

HEAD = "# Results\n\nHow to read them."


def section(run, words):
    return f"## {results.TITLES[run]}\n\n{words}\n"


class Results(unittest.TestCase):
    def sections(self, *runs):
        return {results.TITLES[run]: section(run, f"old figures of {run}") for run in runs}

    def after_writing(self, before, run):
        self.addCleanup(setattr, results, "PATH", results.PATH)
        results.PATH = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "RESULTS.md"
        results.PATH.write_text(results.join(HEAD, before))
        results.write({run: section(run, "new figures")})
        return results.split(results.PATH.read_text())

    def test_a_run_replaces_its_own_section_and_leaves_the_others(self):
        before = self.sections("through", "backlog", "line")
        head, after = self.after_writing(before, "backlog")
        self.assertEqual(head, HEAD)
        self.assertEqual(after, before | {results.TITLES["backlog"]: section("backlog", "new figures")})

    def test_a_run_that_was_not_there_gets_its_place(self):
        _, after = self.after_writing(self.sections("line", "through"), "backlog")
        self.assertEqual(list(after), [results.TITLES[run] for run in ("through", "backlog", "line")])

    def test_the_results_that_are_checked_in_come_out_as_they_were(self):
        text = results.PATH.read_text()
        self.assertEqual(results.join(*results.split(text)), text)

    def test_bars_are_as_long_as_their_values(self):
        drawing = xml.etree.ElementTree.fromstring(plot.bars("A & B", [("a <b>", 10, True), ("c", 5, False)], "/s", (10, "wanted")))
        lengths = [float(bar.get("width")) for bar in drawing.iter("{http://www.w3.org/2000/svg}rect")][1:]
        self.assertAlmostEqual(lengths[0], 2 * lengths[1], places=1)
