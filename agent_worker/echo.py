"""The answering side of a line check: hear which keys arrive, and when, and nothing else.

No step runs here, nothing is said, and nothing is put on record but the keys, in the check's own row.
"""

from __future__ import annotations

import asyncio
import logging
import math
from array import array
from datetime import UTC, datetime

from django.db import InterfaceError, OperationalError
from livekit import rtc
from livekit.agents.voice.io import AudioOutput

from agent_worker.database import in_database
from agent_worker.lines.base import KeyPress, Line
from agent_worker.lines.pacing import SAMPLE_RATE
from phone import services
from phone.line_check import KEYS_KEPT, Press
from phone.services.line_checks import LONGEST, CheckAnswered

log = logging.getLogger(__name__)

_HUM = array("h", [60 if sample // 24 % 2 else -60 for sample in range(SAMPLE_RATE)])
"""A second of it, far too soft to be noticed: livekit-sip ends a call after 30 s without audio (`media_timeout`)."""

TELL_AGAIN_SECONDS = 1.0


async def answer_check(line: Line, *, busy: bool = False) -> bool:
    """Answer a line's test call to itself, to its end. False for any other call, which is left alone.

    Any caller can pretend to have the line's own number. While a check runs, and only then, such a caller is
    taken for it, or hung up on if the check has its call: they hear nothing and reach nothing.
    """
    if not line.caller or line.caller != line.dialled:
        return False
    try:
        answered = await in_database(
            services.line_check_answer, number=line.dialled, busy=busy, now=datetime.now(UTC)
        )
    except (OperationalError, InterfaceError):
        # Whoever it is, a caller is answered also while the database is away.
        return False
    if answered is None:
        return False
    try:
        if answered.ours:
            await _tell(answered, await keys_of_call(line, since=answered.started_at))
    finally:
        await line.hang_up()
    return True


async def keys_of_call(
    line: Line, *, since: datetime, seconds: float = LONGEST.total_seconds()
) -> list[Press]:
    """The keys that arrive on `line` until its caller hangs up, or `seconds` are over; times count from `since`.

    A press that the line delivers again under the same id counts once, as it does in a call.
    """
    heard: list[Press] = []
    ids: set[str] = set()
    over = asyncio.Event()

    def note(press: KeyPress) -> None:
        if len(heard) >= KEYS_KEPT or press.id in ids:
            return
        if press.id is not None:
            ids.add(press.id)
        heard.append(Press(press.key, (datetime.now(UTC) - since).total_seconds()))

    line.on_hang_up(over.set)
    line.on_key(note)
    await hum(line.audio_output, seconds)
    try:
        async with asyncio.timeout(seconds):
            await over.wait()
    except TimeoutError:
        log.warning("a line check did not end by itself")
    line.audio_output.clear_buffer()
    return heard


async def hum(output: AudioOutput, seconds: float) -> None:
    """Have `output` send next to nothing for so long; returns at once."""
    second = rtc.AudioFrame(_HUM.tobytes(), SAMPLE_RATE, 1, SAMPLE_RATE)
    for _ in range(math.ceil(seconds)):
        await output.capture_frame(second)
    output.flush()


async def _tell(answered: CheckAnswered, heard: list[Press]) -> None:
    """Store what was heard. A database that is away is waited for, as long as the check may run."""
    while datetime.now(UTC) < answered.started_at + LONGEST:
        try:
            await in_database(services.line_check_heard, check=answered.check, heard=heard)
            return
        except (OperationalError, InterfaceError):
            await asyncio.sleep(TELL_AGAIN_SECONDS)
    log.error("what a line check heard could not be stored")
