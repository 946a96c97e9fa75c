"""Answering one call: load the plan, start the session, run the flow, and write the final row however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import InterfaceError, OperationalError
from livekit.agents import AgentSession, ToolError

from agent_worker.call_flow import CallFlow
from agent_worker.clock import CallClock
from agent_worker.conversation import Conversation
from agent_worker.database import in_database
from agent_worker.ids import uuid7
from agent_worker.keypad import KeypadListener
from agent_worker.lines.base import KeyPress, Line
from agent_worker.plans import plan_behind
from agent_worker.prompts import Prompts
from agent_worker.providers import SpeechEnvironment, read_speech_environment
from agent_worker.recording import CallRecording
from agent_worker.records import writer
from agent_worker.resuming import ResumedFlow, ResumeOrder
from agent_worker.speech import Speech, build_speech, prompt_store, session_options
from agent_worker.timeline import CallTimeline, Writer
from phone.publishing import LoadedPlan, line_called
from phone.recordings import waiting_folder
from phone.resuming import Resumable, resumable
from phone.wording import Part, Utterance, default_wording

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0

NO_PLAN_LANGUAGE = "en"
"""What a caller hears who dialled a number for which nothing is published: it has no languages either."""


@dataclass
class Desk:
    """What all calls of a process share."""

    prompts: Prompts
    writer: Writer
    speech: Speech
    recordings: Path | None = None
    """Where calls are recorded to; None where nothing is recorded."""
    live_calls: int = field(default=0, init=False)
    flows: set[CallFlow] = field(default_factory=set, init=False)
    _reads: dict[str, asyncio.Task[LoadedPlan | None]] = field(default_factory=dict, init=False)
    _preloads: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def plan_behind(self, dialled: str) -> LoadedPlan | None:
        """`plans.plan_behind(dialled)`. Calls that come in while it is being read share what is read."""
        if dialled not in self._reads:
            read = asyncio.create_task(plan_behind(dialled))
            read.add_done_callback(lambda _: self._reads.pop(dialled))
            self._reads[dialled] = read
        return await asyncio.shield(self._reads[dialled])

    def end_calls(self) -> None:
        """End every call with a spoken goodbye: this process must stop."""
        for flow in self.flows:
            flow.stop()

    def preload(self, loaded: LoadedPlan) -> None:
        """Make ready what this version says, beside its first call."""
        preload = asyncio.create_task(self.prompts.preload(loaded.version_id, loaded.plan))
        self._preloads.add(preload)
        preload.add_done_callback(self._preloads.discard)


def make_desk(environment: SpeechEnvironment | None = None, prompts: Prompts | None = None) -> Desk:
    """The desk of this process, from the environment. Call it on the event loop that the calls run on."""
    environment = environment or read_speech_environment()
    desk = Desk(
        prompts=prompts or prompt_store(settings.DATA_DIR / "prompts", environment),
        writer=writer(),
        speech=build_speech(environment),
        recordings=waiting_folder() if settings.RECORDING else None,
    )
    # What is loaded by now stays: looking through it for garbage would hold up every caller for 0.1 s or more.
    gc.collect()
    gc.freeze()
    return desk


async def answer(line: Line, desk: Desk, *, busy: bool = False) -> None:
    """Run one whole call on `line`; returns when it is over and its final row is stored. Never raises.

    With `busy` the caller only hears that all lines are busy.
    """
    try:
        loaded = await desk.plan_behind(line.dialled)
        if loaded is None:
            await _turn_away(line, desk)
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
        await _run(line, desk, loaded, answered_at, language or loaded.plan.clinic.languages[0], busy=busy)
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
    busy: bool = False,
    resumed: Resumable | None = None,
) -> None:
    plan = loaded.plan
    clock = CallClock(asyncio.get_running_loop(), answered_at)
    timeline = CallTimeline(
        call=resumed.call if resumed else uuid7(clock.now()),
        clinic_id=loaded.clinic_id,
        clock=clock,
        writer=desk.writer,
        epoch=resumed.epoch if resumed else 1,
    )
    timeline.watch(line.show)
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
    if resumed:
        flow: CallFlow = ResumedFlow(conversation, resumed)
        timeline.resumed()
    else:
        flow = CallFlow(conversation)
        flow.all_lines_busy = busy or desk.live_calls > plan.calls_at_once
        timeline.started(
            line_id=loaded.line_id,
            plan_version_id=loaded.version_id,
            plan_version=loaded.version_number,
            origin=line.origin,
            dialled=loaded.number,
            caller=line.caller,
            language=language,
            after_hours=not plan.is_open(clock.now()),
            room=line.room,
        )
    desk.flows.add(flow)
    line.on_key(partial(_pressed, conversation))
    line.on_text(lambda text: listener.words(text, typed=True))
    line.on_hang_up(flow.caller_gone)
    lasted = (answered_at - resumed.started_at).total_seconds() if resumed else 0.0
    limit = asyncio.get_running_loop().call_later(plan.max_call_seconds - lasted, flow.out_of_time)
    heart = asyncio.create_task(_beat(timeline))
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


def _pressed(conversation: Conversation, press: KeyPress) -> None:
    conversation.recording.pressed()
    conversation.listener.press(press)


async def _turn_away(line: Line, desk: Desk) -> None:
    """Tell a caller whom no plan is for that nobody can answer, and put it on record where a clinic is known."""
    log.error("a call could not be answered: nothing is published for the number that was dialled")
    answered_at = datetime.now(UTC)
    speaking = Utterance((Part(default_wording(NO_PLAN_LANGUAGE)["no_plan"]),))
    await line.opened()
    async for frame in desk.prompts.audio(speaking, NO_PLAN_LANGUAGE):
        await line.audio_output.capture_frame(frame)
    line.audio_output.flush()
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
    timeline.ended(outcome="failed", served="nothing", step="greeting")
    await desk.writer.drain()


def _final_row(conversation: Conversation) -> None:
    progress, timeline = conversation.progress, conversation.timeline
    for request in progress.requests.values():
        if not request.confirmed:
            timeline.request(request)
    if progress.goes_on and not progress.failed:
        timeline.handed_over()
    else:
        timeline.ended(outcome=progress.outcome, served=progress.served, step=progress.step)


async def _beat(timeline: CallTimeline) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        timeline.heartbeat()
