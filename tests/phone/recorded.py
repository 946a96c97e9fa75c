"""Recordings as the worker leaves them: a row, and a file in the folder where it waits for its storage."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from agent_worker.ids import uuid7
from phone.models import Call, Recording
from phone.recordings import waiting_file
from tests.sounds import make_ogg


def make_recording(call: Call, sound: bytes | None = None, **fields: Any) -> Recording:
    """A recording that is complete and waits, 3 s after its call's beginning; `sound` is 5 s of tones if not given."""
    at = call.started_at + timedelta(seconds=3)
    wanted: dict[str, Any] = {"state": Recording.State.WAITING, "started_at": at}
    recording = Recording.objects.create(id=uuid7(at), call=call, **(wanted | fields))
    waiting_file(recording.pk).write_bytes(make_ogg(5) if sound is None else sound)
    return recording


def left_alone(recording: Recording, minutes: float = 1) -> None:
    """Nobody has written to its file for so long."""
    long_ago = time.time() - minutes * 60
    os.utime(waiting_file(recording.pk), (long_ago, long_ago))
