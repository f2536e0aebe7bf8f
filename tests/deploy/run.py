"""Runs what deploy/ promises: every *_test.py beside this file.

    run.py [--counts FILE] [-k WORD] ...
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent / "e2e")
import run

sys.path.append(str(HERE.parents[1] / "bench"))
if __name__ == "__main__":
    sys.exit(run.main(HERE, "Dashboards, alerts and what a package needs, against a running engine."))
