"""What is due to be deleted under a clinic's retention rules. Reads only: `phone.services.retention` deletes.

Each rule is a query for the calls that still hold what it takes away. A call that has lost it is not found again, so
a run that was interrupted is completed by the next one, and two at once find nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, Min, OuterRef, Q, QuerySet

from clinic.models import IdentityAttempt
from phone.models import (
    Call,
    CallEvent,
    ConsentRecord,
    Deletion,
    KeypadEntry,
    LineCheck,
    Recording,
    Request,
    RetentionRules,
)
from phone.querysets import CallQuerySet

What, Why = Deletion.What, Deletion.Why

WITH_SOUND = (Recording.State.STORED, Recording.State.WAITING, Recording.State.RUNNING)
"""Recordings that have a file somewhere. A call that is over has none that still runs, but of a worker that died."""

WHO_CALLED = ~Q(caller_number="") | ~Q(room="") | Q(patient__isnull=False)
"""Calls that say who called. A room's name has the number in it."""

FROM_WHOM = ~Q(number="") | Q(patient__isnull=False)
"""Requests that say from whom they are."""


@dataclass(frozen=True)
class Rule:
    """One line of the rules. `holds` tells, of a call, that it has what the rule takes away."""

    field: str
    what: Deletion.What
    why: Deletion.Why
    holds: Callable[[], Q | Exists]

    def days(self, rules: RetentionRules) -> int | None:
        """After how many days; None keeps."""
        days: int | None = getattr(rules, self.field)
        return days

    def due(self, rules: RetentionRules, now: datetime) -> CallQuerySet:
        """The calls that this rule takes something from, at `now`."""
        days = self.days(rules)
        if days is None:
            return Call.objects.none()
        before = now - timedelta(days=days)
        return Call.objects.may_go(before=before).filter(self.holds(), clinic=rules.clinic_id)


def sounds(kind: Recording.Kind) -> QuerySet[Recording]:
    """The recordings of one kind that have a file."""
    return Recording.objects.filter(kind=kind, state__in=WITH_SOUND)


def _of_call(
    rows: QuerySet[Recording] | QuerySet[CallEvent] | QuerySet[KeypadEntry] | QuerySet[Request],
) -> Exists:
    return Exists(rows.filter(call=OuterRef("pk")))


def _recordings() -> Exists:
    return _of_call(sounds(Recording.Kind.CALL))


def _withdrawn() -> Q:
    taken_back = ConsentRecord.objects.filter(call=OuterRef("pk"), decision=ConsentRecord.Decision.WITHDRAWN)
    return Q(Exists(taken_back)) & Q(_recordings())


def _voicemails() -> Exists:
    return _of_call(sounds(Recording.Kind.VOICEMAIL))


def _words() -> Q:
    notes = Request.objects.done().exclude(note="")
    return Q(_of_call(CallEvent.objects.with_words())) | Q(_of_call(notes))


def _numbers() -> Q:
    # An open request keeps its number: the office still has to call it.
    requests = Request.objects.done().filter(FROM_WHOM)
    return WHO_CALLED | Q(_of_call(KeypadEntry.objects.with_digits())) | Q(_of_call(requests))


def _timeline() -> Q:
    return Q(_of_call(CallEvent.objects.all())) | Q(_of_call(KeypadEntry.objects.all()))


RULES = (
    Rule("withdrawn", What.RECORDING, Why.WITHDRAWAL, _withdrawn),
    Rule("recordings", What.RECORDING, Why.RETENTION, _recordings),
    Rule("voicemails", What.VOICEMAIL, Why.RETENTION, _voicemails),
    Rule("transcripts", What.WORDS, Why.RETENTION, _words),
    Rule("numbers", What.NUMBERS, Why.RETENTION, _numbers),
    Rule("timelines", What.TIMELINE, Why.RETENTION, _timeline),
)


def attempts_due(rules: RetentionRules, now: datetime) -> QuerySet[IdentityAttempt]:
    """The tries of patient IDs that are as old as numbers may get: they hold hashes of number and ID."""
    if rules.numbers is None:
        return IdentityAttempt.objects.none()
    return IdentityAttempt.objects.filter(clinic=rules.clinic_id, at__lt=now - timedelta(days=rules.numbers))


def line_checks_due(rules: RetentionRules, now: datetime) -> QuerySet[LineCheck]:
    """The test calls that are old enough, but the last of each line that says how the line is."""
    if rules.line_checks is None:
        return LineCheck.objects.none()
    later = LineCheck.objects.filter(
        line=OuterRef("line"), state__in=LineCheck.TELLING, started_at__gt=OuterRef("started_at")
    )
    before = now - timedelta(days=rules.line_checks)
    return LineCheck.objects.filter(Exists(later), line__clinic=rules.clinic_id, started_at__lt=before)


@dataclass(frozen=True)
class Due:
    """What one rule would take away now: from how many calls (tries, checks), and when the oldest began.

    `unit` is the word for one of them.
    """

    title: str
    unit: str
    days: int | None
    count: int
    oldest: datetime | None


def dry_run(rules: RetentionRules, now: datetime) -> Iterator[Due]:
    """What a run at `now` would take away, rule by rule; those that keep everything included."""
    for rule in RULES:
        calls = rule.due(rules, now)
        title = str(RetentionRules._meta.get_field(rule.field).verbose_name)  # type: ignore[union-attr]
        oldest = calls.aggregate(oldest=Min("started_at"))["oldest"]
        yield Due(title, "call", rule.days(rules), calls.count(), oldest)
    attempts = attempts_due(rules, now)
    oldest = attempts.aggregate(oldest=Min("at"))["oldest"]
    yield Due("patient ID attempts", "attempt", rules.numbers, attempts.count(), oldest)
    checks = line_checks_due(rules, now)
    oldest = checks.aggregate(oldest=Min("started_at"))["oldest"]
    yield Due("line checks", "check", rules.line_checks, checks.count(), oldest)
