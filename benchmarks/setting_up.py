"""What every measurement starts from."""

from __future__ import annotations

import gc
import io
import logging

from django.core.management import call_command


def prepare() -> None:
    """A database with the demo clinic in a directory that is thrown away, and a process as a call finds it."""
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)
    call_command("seed_demo", stdout=io.StringIO())
    # As `agent_worker.desk.make_desk` does.
    gc.collect()
    gc.freeze()
