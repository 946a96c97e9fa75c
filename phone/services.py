"""Every write to what happened: calls as the worker reports them, requests as the office works on them.

All functions take keyword arguments (`write_records` aside) and say what they did, or raise.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce

from clinic.models import Patient
from phone.live import office_changed
from phone.livekit_api import Participant, Room
from phone.models import Call, CallEvent, ConsentRecord, KeypadEntry, PhoneLine, Request
from phone.notifications import announce_requests
from phone.querysets import CallQuerySet
from phone.records import (
    CallEnded,
    CallStarted,
    ConsentDecided,
    EntryMade,
    EventHappened,
    Heartbeat,
    LanguageChosen,
    PatientIdentified,
    Record,
    RequestTaken,
)

R = TypeVar("R")

LONGEST_OUTAGE = timedelta(minutes=15)
"""After so long a call in a LiveKit room counts as dead too, even if nobody can ask the server."""

MISSED_CALLS = uuid.UUID("6f4f1f0e-58e2-5b0c-9f0e-2d7c5b1f3a11")
STILL_HEART = timedelta(seconds=30)
"""How long a call's worker may write nothing before the call counts as dead."""


@transaction.atomic
def write_records(records: Sequence[Record]) -> None:
    """Store what a worker reports, in order, all or nothing.

    Storing the same records again changes nothing. The number of queries depends on the kinds of records, not
    on how many there are (up to about a hundred; SQLite splits longer inserts). Raises `django.db.Error` and
    its kin when the database refuses.
    """
    _add_calls(_of(CallStarted, records))
    _add_events(_of(EventHappened, records))
    _add_entries(_of(EntryMade, records))
    consents = _of(ConsentDecided, records)
    _add_consents(consents)
    _put_requests(_of(RequestTaken, records))
    _update_running({record.call: {"consent": record.decision} for record in consents})
    _update_running({r.call: {"language": r.language} for r in _of(LanguageChosen, records)})
    _attach_patients(_of(PatientIdentified, records))
    for epoch, heartbeats in _last_heartbeats(records).items():
        _update_running(heartbeats, epoch=epoch)
    _end_calls(_of(CallEnded, records))


def call_end_stale(*, now: datetime, still_for: timedelta = STILL_HEART) -> int:
    """Give a final row to every call whose worker died: outcome `failed`, ended when it last wrote.

    `still_for` is zero where no other process can hold a call, as when the only server starts. Calls in LiveKit
    rooms are `phone.reconcile`'s first, where there is a LiveKit server. Returns how many there were.
    """
    stale = Call.objects.stale(since=now - still_for)
    if settings.LIVEKIT.configured:
        stale = stale.filter(Q(room="") | Q(heartbeat_at__lt=now - LONGEST_OUTAGE))
    return call_end_failed(calls=stale)


def call_end_failed(*, calls: CallQuerySet, ended_at: datetime | None = None) -> int:
    """Give those of `calls` that still run a final row: outcome `failed`, ended then or when their worker last wrote.

    Returns how many there were.
    """
    last_step = CallEvent.objects.filter(call=OuterRef("pk")).exclude(step="").order_by("-seq").values("step")
    ended = (
        calls.running()
        .order_by()
        .update(
            outcome=Call.Outcome.FAILED,
            ended_at=ended_at or F("heartbeat_at"),
            ended_in_step=Coalesce(Subquery(last_step[:1]), Value("")),
            served=Case(
                When(Exists(Request.objects.filter(call=OuterRef("pk"))), then=Value(Call.Served.REQUEST)),
                default=F("served"),
            ),
        )
    )
    if ended:
        transaction.on_commit(office_changed, robust=True)
    return ended


def call_send_agent(*, call: Call, now: datetime) -> int | None:
    """Claim a running call whose agent is dead for its next agent; that one's epoch, or None if it is too late.

    The heart counts as beating from `now`, so that the next agent has time to come.
    """
    claimed = (
        Call.objects.running()
        .filter(pk=call.pk, epoch=call.epoch, heartbeat_at=call.heartbeat_at)
        .update(epoch=call.epoch + 1, resumed_at=now, heartbeat_at=now)
    )
    return call.epoch + 1 if claimed else None


