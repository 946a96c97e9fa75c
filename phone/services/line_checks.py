"""Line checks: who may begin one, who makes and answers its call, and how it ends. Every change is one conditional
UPDATE, so that whoever comes second, or late, changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from phone.line_check import KEYS_KEPT, Press
from phone.live import office_changed
from phone.models import LineCheck, PhoneLine

State = LineCheck.State

TAKEN_WITHIN = timedelta(seconds=40)
"""How long a worker may take to begin."""

LONGEST = timedelta(seconds=150)
"""How long a check may take: 40 s to the answer, 31 s of keys, and time to spare."""

MISSED_LEEWAY = timedelta(seconds=30)
"""So much later than its check ended, a test call that rang on may still be reported as missed."""

NO_WORKER = "No worker took the test call: is “python -m agent_worker” running?"
WORKER_DIED = "The test call was begun and never ended: the worker that made it was stopped, or has died."
NOT_TOLD = "The worker that answered the test call was stopped before it told which keys had arrived."


@dataclass(frozen=True)
class CheckOrder:
    """What a worker needs to make the call. `number` is the line's, in E.164."""

    check: uuid.UUID
    started_at: datetime
    number: str
    trunk_id: str


@dataclass(frozen=True)
class CheckAnswered:
    """A check whose call is answered. `ours` is False for a second call: the first one is the test call."""

    check: uuid.UUID
    started_at: datetime
    ours: bool


def line_check_start(
    *, line: PhoneLine, now: datetime, user: AbstractBaseUser | None = None
) -> LineCheck | None:
    """Begin a check of this line; None while another one runs. Without `user` it is the schedule's."""
    line_check_end_overdue(now=now)
    try:
        with transaction.atomic():
            check = LineCheck.objects.create(
                line=line, started_at=now, started_by_id=user.pk if user else None, scheduled=user is None
            )
    except IntegrityError:
        return None
    transaction.on_commit(office_changed, robust=True)
    return check


def line_check_take(*, check: uuid.UUID, now: datetime) -> CheckOrder | None:
    """Claim the making of the call; None when the check is over, or another job makes it."""
    if not _running(check).filter(taken_at__isnull=True).update(taken_at=now):
        return None
    row = LineCheck.objects.select_related("line").get(pk=check)
    return CheckOrder(
        check=row.pk,
        started_at=row.started_at,
        number=str(row.line.number),
        trunk_id=row.line.outbound_trunk_id,
    )


def line_check_answer(*, number: str, busy: bool, now: datetime) -> CheckAnswered | None:
    """The check whose test call a call from `number` to `number` (E.164) is; None for any other call.

    The first such call while the check runs is taken for it. With `busy` the check is put off instead.
    """
    row = LineCheck.objects.filter(
        line__number=number, state=State.RUNNING, taken_at__isnull=False, started_at__gt=now - LONGEST
    ).first()
    if row is None:
        return None
    if busy:
        line_check_end(check=row.pk, state=State.PUT_OFF, sentence="All lines were busy.", now=now)
        return CheckAnswered(row.pk, row.started_at, ours=False)
    first = _running(row.pk).filter(answered_at__isnull=True).update(answered_at=now)
    return CheckAnswered(row.pk, row.started_at, ours=bool(first))


def line_check_heard(*, check: uuid.UUID, heard: Sequence[Press]) -> None:
    """The answering side tells which keys arrived, and when. The first report counts."""
    told = [(press.key, round(press.at, 3)) for press in heard[:KEYS_KEPT]]
    _running(check).filter(heard__isnull=True).update(heard=told)


def line_check_finish(*, check: uuid.UUID, sent: Sequence[Press], cut_off: bool, now: datetime) -> bool:
    """Compare what was `sent` with what arrived, and end the check. False when it was over, or nobody has told.

    `cut_off` says that the call ended before all keys were pressed: then the check has not passed.
    """
    row = _running(check).first()
    if row is None or row.heard is None:
        return False
    stored = [(press.key, round(press.at, 3)) for press in sent]
    findings = LineCheck(sent=stored, heard=row.heard).compared().findings
    state = State.FAULTY if findings else State.FAILED if cut_off else State.PASSED
    return _ended(
        _running(check).update(
            state=state,
            sent=stored,
            findings=[asdict(finding) for finding in findings],
            sentence=f"The test call was cut off after {len(stored)} keys." if cut_off else "",
            ended_at=now,
        )
    )


def line_check_end(*, check: uuid.UUID, state: LineCheck.State, sentence: str, now: datetime) -> bool:
    """End a check that came to nothing, with the reason for the office. False when it was over."""
    return _ended(_running(check).update(state=state, sentence=sentence, ended_at=now))


def line_check_end_overdue(*, now: datetime) -> int:
    """End the checks whose worker never came, or never finished. Returns how many there were."""
    running = LineCheck.objects.filter(state=State.RUNNING)
    untaken = running.filter(taken_at__isnull=True, started_at__lt=now - TAKEN_WITHIN)
    unfinished = running.filter(started_at__lt=now - LONGEST)
    ended = untaken.update(state=State.FAILED, sentence=NO_WORKER, ended_at=now)
    ended += unfinished.update(state=State.FAILED, sentence=WORKER_DIED, ended_at=now)
    _ended(ended)
    return ended


def is_test_call(*, line: PhoneLine, caller: str, at: datetime) -> bool:
    """Whether a call from `caller` (E.164) that reached `line` at that moment was a check's."""
    if caller != str(line.number):
        return False
    over = Q(ended_at__isnull=True) | Q(ended_at__gt=at - MISSED_LEEWAY)
    # livekit-server tells of moments in whole seconds.
    begun = Q(started_at__lt=at + timedelta(seconds=1), started_at__gt=at - LONGEST)
    return line.checks.filter(over, begun).exists()


def _running(check: uuid.UUID) -> QuerySet[LineCheck]:
    return LineCheck.objects.filter(pk=check, state=State.RUNNING)


def _ended(rows: int) -> bool:
    if rows:
        transaction.on_commit(office_changed, robust=True)
    return rows > 0
