"""Imported in the process that job processes are forked from, and nowhere else: they share all that it has loaded.

It leaves the worker's process group: a signal to the group (Ctrl-C, a supervisor) reaches the worker alone,
which lets live calls finish. Without the worker, forkserver and job processes end by themselves.
"""

import os

os.setpgrp()

from django.db import connections  # noqa: E402

from agent_worker.entrypoint import PROMPTS  # noqa: E402
from agent_worker.rehearsal import rehearse  # noqa: E402

rehearse(PROMPTS)
# Two processes cannot use one connection.
connections.close_all()
