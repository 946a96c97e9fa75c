"""What all calls of a process share, from what they say to where their records go."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from agent_worker.call_flow import CallFlow
from agent_worker.clock import CallClock
from agent_worker.ids import uuid7
from agent_worker.lines.base import Line
from agent_worker.plans import plan_behind
from agent_worker.prompts import Prompts
from agent_worker.providers import SpeechEnvironment, read_speech_environment
from agent_worker.records import writer
from agent_worker.speech import Speech, build_speech, prompt_store
from agent_worker.timeline import CallTimeline, Writer
from phone.publishing import LoadedPlan
from phone.recordings import waiting_folder


@dataclass
class Desk:
    """The calls of one process, and what they share."""

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

    def put_on_record(self, line: Line, loaded: LoadedPlan, clock: CallClock, language: str) -> CallTimeline:
        """The timeline of a new call on `line`, which shows it, with its first row."""
        timeline = CallTimeline(
            call=uuid7(clock.now()), clinic_id=loaded.clinic_id, clock=clock, writer=self.writer
        )
        timeline.watch(line.show)
        timeline.started(
            line_id=loaded.line_id,
            plan_version_id=loaded.version_id,
            plan_version=loaded.version_number,
            origin=line.origin,
            dialled=loaded.number,
            caller=line.caller,
            language=language,
            after_hours=not loaded.plan.is_open(clock.now()),
            room=line.room,
        )
        return timeline

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
