"""`python -m benchmarks [--quick] [--only GROUP …]`: one table, and the same figures in var/benchmarks.json."""

from __future__ import annotations

import argparse
import gc
import io
import logging
import os
import sys
from pathlib import Path

import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

# From here on there are models, which these modules name.
from benchmarks.groups import GROUPS, Extent  # noqa: E402
from benchmarks.results import Row, report  # noqa: E402

OUTPUT = Path(__file__).resolve().parent.parent / "var" / "benchmarks.json"


def main() -> int:
    """Measure, print, and return 1 when a target was missed."""
    arguments = parsed()
    prepare()
    extent = Extent.quick() if arguments.quick else Extent()
    rows: list[Row] = []
    for name, group in GROUPS.items():
        if not arguments.only or name in arguments.only:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            rows += group(extent)
    return report(rows, OUTPUT, quick=arguments.quick)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that everything runs")
    parser.add_argument("--only", nargs="+", choices=tuple(GROUPS), help="these groups alone")
    return parser.parse_args()


def prepare() -> None:
    """A database with the demo clinic in a directory that is thrown away, and a process as a call finds it."""
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)
    call_command("seed_demo", stdout=io.StringIO())
    # As `agent_worker.answering.make_desk` does.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
