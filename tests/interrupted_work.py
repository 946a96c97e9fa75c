"""The product's Celery app, and one task more: it is killed in the middle of its first run.

`celery -A tests.interrupted_work worker` runs it, for tests/test_services_for_real.py.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from clinic.celery import app

__all__ = ["app"]

LONGER_THAN_ANY_TEST = 300


@app.task(name="tests.interrupted")
def interrupted(file: str) -> None:
    """Add this process's id to `file`; the first to do so then waits for its end."""
    diary = Path(file)
    with diary.open("a") as lines:
        lines.write(f"{os.getpid()}\n")
    if len(diary.read_text().split()) == 1:
        time.sleep(LONGER_THAN_ANY_TEST)
