"""Asking questions in tests and benchmarks: real `KeypadTask`s in a real session, without the rest of a call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from livekit.agents import Agent, AgentSession, ToolError

from agent_worker.clock import CallClock
from agent_worker.conversation import Conversation
from agent_worker.ids import uuid7
from agent_worker.keypad import KeypadListener
from agent_worker.lines.base import KeyPress
from agent_worker.lines.simulated import SimulatedLine
from agent_worker.prompts import SilentPrompts
from agent_worker.question import Answer, KeypadTask, Question
from agent_worker.recording import CallRecording
from agent_worker.simulated_time import run_simulated
from agent_worker.simulation import NoRecords
from agent_worker.speech import Speech, session_options
from agent_worker.timeline import CallTimeline
from phone.plan import PhonePlan
from phone.wording import Utterance
from tests.phone.plans import a_plan, at

MORNING = at("2026-11-23 10:00")
PROMPT_SECONDS = 2.0

Presses = Sequence[tuple[float, str]]
"""What a caller presses: seconds since the answer, and the keys that are pressed at that moment."""


class PromptsOfOneLength(SilentPrompts):
    """Prompts that all take `length` seconds, and say nothing."""

    def __init__(self, length: float = PROMPT_SECONDS) -> None:
        self._length = length

    def seconds(self, utterance: Utterance, language: str) -> float:
        return self._length


class Asker(Agent):
    """The root agent of a call that consists of `talk`."""

    def __init__(self, conversation: Conversation, talk: Callable[[Asker], Awaitable[None]]) -> None:
        super().__init__(instructions="")
        self.conversation = conversation
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._talk = talk

    async def on_enter(self) -> None:
        try:
            await self._talk(self)
        except BaseException as error:
            self.over.set_exception(error)
        else:
            self.over.set_result(None)

    async def ask(self, question: Question) -> Answer:
        """The caller's answer to `question`."""
        return await KeypadTask(self.conversation, question)


class Line(SimulatedLine):
    """A simulated line whose keys and words come from outside."""

    def key(self, press: KeyPress) -> None:
        self._key(press)

    def text(self, text: str) -> None:
        self._text(text)


class Caller:
    """Somebody who presses keys, and what the call made of them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answers: list[Answer] = []
        self.left_to_press = 0
        self.line: Line

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of this kind, in order."""
        return [event for event in self.events if event["event"] == kind]

    def when(self, kind: str) -> list[float]:
        """The moments of these events, in seconds since the answer."""
        return [event["t"] for event in self.told(kind)]

    @property
    def entered(self) -> list[str]:
        """What each question got: the keys of an entry, or how else it ended."""
        return [_entered(answer) for answer in self.answers]

    def presses(self, keys: str) -> None:
        for key in keys:
            self.left_to_press -= 1
            self.line.key(KeyPress(key))

    def says(self, text: str) -> None:
        self.line.text(text)


def _entered(answer: Answer) -> str:
    if answer.kind == "entry":
        return answer.sealed.open() if answer.sealed else answer.keys
    return answer.because if answer.kind == "gave_up" else answer.kind


async def converse(
    talk: Callable[[Asker], Awaitable[None]],
    *,
    caller: Caller,
    prompt_seconds: float = PROMPT_SECONDS,
    plan: PhonePlan | None = None,
    speech: Speech | None = None,
) -> None:
    """Run one call that consists of `talk`, on the running loop. Raises what `talk` raises."""
    loop = asyncio.get_running_loop()
    line = caller.line = Line([])
    clock = CallClock(loop, MORNING)
    timeline = CallTimeline(call=uuid7(MORNING), clinic_id=1, clock=clock, writer=NoRecords())
    timeline.watch(caller.events.append)
    listener = KeypadListener(clock.monotonic)
    session: AgentSession[None] = AgentSession(**session_options(speech or Speech()))
    conversation = Conversation(
        line=line,
        plan=plan or a_plan(),
        clinic_id=1,
        prompts=PromptsOfOneLength(prompt_seconds),
        speech=speech or Speech(),
        timeline=timeline,
        clock=clock,
        listener=listener,
        session=session,
        language="en",
        recording=CallRecording(line=line, timeline=timeline, clock=clock, folder=None),
    )
    line.on_key(listener.press)
    line.on_text(lambda text: listener.words(text, typed=True))
    asker = Asker(conversation, talk)
    session.output.audio = line.audio_output
    await session.start(asker, record=False)
    try:
        await asker.over
    finally:
        with contextlib.suppress(ToolError, RuntimeError):
            await session.aclose()


def ask(
    *questions: Question, presses: Presses = (), says: Presses = (), prompt_seconds: float = PROMPT_SECONDS
) -> Caller:
    """Ask `questions` in a row, on simulated time, of a caller who presses and says this."""

    async def call() -> Caller:
        caller = Caller()

        async def talk(asker: Asker) -> None:
            for question in questions:
                caller.answers.append(await asker.ask(question))

        press_all(caller, presses)
        for seconds, words in says:
            asyncio.get_running_loop().call_later(seconds, caller.says, words)
        await converse(talk, caller=caller, prompt_seconds=prompt_seconds)
        return caller

    return run_simulated(call)


def press_all(caller: Caller, presses: Presses) -> None:
    """Let `caller` press all of this when its time has come. Keys of second 0 are pressed before anybody asks."""
    loop = asyncio.get_running_loop()
    for seconds, keys in presses:
        caller.left_to_press += len(keys)
        loop.call_later(seconds, caller.presses, keys)
