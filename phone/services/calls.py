"""Calls whose worker can no longer write what became of them."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce

from phone.live import office_changed
from phone.livekit_api import Participant, Room
from phone.models import Call, CallEvent, PhoneLine, Request
from phone.querysets import CallQuerySet
from phone.services.line_checks import is_test_call

LONGEST_OUTAGE = timedelta(minutes=15)
"""After so long a call in a LiveKit room counts as dead too, even if nobody can ask the server."""

MISSED_CALLS = uuid.UUID("6f4f1f0e-58e2-5b0c-9f0e-2d7c5b1f3a11")
ENDS = uuid.UUID("0c1c9c52-3d6b-5d1e-8f57-6b0f5b0c7e21")
STILL_HEART = timedelta(seconds=30)
"""How long a call's worker may write nothing before the call counts as dead."""


def call_end_stale(*, now: datetime, still_for: timedelta = STILL_HEART) -> int:
    """Give a final row to every call whose worker died: outcome `failed`, ended when it last wrote.

    `still_for` is zero where no other process can hold a call, as when the only server starts. Calls in LiveKit
    rooms are `phone.reconcile`'s first, where there is a LiveKit server. Returns how many there were.
    """
    stale = Call.objects.stale(since=now - still_for)
    if settings.LIVEKIT.configured:
        stale = stale.filter(Q(room="") | Q(heartbeat_at__lt=now - LONGEST_OUTAGE))
    else:
        # Without a server there is no room in which anybody could still talk.
        call_end_with_person(calls=Call.objects.all(), ended_at=now)
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


def call_end_with_person(*, calls: CallQuerySet, ended_at: datetime) -> int:
    """Give those of `calls` that go on with a person their end, in the row and on the timeline. How many there were.

    Whoever reports it first counts.
    """
    ended = [
        call
        for call in calls.with_person()
        if calls.with_person().filter(pk=call.pk).update(ended_at=max(ended_at, call.started_at))
    ]
    for call in ended:
        last = call.events.order_by("-seq").first()
        duration = max(timedelta(), ended_at - call.started_at).total_seconds()
        CallEvent.objects.bulk_create(
            [
                CallEvent(
                    id=uuid.uuid5(ENDS, str(call.pk)),
                    call=call,
                    seq=last.seq + 1 if last else 1,
                    at=ended_at,
                    kind="ended",
                    step=Call.Step.TRANSFER,
                    data={"outcome": call.outcome, "duration": duration, "served": call.served},
                )
            ],
            ignore_conflicts=True,
        )
    if ended:
        transaction.on_commit(office_changed, robust=True)
    return len(ended)


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
    A line check's call is none.
    """
    if is_test_call(line=line, caller=caller_number, at=caller.joined_at):
        return False
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