def call_missed(
    *, line: PhoneLine, room: Room, caller: Participant, caller_number: str, ended_at: datetime
) -> bool:
    """Put a call on record that no agent answered. False when there is a call in this room on record already.

    Whoever reports it first or again, it is one row: its id comes from the room's session and the caller.
    """
    if Call.objects.filter(room=room.name).exists():
        return False
    Call.objects.bulk_create(
        [
            Call(
                id=uuid.uuid5(MISSED_CALLS, f"{room.id} {caller.identity}"),
                clinic=line.clinic,
                line=line,
                origin=Call.Origin.PHONE if caller.kind == "sip" else Call.Origin.BROWSER,
                caller_number=caller_number,
                language=line.clinic.languages[0],
                started_at=caller.joined_at,
                heartbeat_at=ended_at,
                ended_at=max(ended_at, caller.joined_at),
                outcome=Call.Outcome.MISSED,
                room=room.name,
            )
        ],
        ignore_conflicts=True,
    )
    transaction.on_commit(office_changed, robust=True)
    return True


def request_take(*, request: Request, user: AbstractBaseUser, now: datetime) -> bool:
    """Claim an open request for `user`. False when somebody else was faster, or it is done."""
    # One conditional UPDATE decides between two people who press at once; no lock is held.
    return _claimed(Request.objects.untaken().filter(pk=request.pk).update(taken_by=user.pk, taken_at=now))


def request_done(*, request: Request, user: AbstractBaseUser, now: datetime) -> bool:
    """Mark an open request as done by `user`, who also takes it if nobody had. False when it was done."""
    request_take(request=request, user=user, now=now)
    return _claimed(Request.objects.open().filter(pk=request.pk).update(done_by=user.pk, done_at=now))


def request_reopen(*, request: Request) -> bool:
    """Put a taken or done request back on the list, for anybody to take. False when it is there already."""
    return _claimed(
        Request.objects.filter(pk=request.pk)
        .filter(Q(taken_at__isnull=False) | Q(done_at__isnull=False))
        .update(taken_by=None, taken_at=None, done_by=None, done_at=None)
    )


def _claimed(rows: int) -> bool:
    if rows:
        transaction.on_commit(office_changed, robust=True)
    return rows == 1


def _of(kind: type[R], records: Sequence[Record]) -> list[R]:
    return [record for record in records if isinstance(record, kind)]


def _existing(model: type[models.Model], ids: Iterable[int | None]) -> set[int]:
    """Those of `ids` that still have a row: staff may delete a line or a patient while a call runs."""
    wanted = {pk for pk in ids if pk is not None}
    return set(model._default_manager.filter(pk__in=wanted).values_list("pk", flat=True)) if wanted else set()


def _add_calls(started: list[CallStarted]) -> None:
    if not started:
        return
    rooms = [record.room for record in started if record.room]
    if rooms:
        # It was answered after all: that a call was missed can be known before who answered it has written.
        Call.objects.filter(room__in=rooms, outcome=Call.Outcome.MISSED).delete()
    lines = _existing(PhoneLine, (record.line_id for record in started))
    Call.objects.bulk_create(
        [
            Call(
                id=record.call,
                clinic_id=record.clinic_id,
                line_id=record.line_id if record.line_id in lines else None,
                plan_version_id=record.plan_version_id,
                origin=record.origin,
                caller_number=record.caller,
                language=record.language,
                started_at=record.at,
                heartbeat_at=record.at,
                after_hours=record.after_hours,
                room=record.room,
            )
            for record in started
        ],
        ignore_conflicts=True,
    )
    transaction.on_commit(office_changed, robust=True)


def _add_events(events: list[EventHappened]) -> None:
    if events:
        CallEvent.objects.bulk_create(
            [
                CallEvent(
                    id=record.id,
                    call_id=record.call,
                    seq=record.seq,
                    at=record.at,
                    kind=record.kind,
                    step=record.step,
                    data=record.data,
                )
                for record in events
            ],
            ignore_conflicts=True,
        )


def _add_entries(entries: list[EntryMade]) -> None:
    if entries:
        KeypadEntry.objects.bulk_create(
            [
                KeypadEntry(
                    id=record.id,
                    call_id=record.call,
                    at=record.at,
                    step=record.step,
                    attempt=record.attempt,
                    source=record.source,
                    outcome=record.outcome,
                    digits=record.digits,
                    digits_ciphertext=record.digits_ciphertext,
                    digits_key=record.digits_key,
                    first_key_after=record.first_key_after,
                    took=record.took,
                )
                for record in entries
            ],
            ignore_conflicts=True,
        )


