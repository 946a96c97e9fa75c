"""Where recordings wait until they are stored."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings


def waiting_folder() -> Path:
    """Where workers of this machine write recordings to: one file each, `<recording id>.ogg`."""
    return Path(settings.DATA_DIR) / "recordings"
