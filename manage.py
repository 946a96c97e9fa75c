#!/usr/bin/env python
"""Django's command line for the clinic phone system."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        # Ctrl-C, before a command was far enough to see to it: 128 + SIGINT, as shells count.
        sys.exit(130)
