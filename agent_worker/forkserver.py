"""Imported first in the process that job processes are forked from, and nowhere else.

It leaves the worker's process group: a signal to the group (Ctrl-C, a supervisor) reaches the worker alone,
which lets live calls finish. Without the worker, forkserver and job processes end by themselves.
"""

import os

os.setpgrp()
