"""Where the sound of calls is: first in a folder of this machine, then in Django's default storage."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage

from phone.models import Recording


def waiting_folder() -> Path:
    """Where the worker writes `<recording id>.ogg` while a call is recorded, and where it waits for its storage."""
    return Path(settings.DATA_DIR) / "recordings"


def remove_file(recording: Recording) -> None:
    """Take the sound of `recording` away for good, wherever it is. Again makes no difference.

    Raises OSError, or what the storage raises, where it cannot be reached: then it may still be there.
    """
    (waiting_folder() / f"{recording.pk}.ogg").unlink(missing_ok=True)
    if recording.file:
        default_storage.delete(recording.file)
