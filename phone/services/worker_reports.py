"""What a worker reports of its calls, stored in batches: twice makes no difference."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db import models, transaction

from clinic.models import Patient
from phone.live import office_changed
from phone.models import Call, CallEvent, ConsentRecord, KeypadEntry, PhoneLine, Request
from phone.notifications import announce_requests
from phone.records import (
    CallEnded,
    CallStarted,
    ConsentDecided,
    EntryMade,
    EventHappened,
    HandedOver,
    Heartbeat,
    LanguageChosen,
    PatientIdentified,
    Record,
    RecordingBegan,
    RecordingEnded,
    RequestTaken,
)
from phone.services.recordings import recordings_add, recordings_end

R = TypeVar("R")

OF_THE_CALL = ConsentRecord.Subject.CALL


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
    recordings_add(_of(RecordingBegan, records))
    recordings_end(_of(RecordingEnded, records))
    _put_requests(_of(RequestTaken, records))
    _update_running({r.call: {"consent": r.decision} for r in consents if r.subject == OF_THE_CALL})
    _update_running({r.call: {"language": r.language} for r in _of(LanguageChosen, records)})
    _attach_patients(_of(PatientIdentified, records))
    for epoch, heartbeats in _last_heartbeats(records).items():
        _update_running(heartbeats, epoch=epoch)
    _hand_over(_of(HandedOver, records))
    _end_calls(_of(CallEnded, records))


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
        plans = _plans({record.call for record in consents})
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
                    plan_number=plans[record.call][0],
                    plan_hash=plans[record.call][1],
                    answer=record.answer,
                    covers_recording=record.covers_recording,
                    covers_transcript=record.covers_transcript,
                    covers_outside_processing=record.covers_outside_processing,
                    asked_at=record.asked_at,
                    answered_at=record.at,
                    heard_to_end=record.heard_to_end,
                    subject=record.subject,
                )
                for record in consents
            ],
            ignore_conflicts=True,
        )


def _plans(calls: set[uuid.UUID]) -> dict[uuid.UUID, tuple[int | None, str]]:
    """Number and content hash of the plan that each of these calls is on; (None, "") without one."""
    rows = Call.objects.filter(pk__in=calls).values_list(
        "pk", "plan_version__number", "plan_version__content_hash"
    )
    known = {pk: (number, content_hash or "") for pk, number, content_hash in rows}
    return {call: known.get(call, (None, "")) for call in calls}


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
            voicemail_id=record.voicemail,
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
        Request.objects.untaken().bulk_update(changed, [*REQUEST_CONTENT, "patient", "voicemail"])
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
        epoch = record.epoch if isinstance(record, Heartbeat | CallEnded | HandedOver) else 1
        of_epoch = last.setdefault(epoch, {})
        of_epoch[record.call] = max(record.at, of_epoch.get(record.call, record.at))
    return {
        epoch: {call: {"heartbeat_at": at} for call, at in of_epoch.items() if begun.get(call) != at}
        for epoch, of_epoch in last.items()
    }


def _hand_over(handed: list[HandedOver]) -> None:
    """The calls that go on with a person: their outcome is known, their end is not."""
    for record in handed:
        _update_running(
            {
                record.call: {
                    "outcome": Call.Outcome.TRANSFERRED,
                    "served": Call.Served.PERSON,
                    "ended_in_step": Call.Step.TRANSFER,
                }
            },
            epoch=record.epoch,
        )
    if handed:
        transaction.on_commit(office_changed, robust=True)


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
