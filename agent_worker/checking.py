"""The asking side of a line check: call the line's own number through its own trunk, and press every key.

It is a job of its own, in a room of its own. Nothing is pressed before the answering side (`echo`) says, through the
check's row, that the call is its: keys must not reach somebody else, or a menu of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import InterfaceError, OperationalError
from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext

from agent_worker.database import in_database
from agent_worker.echo import hum
from agent_worker.lines.room_audio import RoomSpeaker
from agent_worker.load import BUSY
from phone import services
from phone.line_check import SPACINGS, Press, schedule
from phone.line_checks import Progress, check_progress
from phone.livekit_api import CallNotAnswered, LiveKit, LiveKitError, LiveKitRefused
from phone.models import LineCheck
from phone.services.line_checks import LONGEST, NOT_TOLD, CheckOrder

log = logging.getLogger(__name__)

State = LineCheck.State

CALLED = "called-line"
"""The identity of the called line in the check's room."""

RINGS = timedelta(seconds=30)
OURS_SECONDS = 10.0
"""How long the answered call may take to reach one of our workers."""

SETTLE_SECONDS = 3.0
"""How long the last key may be on its way before we hang up."""

TOLD_SECONDS = 15.0
"""How long the answering side may take, once we have hung up, to tell which keys arrived."""

LOOK_EVERY_SECONDS = 0.25
DELETE_SECONDS = 5.0

CODES = {key: code for code, key in enumerate("0123456789*#ABCD")}
"""RFC 4733 section 3.2, table 3."""

NOT_OURS = (
    "The number was called and the call was taken, but it did not come in here as a call from the line itself, so "
    "nothing was pressed. Either the provider sends calls to this number elsewhere, or it does not show the line's "
    "own number as the caller's."
)
NO_SIP = "Nothing was called: livekit-sip does not answer. Is it running?"
STOPPED = "The worker that made the test call was told to stop."
BUSY_SENTENCE = "All lines were busy."

NOBODY = "The number was called, and nobody took the call in time."
REFUSALS = {
    401: "The provider does not accept the user name and password of the outgoing calls.",
    403: "The provider does not let this line call its own number.",
    404: "The provider says that there is no such number.",
    407: "The provider does not accept the user name and password of the outgoing calls.",
    408: NOBODY,
    480: NOBODY,
    486: "The provider says that the line is busy.",
    487: NOBODY,
    503: "The provider cannot take calls just now.",
    603: "The call was declined.",
}
"""SIP status (RFC 3261 section 21) → what it means for the office."""


class CheckOver(Exception):
    """There is nothing more to do: the check came to nothing, for the reason given, or ended elsewhere."""

    def __init__(self, sentence: str = "", state: LineCheck.State = State.FAILED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.state = state


def check_order(metadata: str) -> uuid.UUID | None:
    """The check in a job's metadata, `{"kind": "line_check", "check": "<id>"}`; None for any other job."""
    try:
        order = json.loads(metadata)
        return uuid.UUID(order["check"]) if order["kind"] == "line_check" else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


async def make_check(ctx: JobContext, check: uuid.UUID) -> None:
    """Make the test call of this check, to its end, and store how it ended. Never raises but when it is cancelled."""
    try:
        order = await in_database(services.line_check_take, check=check, now=datetime.now(UTC))
        if order is not None:
            await _check(ctx, order)
    except CheckOver as over:
        if over.sentence:
            await _end(check, over.sentence, over.state)
    except LiveKitError as error:
        await _end(check, refusal(error))
    except asyncio.CancelledError:
        await _end(check, STOPPED, State.PUT_OFF)
        raise
    except (OperationalError, InterfaceError):
        # The row says so by itself, once the check should be over.
        log.warning("a line check was given up: the database is away")
    except Exception:
        log.exception("a line check failed")
        await _end(check, "The test call failed, for a reason that only the worker's log tells.")
    finally:
        await _close(ctx)


def refusal(error: LiveKitError) -> str:
    """Why the number could not be called, in a sentence for the office."""
    if isinstance(error, CallNotAnswered):
        known = REFUSALS.get(error.status or 0)
        return f"{known} (SIP {error.status})" if known else str(error)
    if isinstance(error, LiveKitRefused) and error.code == "unavailable":
        return NO_SIP
    return str(error)


async def press_all(
    press: Callable[[str], Awaitable[None]],
    *,
    since: datetime,
    spacings: Sequence[float] = SPACINGS,
    hung_up: asyncio.Event | None = None,
) -> list[Press]:
    """Press every key at every speed, and return what was pressed when, in seconds from `since`.

    Ends early once `hung_up` is set.
    """
    loop = asyncio.get_running_loop()
    over = hung_up or asyncio.Event()
    begins = loop.time()
    pressed: list[Press] = []
    for planned in schedule(spacings):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), max(0.0, begins + planned.at - loop.time()))
        if over.is_set():
            break
        at = (datetime.now(UTC) - since).total_seconds()
        await press(planned.key)
        pressed.append(Press(planned.key, at))
    return pressed


async def _check(ctx: JobContext, order: CheckOrder) -> None:
    await ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
    if BUSY in ctx.room.local_participant.attributes:
        raise CheckOver(BUSY_SENTENCE, State.PUT_OFF)
    hung_up = asyncio.Event()
    ctx.room.on("disconnected", lambda _reason: hung_up.set())
    ctx.room.on("participant_disconnected", lambda who: hung_up.set() if who.identity == CALLED else None)
    speaker = RoomSpeaker()
    await speaker.publish(ctx.room)
    await hum(speaker, LONGEST.total_seconds())
    try:
        await LiveKit().call_number(
            room=ctx.room.name, trunk_id=order.trunk_id, number=order.number, identity=CALLED, rings=RINGS
        )
        if not await _until(order.check, lambda seen: seen.answered, OURS_SECONDS):
            raise CheckOver(NOT_OURS)
        sent = await press_all(_presser(ctx.room), since=order.started_at, hung_up=hung_up)
        cut_off = hung_up.is_set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hung_up.wait(), SETTLE_SECONDS)
    finally:
        await _close(ctx)
        await speaker.aclose()
    if not await _until(order.check, lambda seen: seen.told, TOLD_SECONDS):
        raise CheckOver(NOT_TOLD)
    await in_database(
        services.line_check_finish, check=order.check, sent=sent, cut_off=cut_off, now=datetime.now(UTC)
    )


def _presser(room: rtc.Room) -> Callable[[str], Awaitable[None]]:
    async def press(key: str) -> None:
        with contextlib.suppress(rtc.participant.PublishDTMFError):
            await room.local_participant.publish_dtmf(code=CODES[key], digit=key)

    return press


async def _until(check: uuid.UUID, reached: Callable[[Progress], bool], seconds: float) -> bool:
    """Whether the check's row gets so far in time. Raises CheckOver when the check is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                seen = await in_database(check_progress, check)
                if not seen.running:
                    raise CheckOver
                if reached(seen):
                    return True
                await asyncio.sleep(LOOK_EVERY_SECONDS)
    return False


async def _end(check: uuid.UUID, sentence: str, state: LineCheck.State = State.FAILED) -> None:
    with contextlib.suppress(OperationalError, InterfaceError):
        await in_database(
            services.line_check_end, check=check, state=state, sentence=sentence, now=datetime.now(UTC)
        )


async def _close(ctx: JobContext) -> None:
    """Delete the check's room, which hangs up."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ctx.delete_room(ctx.job.room.name), DELETE_SECONDS)
