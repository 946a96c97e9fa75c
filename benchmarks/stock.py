"""The opponent: livekit-agents' `GetDtmfTask`, with a local model and voice so that it runs at all.

It needs a job context, for which `livekit.agents.testing` has a stand-in, and a model for its instructions. Both
are free of delay here: what is measured is the task itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from livekit import rtc
from livekit.agents import Agent, AgentSession, ToolError
from livekit.agents.beta.workflows import GetDtmfTask
from livekit.agents.testing import fake_job_context

from agent_worker import pcm
from agent_worker.lines.simulated import SimulatedSpeaker
from benchmarks.instant import OneSentence, Sounds
from benchmarks.questions import INTO_THE_PROMPT, PROMPT_SECONDS, SETTLED_SECONDS, SHORT_PROMPT_SECONDS

NEVER_SECONDS = 10.0
"""A task that is not done by then never is: it has no time-out without input."""


@dataclass
class Stage:
    """One session of the stock library, and the caller's hand."""

    room: rtc.Room
    speaker: SimulatedSpeaker
    pressed_at: float = 0.0

    def press(self, keys: str) -> None:
        self.pressed_at = time.perf_counter()
        for key in keys:
            self.room.emit("sip_dtmf_received", rtc.SipDTMF(code=0, digit=key))

    def press_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.press, "1")

    def since_key(self) -> float:
        """Seconds since the last key."""
        return time.perf_counter() - self.pressed_at

    def when_it_speaks(self, act: Callable[[], None]) -> None:
        """Call `act` once, when the next prompt begins."""
        self.speaker.once("playback_started", lambda _: act())


Talk = Callable[[Stage], Awaitable[None]]


class _Root(Agent):
    def __init__(self, talk: Talk, stage: Stage) -> None:
        super().__init__(instructions="")
        self._talk = talk
        self._stage = stage
        self.over = asyncio.Event()

    async def on_enter(self) -> None:
        try:
            await self._talk(self._stage)
        finally:
            self.over.set()


async def converse(talk: Talk, *, prompt_seconds: float) -> None:
    """Run one session of the stock library that consists of `talk`."""
    room = rtc.Room()
    with fake_job_context(room=room):
        session: AgentSession[None] = AgentSession(
            llm=OneSentence(), tts=Sounds([pcm.silence(prompt_seconds)]), vad=None, aec_warmup_duration=None
        )
        speaker = SimulatedSpeaker()
        session.output.audio = speaker
        root = _Root(talk, Stage(room, speaker))
        await session.start(root, record=False)
        await root.over.wait()
        with contextlib.suppress(ToolError, RuntimeError):
            await session.aclose()


async def one_key(sessions: int) -> list[float]:
    """A key after the prompt → the task's result, in seconds, one sample for each session."""
    samples: list[float] = []

    async def talk(stage: Stage) -> None:
        stage.speaker.once("playback_finished", lambda _: stage.press_in(SETTLED_SECONDS))
        await GetDtmfTask(num_digits=1)
        samples.append(stage.since_key())

    await asyncio.gather(*(converse(talk, prompt_seconds=SHORT_PROMPT_SECONDS) for _ in range(sessions)))
    return samples


async def key_during_a_prompt(sessions: int) -> tuple[list[float], list[float]]:
    """A key in the middle of a prompt → the task's result, and → silence on the line, in seconds."""
    decisions: list[float] = []
    silences: list[float] = []

    async def talk(stage: Stage) -> None:
        stage.when_it_speaks(lambda: stage.press_in(random.uniform(*INTO_THE_PROMPT)))
        stage.speaker.once("playback_finished", lambda _: silences.append(stage.since_key()))
        await GetDtmfTask(num_digits=1)
        decisions.append(stage.since_key())

    await asyncio.gather(*(converse(talk, prompt_seconds=PROMPT_SECONDS) for _ in range(sessions)))
    return decisions, silences


async def enter(digits: tuple[int, ...]) -> list[str]:
    """What tasks of so many digits each get, one after the other; one that fails or never ends is the last."""
    entered: list[str] = []
    for count in digits:
        task = GetDtmfTask(num_digits=count)
        asyncio.get_running_loop().call_later(NEVER_SECONDS, _give_up, task)
        try:
            entered.append((await task).user_input.replace(" ", ""))
        except ToolError:
            break
    return entered


def _give_up(task: GetDtmfTask) -> None:
    if not task.done():
        task.complete(ToolError("never done"))
