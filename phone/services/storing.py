"""Sounds on their way into their storage, each brought there by one process at a time."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from celery import current_app
from django.db.models import F, Q, QuerySet
from kombu.exceptions import OperationalError

from phone.live import office_changed
from phone.models import Call, Recording
from phone.recordings import StoredSound, remove_file, store_file, waiting_file, waiting_recordings

log = logging.getLogger(__name__)

CLAIM = timedelta(minutes=15)
"""How long one process may take to store a sound before another may try: more than any task may take."""

QUIET = timedelta(seconds=15)
"""A file that its writer has not touched for so long, of a call that is over, has no writer any more."""


def recordings_store_soon(*, recordings: Sequence[uuid.UUID]) -> None:
    """Let the background store these recordings, which are complete. Call it on commit.

    Without a broker the regular run of `recordings_store_waiting` does it.
    """
    try:
        for recording in recordings:
            current_app.send_task("phone.tasks.store_recording", args=[str(recording)], retry=False)
    except OperationalError as error:
        log.warning("Recordings are stored only with the next schedule: %s", type(error).__name__)


def recordings_store_waiting(*, now: datetime) -> int:
    """Store whatever is complete in this machine's folder, what a dead worker left included. How many were stored.

    One that cannot be stored now stays in the folder, for the next run.
    """
    return sum(recording_store(recording=recording, now=now) for recording in waiting_recordings())


def recording_store(*, recording: uuid.UUID, now: datetime) -> bool:
    """Bring one recording from this machine's folder into the storage, if it is complete and nobody else is at it.

    False where it was not stored: the log says why, where there is something to say. Twice makes no difference.
    """
    if not waiting_file(recording).exists():
        return False
    if _in_storage_already(recording):
        waiting_file(recording).unlink(missing_ok=True)
        return False
    claimed_until = now + CLAIM
    if not _claim(recording, now=now, until=claimed_until):
        return False
    mine = Recording.objects.filter(pk=recording, state=Recording.State.WAITING, claimed_until=claimed_until)
    try:
        stored = store_file(recording)
    except Exception as error:  # whatever a storage raises: the file stays, and the next run tries again
        log.warning("Recording %s still waits for its storage: %s", recording, type(error).__name__)
        mine.update(claimed_until=None)
        return False
    return _settle(recording, mine, stored)


def _in_storage_already(recording: uuid.UUID) -> bool:
    """Whether its row says that the file in the folder is of no use any more: a run was interrupted before it went."""
    over = (
        Recording.State.STORED,
        Recording.State.EMPTY,
        Recording.State.DELETING,
        Recording.State.DELETED,
    )
    return Recording.objects.filter(pk=recording, state__in=over).exists()


def _claim(recording: uuid.UUID, *, now: datetime, until: datetime) -> bool:
    complete = Q(state=Recording.State.WAITING)
    if _is_quiet(recording):
        # Its worker died before it could report the end. While the call runs, another agent's may still write.
        complete |= Q(state=Recording.State.RUNNING, call__in=Call.objects.exclude(outcome=""))
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    # One conditional UPDATE decides between two processes; one that died has its claim run out.
    claimed = Recording.objects.filter(complete, free, pk=recording)
    return bool(claimed.update(state=Recording.State.WAITING, claimed_until=until))


def _is_quiet(recording: uuid.UUID) -> bool:
    try:
        touched = waiting_file(recording).stat().st_mtime
    except FileNotFoundError:
        return False
    return time.time() - touched > QUIET.total_seconds()


def _settle(recording: uuid.UUID, mine: QuerySet[Recording], stored: StoredSound | None) -> bool:
    if stored is None:
        settled = mine.update(state=Recording.State.EMPTY, seconds=0, size=0, claimed_until=None)
    else:
        # Where a worker died, nobody reported the end: it is where the sound ends.
        mine.filter(ended_at=None).update(
            ended_at=F("started_at") + timedelta(seconds=stored.seconds),
        )
        settled = mine.update(
            state=Recording.State.STORED,
            file=stored.file,
            size=stored.size,
            sha256=stored.sha256,
            seconds=stored.seconds,
            key=stored.key,
            claimed_until=None,
        )
    if settled:
        waiting_file(recording).unlink(missing_ok=True)
        office_changed()
        return stored is not None
    # It was deleted meanwhile, or this run took longer than its claim and another one has it.
    log.warning("Recording %s changed while it was being stored.", recording)
    row = Recording.objects.filter(pk=recording).first()
    if row is None or row.state == Recording.State.DELETED:
        remove_file(row or Recording(pk=recording))
    return False
