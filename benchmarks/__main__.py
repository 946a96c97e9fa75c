"""`python -m benchmarks [--quick] [--only GROUP …]`: one table, and the same figures in var/benchmarks.json."""

from __future__ import annotations

import argparse
import gc
import io
import json
import logging
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

# From here on there are models, which these modules name.
from benchmarks.groups import GROUPS, Extent  # noqa: E402
from benchmarks.results import Row, table  # noqa: E402

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
    print(f"\n{table(rows)}\n")
    write(rows, quick=arguments.quick)
    return 1 if any(row.met is False for row in rows) else 0


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


def write(rows: Sequence[Row], *, quick: bool) -> None:
    """Keep the figures beside what they were measured on."""
    OUTPUT.parent.mkdir(exist_ok=True)
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "rows": [asdict(row) for row in rows],
    }
    OUTPUT.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    print(f"The figures are in {OUTPUT.relative_to(OUTPUT.parent.parent)}.")


if __name__ == "__main__":
    sys.exit(main())
