"""Setting right what a call's agent can no longer do: the rooms on the LiveKit server against the calls on record.

Run it every few seconds. A call is judged only by what this process has watched without a break: while the database
was away, no heart was written down, and the living look like the dead.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.cache import cache

from phone.livekit_api import LiveKit, LiveKitError, Participant, Room
from phone.metrics import count
from phone.models import Call, PhoneLine
from phone.room_lines import caller_number, is_person, line_of_room
from phone.services import call_end_failed, call_end_with_person, call_missed, call_send_agent

log = logging.getLogger(__name__)

STILL_HEART = timedelta(seconds=8)
"""How long an agent, which writes every 5 s, may write nothing before it counts as dead."""

FOLLOWER_COMES = timedelta(seconds=8)
"""How long the next agent of a call may take to come. Then the room is closed: silence must end too."""

WATCH = timedelta(seconds=15)
"""How long this must have run without a break before it acts: longer than workers need to catch up with an outage."""

BREAK = timedelta(seconds=12)
"""A longer pause between two runs is a break."""

RINGING = timedelta(seconds=25)
"""How long a caller may be in a room that no agent comes to."""

AGENTS_AT_MOST = 4
"""How many agents a call may have, one after the other."""

ROOMS_AT_MOST = 25
SECONDS_AT_MOST = 10.0
"""How much one run does. The rest is for the next one."""

WATCHED = "reconcile:watched"


@dataclass
class Reconciled:
    """How many calls and rooms one run did something about."""

    resumed: int = 0
    closed: int = 0
    ended: int = 0
    missed: int = 0
    waiting: int = 0
    """Calls whose hearts are still, and that may be alive: nothing was done."""

    @property
    def acted(self) -> int:
        return self.resumed + self.closed + self.ended + self.missed


def reconcile(*, now: datetime) -> Reconciled:
    """Look at all rooms and all running calls in rooms once, and act. Raises LiveKitError when the server is away."""
    if not settings.LIVEKIT.configured:
        return Reconciled()
    began = time.monotonic()
    run = _Run(now, out_of_time=lambda: time.monotonic() - began > SECONDS_AT_MOST)
    # The database and the server have answered: only now does this count as watching.
    cache.set(WATCHED, (_watching_since(now), now), timeout=None)
    if undisturbed(now=now):
        run.look_at_calls()
        run.look_at_talks()
        run.look_at_rooms()
    for field in fields(run.done):
        count(f"reconcile_{field.name}", getattr(run.done, field.name))
    count("reconcile_runs")
    count("reconcile_seconds", time.monotonic() - began)
    if run.done.acted:
        log.warning(
            "Set calls right: %d resumed, %d closed, %d ended, %d missed.",
            run.done.resumed,
            run.done.closed,
            run.done.ended,
            run.done.missed,
        )
    return run.done


class _Run:
    def __init__(self, now: datetime, out_of_time: Callable[[], bool]) -> None:
        self.now = now
        self.done = Reconciled()
        self._out_of_time = out_of_time
        self._server = LiveKit()
        # First the calls: a room that is closed in between takes its call's final row with it.
        self._calls = list(Call.objects.of_people().running().exclude(room="").select_related("clinic"))
        self._with_person = list(Call.objects.of_people().with_person().exclude(room=""))
        self._rooms = {room.name: room for room in async_to_sync(self._server.list_rooms)()}

    def look_at_calls(self) -> None:
        """Running calls whose hearts are still."""
        beating = any(self._beats(call) for call in self._calls)
        for call in self._calls:
            patience = FOLLOWER_COMES if _is_awaited(call) else STILL_HEART
            if self.now - call.heartbeat_at < patience or self._had_enough():
                continue
            if call.room not in self._rooms:
                self.done.ended += call_end_failed(calls=Call.objects.filter(pk=call.pk))
            else:
                self._try(self._room_without_heart, call, beating)

    def look_at_talks(self) -> None:
        """Calls that a person took: they end with their room, and when one of the two is gone."""
        for call in self._with_person:
            if self._had_enough():
                return
            if call.room in self._rooms:
                self._try(self._talk, call)
            else:
                self._end_talk(call)

    def look_at_rooms(self) -> None:
        """Rooms of our lines in which nobody attends to the caller: no call is on record, or one that is over."""
        lines = list(PhoneLine.objects.select_related("clinic"))
        ours = {room.name: room for room in self._rooms.values() if line_of_room(room.name, lines)}
        rows = Call.objects.filter(room__in=ours).values_list("room", "ended_at")
        latest = dict(rows.order_by("started_at"))
        for room in ours.values():
            if self._had_enough():
                return
            ended_at = latest.get(room.name)
            if room.name not in latest and self.now - room.created_at >= RINGING:
                self._try(self._room_without_call, room, lines)
            elif ended_at and self.now - ended_at >= WATCH:
                self._try(self._close, room.name)

    def _beats(self, call: Call) -> bool:
        return self.now - call.heartbeat_at < STILL_HEART and not _is_awaited(call)

    def _had_enough(self) -> bool:
        return self.done.acted >= ROOMS_AT_MOST or self._out_of_time()

    def _try(self, act: Callable[..., None], *about: object) -> None:
        try:
            act(*about)
        except LiveKitError as error:
            log.warning("A room could not be set right: %s", error)

    def _room_without_heart(self, call: Call, others_beat: bool) -> None:
        inside = self._inside(call.room)
        agents = [each for each in inside if each.kind == "agent"]
        # Somebody whom the dead agent had rung waits for nothing.
        left_over = [*agents, *(each for each in inside if is_person(each.attributes))]
        alone = len(self._calls) == 1
        if not (others_beat or alone or not agents):
            # All hearts are still at once, and their agents are there: an outage rather than so many deaths.
            self.done.waiting += 1
        elif not _callers(inside) or call.epoch >= AGENTS_AT_MOST or _is_awaited(call):
            self._close(call.room)
            self.done.ended += call_end_failed(calls=Call.objects.filter(pk=call.pk, epoch=call.epoch))
        elif epoch := call_send_agent(call=call, now=self.now):
            try:
                for each in left_over:
                    async_to_sync(self._server.remove_participant)(call.room, each.identity)
                order = json.dumps({"resume": str(call.pk), "epoch": epoch})
                async_to_sync(self._server.dispatch_agent)(call.room, order)
                self.done.resumed += 1
            except LiveKitError:
                # Not even that: the caller should hear a line that closes, not silence.
                self.done.ended += call_end_failed(
                    calls=Call.objects.filter(pk=call.pk, epoch=epoch), ended_at=self.now
                )
                self._close(call.room)
                raise

    def _talk(self, call: Call) -> None:
        talking = [each for each in self._inside(call.room) if each.kind in ("sip", "browser")]
        if len(talking) < 2:
            self._close(call.room)
            self._end_talk(call)

    def _end_talk(self, call: Call) -> None:
        self.done.ended += call_end_with_person(calls=Call.objects.filter(pk=call.pk), ended_at=self.now)

    def _room_without_call(self, room: Room, lines: list[PhoneLine]) -> None:
        inside = self._inside(room.name)
        callers = _callers(inside)
        if not callers or any(each.kind == "agent" for each in inside):
            return
        for caller in callers:
            line = line_of_room(room.name, lines, caller)
            if line and call_missed(
                line=line, room=room, caller=caller, caller_number=caller_number(caller), ended_at=self.now
            ):
                self.done.missed += 1
        self._close(room.name)

    def _inside(self, room: str) -> list[Participant]:
        return async_to_sync(self._server.list_participants)(room)

    def _close(self, room: str) -> None:
        async_to_sync(self._server.delete_room)(room)
        self.done.closed += 1


def _is_awaited(call: Call) -> bool:
    """Whether the call's next agent was sent, and has not written anything yet."""
    return call.resumed_at == call.heartbeat_at


def _callers(inside: list[Participant]) -> list[Participant]:
    return [each for each in inside if each.kind in ("sip", "browser") and not is_person(each.attributes)]


def undisturbed(*, now: datetime) -> bool:
    """Whether `reconcile` has run without a break for so long that a still heart is a dead one."""
    return now - _watching_since(now) >= WATCH


def _watching_since(now: datetime) -> datetime:
    since, last = cache.get(WATCHED, (now, now))
    return since if timedelta() <= now - last <= BREAK else now