def _add_consents(consents: list[ConsentDecided]) -> None:
    if consents:
        ConsentRecord.objects.bulk_create(
            [
                ConsentRecord(
                    id=record.id,
                    call_id=record.call,
                    decision=record.decision,
                    how=record.how,
                    language=record.language,
                    wording=record.wording,
                    wording_hash=hashlib.sha256(record.wording.encode()).hexdigest(),
                    covers_recording=record.covers_recording,
                    covers_transcript=record.covers_transcript,
                    covers_outside_processing=record.covers_outside_processing,
                    asked_at=record.asked_at,
                    answered_at=record.at,
                    heard_to_end=record.heard_to_end,
                )
                for record in consents
            ],
            ignore_conflicts=True,
        )


REQUEST_CONTENT = (
    "kind",
    "priority",
    "number",
    "part_of_day",
    "topic",
    "note",
    "language",
    "confirmed",
    "due_at",
)


def _put_requests(taken: list[RequestTaken]) -> None:
    """Add requests, or bring them up to date: the last report wins until somebody at the office took it."""
    if not taken:
        return
    first = {record.id: record for record in reversed(taken)}
    last = {record.id: record for record in taken}
    patients = _existing(Patient, (record.patient_id for record in last.values()))
    known = set(Request.objects.filter(pk__in=last).values_list("pk", flat=True))
    rows = {
        record.id: Request(
            id=record.id,
            clinic_id=record.clinic_id,
            call_id=record.call,
            patient_id=record.patient_id if record.patient_id in patients else None,
            created_at=first[record.id].at,
            **{name: getattr(record, name) for name in REQUEST_CONTENT},
        )
        for record in last.values()
    }
    new = [row for pk, row in rows.items() if pk not in known]
    if new:
        Request.objects.bulk_create(new, ignore_conflicts=True)
        # Not a partial: Django names a robust callback that fails by an attribute that partials lack.
        transaction.on_commit(lambda: announce_requests(requests=[row.pk for row in new]), robust=True)
    changed = [row for pk, row in rows.items() if pk in known]
    if changed:
        Request.objects.untaken().bulk_update(changed, [*REQUEST_CONTENT, "patient"])
        transaction.on_commit(office_changed, robust=True)


def _attach_patients(identified: list[PatientIdentified]) -> None:
    patients = _existing(Patient, (record.patient_id for record in identified))
    _update_running(
        {r.call: {"patient_id": r.patient_id} for r in identified if r.patient_id in patients},
    )


Changes = dict[uuid.UUID, dict[str, Any]]


def _last_heartbeats(records: Sequence[Record]) -> dict[int, Changes]:
    """By epoch: whatever a call reports proves that it lives; one that only now began has its heartbeat already.

    Records that do not say whose they are count for the first agent only.
    """
    begun = {record.call: record.at for record in records if isinstance(record, CallStarted)}
    last: dict[int, dict[uuid.UUID, datetime]] = {}
    for record in records:
        epoch = record.epoch if isinstance(record, Heartbeat | CallEnded) else 1
        of_epoch = last.setdefault(epoch, {})
        of_epoch[record.call] = max(record.at, of_epoch.get(record.call, record.at))
    return {
        epoch: {call: {"heartbeat_at": at} for call, at in of_epoch.items() if begun.get(call) != at}
        for epoch, of_epoch in last.items()
    }


def _end_calls(ended: list[CallEnded]) -> None:
    # Reversed, so that of two final rows in one batch the first one stands, as it does between batches.
    final: dict[int, Changes] = {}
    for record in reversed(ended):
        final.setdefault(record.epoch, {})[record.call] = {
            "outcome": record.outcome,
            "served": record.served,
            "ended_in_step": record.ended_in_step,
            "ended_at": record.at,
        }
    for epoch, changes in final.items():
        _update_running(changes, epoch=epoch)
    if final:
        transaction.on_commit(office_changed, robust=True)


def _update_running(changes: Changes, *, epoch: int | None = None) -> None:
    """Set the same fields of several calls, each to its own value, in one query. Final rows stay.

    With `epoch` only of calls that still have this agent.
    """
    if changes:
        fields = [name.removesuffix("_id") for name in next(iter(changes.values()))]
        calls = [Call(id=call, **values) for call, values in changes.items()]
        running = Call.objects.running()
        (running if epoch is None else running.filter(epoch=epoch)).bulk_update(calls, fields)
