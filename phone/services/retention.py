"""Deleting what callers left: by a clinic's rules, a few calls at a time, each step with its proof.

What is in the database goes together with the row that proves it, in one transaction. A sound lies outside the
database, so it goes in three steps that the next run can go on from: the row says that it is being deleted, the file
is removed, the row says that it is deleted and the proof is written.
"""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from clinic.models import IdentityAttempt
from phone.models import (
    Call,
    CallEvent,
    Deletion,
    KeypadEntry,
    LineCheck,
    Recording,
    Request,
    RetentionRules,
)
from phone.recordings import remove_file
from phone.retention import FROM_WHOM, RULES, WHO_CALLED, Rule, attempts_due, line_checks_due, sounds

log = logging.getLogger(__name__)

CALLS_AT_ONCE = 200
"""In one transaction: SQLite's other writers wait for it, and PostgreSQL's locks are held so long."""

ROWS_AT_ONCE = 5_000

Counts = Counter[uuid.UUID]
Rows = QuerySet[IdentityAttempt] | QuerySet[LineCheck]


@dataclass
class RetentionRun:
    """What one run did: rows and sounds by `Deletion.what`; whether there is `more`, because its time was up; how many
    sounds are still there because their storage did not let go of them.
    """

    deleted: Counter[str] = field(default_factory=Counter)
    more: bool = False
    sounds_left: int = 0


def retention_run(*, now: datetime, username: str = "", seconds: float | None = None) -> RetentionRun:
    """Delete what every clinic's rules no longer keep. After `seconds` it stops between two steps; begin it again.

    Any number may run at the same time, and one that was interrupted is completed by the next. Raises
    `django.db.Error`: then what was begun last has not happened.
    """
    run = RetentionRun()
    stops_at = time.monotonic() + seconds if seconds is not None else math.inf
    for rules in RetentionRules.objects.order_by("clinic"):
        for deleted in _batches(rules, now, username):
            run.deleted.update(deleted)
            if time.monotonic() > stops_at:
                run.more = True
                return run
    recordings_delete(now=now, run=run, stops_at=stops_at)
    return run


def recordings_delete(
    *, now: datetime, run: RetentionRun | None = None, stops_at: float = math.inf
) -> RetentionRun:
    """Remove the sounds that are marked for it, and add to `run` what became of that.

    It stops when `time.monotonic()` has come to `stops_at`, and leaves those whose storage does not let go of them.
    """
    run = run or RetentionRun()
    marked = Recording.objects.filter(state=Recording.State.DELETING).select_related("call")
    for recording in list(marked):
        if run.more:
            break
        try:
            remove_file(recording)
        except Exception as error:  # whatever a storage raises: the next run tries again
            run.sounds_left += 1
            log.warning("The sound of recording %s is still there: %s", recording.pk, type(error).__name__)
        else:
            if _recording_deleted(recording, now):
                run.deleted[_what(recording)] += 1
        run.more = time.monotonic() > stops_at
    return run


def recordings_mark(*, recordings: QuerySet[Recording], why: Deletion.Why, username: str = "") -> int:
    """Mark these recordings for deletion; `recordings_delete` then removes their sounds. How many there were."""
    return recordings.update(state=Recording.State.DELETING, delete_because=why, delete_by=username)


def deletions_add(
    *,
    counts: Counts,
    clinic_id: int,
    what: Deletion.What,
    why: Deletion.Why,
    now: datetime,
    username: str,
) -> int:
    """Put on record what was deleted of each call. The sum."""
    Deletion.objects.bulk_create(
        Deletion(
            clinic_id=clinic_id, call_id=call, at=now, what=what, why=why, count=count, username=username
        )
        for call, count in counts.items()
        if count
    )
    return counts.total()


def words_take(calls: Iterable[Call]) -> Counts:
    """Take the callers' words out of these calls, open requests' notes aside; how many rows had some, by call."""
    events = CallEvent.objects.filter(call__in=calls)
    notes = Request.objects.done().filter(call__in=calls).exclude(note="")
    counts = _by_call(events.with_words()) + _by_call(notes)
    events.take_words_away()
    notes.update(note="")
    return counts


def numbers_take(calls: Iterable[Call]) -> Counts:
    """Take away who made these calls, open requests aside; how many rows said so, by call."""
    who = Call.objects.filter(WHO_CALLED, pk__in=[call.pk for call in calls])
    entries = KeypadEntry.objects.filter(call__in=calls)
    requests = Request.objects.done().filter(FROM_WHOM, call__in=calls)
    counts = Counter(who.values_list("pk", flat=True)) + _by_call(entries.with_digits()) + _by_call(requests)
    entries.take_digits_away()
    requests.update(number="", patient=None)
    who.update(caller_number="", room="", patient=None)
    return counts


