"""What a worker reports of its recordings."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from phone.models import Recording
from phone.records import RecordingBegan, RecordingEnded
from phone.services.storing import recordings_store_soon


def recordings_add(began: Sequence[RecordingBegan]) -> None:
    """Add the rows of recordings that run now; those that are there already stay as they are."""
    if began:
        Recording.objects.bulk_create(
            [
                Recording(
                    id=record.id,
                    call_id=record.call,
                    consent_id=record.consent,
                    kind=record.kind,
                    started_at=record.at,
                )
                for record in began
            ],
            ignore_conflicts=True,
        )


def recordings_end(ended: Sequence[RecordingEnded]) -> None:
    """Say of recordings that ran how they ended. One that was stored or deleted meanwhile stays as it is."""
    for record in ended:
        state = Recording.State.WAITING if record.seconds else Recording.State.EMPTY
        Recording.objects.filter(pk=record.id, state=Recording.State.RUNNING).update(
            state=state,
            ended_at=record.at,
            seconds=record.seconds,
            pauses=record.pauses,
            cut_short=record.cut_short,
        )
    complete = [record.id for record in ended if record.seconds]
    if complete:
        # Not a partial: Django names a robust callback that fails by an attribute that partials lack.
        transaction.on_commit(lambda: recordings_store_soon(recordings=complete), robust=True)
