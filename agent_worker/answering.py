"""Answering one call: load the plan, start the session, run the flow, and write the final row however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from functools import partial

from livekit.agents import AgentSession, ToolError

from agent_worker.call_flow import CallFlow
from agent_worker.clock import CallClock
from agent_worker.conversation import Conversation
from agent_worker.database import in_database
from agent_worker.desk import Desk
from agent_worker.keypad import KeypadListener
from agent_worker.lines.base import KeyPress, Line
from agent_worker.recording import CallRecording
from agent_worker.resuming import ResumedFlow, ResumeOrder
from agent_worker.speech import session_options
from agent_worker.timeline import CallTimeline
from agent_worker.turning_away import say_all_lines_are_busy, say_nothing_is_published
from phone.publishing import LoadedPlan
from phone.resuming import Resumable, resumable

log = logging.getLogger(__name__)


async def answer(line: Line, desk: Desk, *, busy: bool = False) -> None:
    """Run one whole call on `line`; returns when it is over and its final row is stored. Never raises.

    With `busy` the caller only hears that all lines are busy.
    """
    try:
        loaded = await desk.plan_behind(line.dialled)
        if loaded is None:
            await say_nothing_is_published(line, desk)
        else:
            await take_call(line, desk, loaded, answered_at=datetime.now(UTC), busy=busy)
    except Exception:
        log.exception("a call could not be answered")
    finally:
        await line.hang_up()


async def take_call(
    line: Line,
    desk: Desk,
    loaded: LoadedPlan,
    *,
    answered_at: datetime,
    language: str | None = None,
    busy: bool = False,
) -> None:
    """Run one call on `line` with this plan.

    `answered_at` (aware) sets the clinic's clock. `language` is the caller's, where they need not choose it.
    With `busy` the caller only hears that all lines are busy.
    """
    desk.live_calls += 1
    try:
        language = language or loaded.plan.clinic.languages[0]
        if busy or desk.live_calls > loaded.plan.calls_at_once:
            await say_all_lines_are_busy(line, desk, loaded, answered_at, language)
        else:
            await _run(line, desk, loaded, answered_at, language)
    finally:
        desk.live_calls -= 1


async def resume_call(line: Line, desk: Desk, order: ResumeOrder) -> None:
    """Go on at the menu with a call whose agent died; returns as `answer` does. Never raises.

    Where that cannot be, such as after the call's final row, the line is closed.
    """
    try:
        resumed = await in_database(resumable, order.call, order.epoch)
        if resumed is None:
            log.warning("a call could not go on: it is over", extra={"call": str(order.call)})
        else:
            await _run(line, desk, resumed.loaded, datetime.now(UTC), resumed.language, resumed=resumed)
    except Exception:
        log.exception("a call could not go on")
    finally:
        await line.hang_up()


async def _run(
    line: Line,
    desk: Desk,
    loaded: LoadedPlan,
    answered_at: datetime,
    language: str,
    *,
    resumed: Resumable | None = None,
) -> None:
    plan = loaded.plan
    clock = CallClock(asyncio.get_running_loop(), answered_at)
    timeline = (
        _timeline_of(resumed, line, desk, clock)
        if resumed
        else desk.put_on_record(line, loaded, clock, language)
    )
    listener = KeypadListener(clock.monotonic)
    session: AgentSession[None] = AgentSession(**session_options(desk.speech))
    conversation = Conversation(
        line=line,
        plan=plan,
        clinic_id=loaded.clinic_id,
        prompts=desk.prompts,
        speech=desk.speech,
        timeline=timeline,
        clock=clock,
        listener=listener,
        session=session,
        language=language,
        recording=CallRecording(line=line, timeline=timeline, clock=clock, folder=desk.recordings),
    )
    flow = ResumedFlow(conversation, resumed) if resumed else CallFlow(conversation)
    desk.flows.add(flow)
    line.on_key(partial(_pressed, conversation))
    line.on_text(lambda text: listener.words(text, typed=True))
    line.on_hang_up(flow.caller_gone)
    lasted = (answered_at - resumed.started_at).total_seconds() if resumed else 0.0
    limit = asyncio.get_running_loop().call_later(plan.max_call_seconds - lasted, flow.out_of_time)
    heart = asyncio.create_task(timeline.beat())
    # Not before the caller hears something: the first prompt would wait for all the others.
    line.audio_output.once("playback_started", lambda _: desk.preload(loaded))
    try:
        session.output.audio = line.audio_output
        session.input.audio = line.audio_input
        await session.start(flow, record=False)
        await flow.over.wait()
    except asyncio.CancelledError:
        # The process ends under the call. The session would wait for the step that the call is in.
        conversation.progress.failed = True
        flow.caller_gone()
        raise
    finally:
        desk.flows.discard(flow)
        limit.cancel()
        heart.cancel()
        conversation.recording.stop()
        _final_row(conversation)
        # The row first: where the process ends under the call, all its tasks are cancelled at once, and the session
        # may wait for one that was.
        await desk.writer.drain()
        with contextlib.suppress(ToolError, RuntimeError):
            await session.aclose()
        await conversation.recording.finish()
        await desk.writer.drain()


def _timeline_of(resumed: Resumable, line: Line, desk: Desk, clock: CallClock) -> CallTimeline:
    timeline = CallTimeline(
        call=resumed.call,
        clinic_id=resumed.loaded.clinic_id,
        clock=clock,
        writer=desk.writer,
        epoch=resumed.epoch,
    )
    timeline.watch(line.show)
    timeline.resumed()
    return timeline


def _pressed(conversation: Conversation, press: KeyPress) -> None:
    conversation.recording.pressed()
    conversation.listener.press(press)


def _final_row(conversation: Conversation) -> None:
    progress, timeline = conversation.progress, conversation.timeline
    for request in progress.requests.values():
        if not request.confirmed:
            timeline.request(request)
    if progress.goes_on and not progress.failed:
        timeline.handed_over()
    else:
        timeline.ended(outcome=progress.outcome, served=progress.served, step=progress.step)
