"""`python -m benchmarks.livekit [--quick] [--only GROUP …]`: one table, and var/benchmarks-livekit.json."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import django
import psutil

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

# From here on there are models, which these modules name.
from benchmarks.livekit.groups import GROUPS, Extent  # noqa: E402
from benchmarks.livekit.stage import running  # noqa: E402
from benchmarks.results import Row, report, table  # noqa: E402
from benchmarks.setting_up import prepare  # noqa: E402
from clinic.models import Clinic  # noqa: E402

OUTPUT = Path(__file__).resolve().parents[2] / "var" / "benchmarks-livekit.json"


def main() -> int:
    """Measure, print, and return 1 when a target was missed."""
    arguments = parsed()
    prepare()
    # Whatever the time is.
    Clinic.objects.update(switch="open")
    extent = Extent.quick() if arguments.quick else Extent()
    rows: list[Row] = []
    with running() as stage:
        for name, group in GROUPS.items():
            if not arguments.only or name in arguments.only:
                print(f"measuring {name} …", file=sys.stderr, flush=True)
                before = psutil.cpu_times()
                measured = [*group(stage, extent), stolen(before, psutil.cpu_times(), name)]
                rows += measured
                print(table(measured), file=sys.stderr, flush=True)
    return report(rows, OUTPUT, quick=arguments.quick)


def stolen(before: Any, after: Any, group: str) -> Row:
    """What a rented machine's host gave to others while `group` was measured: its figures are that much worse."""
    share = (after.steal - before.steal) / max(sum(after) - sum(before), 1e-9)
    return Row(
        what=f"{group}: the cores' time that was taken by the machine's host",
        ours=f"{share:.1%}",
        figures={"share": share},
    )


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.livekit", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that everything runs")
    parser.add_argument("--only", nargs="+", choices=tuple(GROUPS), help="these groups alone")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