def timeline_take(calls: Iterable[Call]) -> Counts:
    """Delete the events and entries of these calls; how many there were, by call."""
    events = CallEvent.objects.filter(call__in=calls)
    entries = KeypadEntry.objects.filter(call__in=calls)
    counts = _by_call(events) + _by_call(entries)
    events.take_away()
    entries.take_away()
    return counts


TAKES: dict[Deletion.What, Callable[[Iterable[Call]], Counts]] = {
    Deletion.What.WORDS: words_take,
    Deletion.What.NUMBERS: numbers_take,
    Deletion.What.TIMELINE: timeline_take,
}
ROWS_OF_NO_CALL: dict[Deletion.What, Callable[[RetentionRules, datetime], Rows]] = {
    Deletion.What.ATTEMPTS: attempts_due,
    Deletion.What.LINE_CHECKS: line_checks_due,
}
KINDS = {Deletion.What.RECORDING: Recording.Kind.CALL, Deletion.What.VOICEMAIL: Recording.Kind.VOICEMAIL}


def _batches(rules: RetentionRules, now: datetime, username: str) -> Iterator[Counter[str]]:
    """Apply the rules of one clinic, the oldest calls first; what each transaction deleted."""
    for rule in RULES:
        last: Call | None = None
        while True:
            last, deleted = _apply(rule, rules, now, username, after=last)
            if last is None:
                break
            yield deleted
    for what, due in ROWS_OF_NO_CALL.items():
        while count := _rows_delete(what, due(rules, now), rules, now, username):
            yield Counter({what.value: count})


@transaction.atomic
def _apply(
    rule: Rule, rules: RetentionRules, now: datetime, username: str, *, after: Call | None
) -> tuple[Call | None, Counter[str]]:
    """Apply `rule` to the next calls: the last one of them, None at the end, and what was deleted."""
    due = rule.due(rules, now)
    if after is not None:
        due = due.filter(Q(started_at__gt=after.started_at) | Q(started_at=after.started_at, pk__gt=after.pk))
    calls = due.locked(CALLS_AT_ONCE)
    if not calls:
        return None, Counter()
    if rule.what in KINDS:
        of_calls = sounds(KINDS[rule.what]).filter(call__in=calls)
        recordings_mark(recordings=of_calls, why=rule.why, username=username)
        return calls[-1], Counter()
    count = deletions_add(
        counts=TAKES[rule.what](calls),
        clinic_id=rules.clinic_id,
        what=rule.what,
        why=rule.why,
        now=now,
        username=username,
    )
    return calls[-1], Counter({rule.what.value: count})


@transaction.atomic
def _rows_delete(
    what: Deletion.What,
    due: Rows,
    rules: RetentionRules,
    now: datetime,
    username: str,
) -> int:
    """Delete the next rows that belong to no call. How many there were."""
    some: list[Any] = list(due.order_by().values_list("pk", flat=True)[:ROWS_AT_ONCE])
    count, _ = due.model.objects.filter(pk__in=some).delete()
    if count:
        Deletion.objects.create(
            clinic_id=rules.clinic_id,
            at=now,
            what=what,
            why=Deletion.Why.RETENTION,
            count=count,
            username=username,
        )
    return count


@transaction.atomic
def _recording_deleted(recording: Recording, now: datetime) -> bool:
    """Note that the sound is gone. False where another run has noted it already."""
    # Of two runs that removed the same file, this UPDATE lets one write the proof.
    marked = Recording.objects.filter(pk=recording.pk, state=Recording.State.DELETING)
    if not marked.update(state=Recording.State.DELETED, file="", key=""):
        return False
    Deletion.objects.create(
        clinic_id=recording.call.clinic_id,
        call=recording.call,
        at=now,
        what=_what(recording),
        why=recording.delete_because,
        count=1,
        username=recording.delete_by,
        sha256=recording.sha256,
    )
    return True


def _what(recording: Recording) -> Deletion.What:
    return next(what for what, kind in KINDS.items() if kind == recording.kind)


def _by_call(rows: QuerySet[CallEvent] | QuerySet[KeypadEntry] | QuerySet[Request]) -> Counts:
    counted = rows.order_by().values("call").annotate(rows=Count("pk")).values_list("call", "rows")
    return Counter(dict(counted))
