"""Callers who hear one sentence and get no call: all lines are busy, or nothing is published for what they dialled.

They need no AgentSession. When many call at once, those who get a line need the machine's time more.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from django.db import InterfaceError, OperationalError

from agent_worker.clock import CallClock
from agent_worker.database import in_database
from agent_worker.desk import Desk
from agent_worker.ids import uuid7
from agent_worker.lines.base import Line
from agent_worker.timeline import CallTimeline
from phone import wording
from phone.publishing import LoadedPlan, line_called
from phone.wording import Part, Utterance, default_wording

log = logging.getLogger(__name__)

STEP = "greeting"
"""Where these calls end, on record."""

NO_PLAN_LANGUAGE = "en"
"""What a caller hears who dialled a number for which nothing is published: it has no languages either."""


async def say_all_lines_are_busy(
    line: Line, desk: Desk, loaded: LoadedPlan, answered_at: datetime, language: str
) -> None:
    """Tell a caller who is one too many, and put it on record. `answered_at` (aware) sets the clinic's clock."""
    timeline = desk.put_on_record(line, loaded, CallClock(asyncio.get_running_loop(), answered_at), language)
    sentence = wording.say(loaded.plan, "busy", language)
    timeline.prompt(STEP, sentence, asks=False)
    heart = asyncio.create_task(timeline.beat())
    outcome = "failed"
    try:
        await _tell(line, desk, sentence, language)
        outcome = "busy"
    finally:
        heart.cancel()
        timeline.ended(outcome=outcome, served="nothing", step=STEP)
        await desk.writer.drain()


async def say_nothing_is_published(line: Line, desk: Desk) -> None:
    """Tell a caller whom no plan is for that nobody can answer, and put it on record where a clinic is known."""
    log.error("a call could not be answered: nothing is published for the number that was dialled")
    answered_at = datetime.now(UTC)
    sentence = Utterance((Part(default_wording(NO_PLAN_LANGUAGE)["no_plan"]),))
    await _tell(line, desk, sentence, NO_PLAN_LANGUAGE)
    await line.hang_up()
    try:
        known = await in_database(line_called, line.dialled, line.room)
    except (OperationalError, InterfaceError):
        log.error("a call is not on record: whose it was stands in the database, which is away")
        return
    if known is None:
        return
    clock = CallClock(asyncio.get_running_loop(), answered_at)
    timeline = CallTimeline(
        call=uuid7(answered_at), clinic_id=known.clinic_id, clock=clock, writer=desk.writer
    )
    timeline.started(
        line_id=known.pk if str(known.number) == line.dialled else None,
        plan_version_id=None,
        plan_version=0,
        origin=line.origin,
        dialled=line.dialled,
        caller=line.caller,
        language=NO_PLAN_LANGUAGE,
        after_hours=False,
        room=line.room,
    )
    timeline.ended(outcome="failed", served="nothing", step=STEP)
    await desk.writer.drain()


async def _tell(line: Line, desk: Desk, sentence: Utterance, language: str) -> None:
    """Say `sentence` to its end, or until the caller hangs up."""
    over = asyncio.Event()
    line.on_hang_up(over.set)
    saying = asyncio.create_task(_say(line, desk, sentence, language))
    saying.add_done_callback(lambda _: over.set())
    try:
        await over.wait()
        if saying.done():
            saying.result()
    finally:
        saying.cancel()


async def _say(line: Line, desk: Desk, sentence: Utterance, language: str) -> None:
    await line.opened()
    async for frame in desk.prompts.audio(sentence, language):
        await line.audio_output.capture_frame(frame)
    line.audio_output.flush()
    await line.audio_output.wait_for_playout()
