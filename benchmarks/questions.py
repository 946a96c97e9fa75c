"""The questions that the benchmarks ask, and one caller who presses a key and waits for what comes of it."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from livekit.agents import APIConnectOptions, llm

from agent_worker import receptionist, talking
from agent_worker.keypad import EntryRules
from agent_worker.question import Question
from agent_worker.speech import Speech
from phone.wording.utterance import plain
from tests.agent_worker.asking import Asker, Caller, converse

SETTLED_SECONDS = 0.01
"""From the end of a prompt to the key."""

INTO_THE_PROMPT = (0.03, 0.12)
"""Seconds of a prompt that are heard before a key cuts it."""

PROMPT_SECONDS = 2.0
SHORT_PROMPT_SECONDS = 0.02

MENU = Question(
    prompt=plain("menu", "en"),
    rules=EntryRules(first_key_timeout=8, inter_digit_timeout=3, choices=frozenset("123")),
    understand=lambda text: None,
)
PATIENT_ID = Question(
    prompt=plain("patient ID", "en"),
    rules=EntryRules(
        first_key_timeout=20, inter_digit_timeout=5, min_digits=4, max_digits=8, empty_allowed=True
    ),
    understand=lambda text: None,
    sensitive=True,
)


class Stopwatch:
    """Takes the time from a key to its decision, and from a key to silence on the line; in seconds."""

    def __init__(self) -> None:
        self.pressed_at = 0.0
        self.decisions: list[float] = []
        self.answers: list[float] = []
        self.silences: list[float] = []
        self.silent = asyncio.Event()

    def press(self, caller: Caller, keys: str) -> None:
        self.silent.clear()
        self.pressed_at = time.perf_counter()
        caller.presses(keys)

    def decided(self) -> None:
        self.decisions.append(time.perf_counter() - self.pressed_at)

    def answered(self) -> None:
        self.answers.append(time.perf_counter() - self.pressed_at)

    def watch(self, caller: Caller) -> None:
        """Note when the line falls silent while a prompt plays: its buffer was cleared."""
        caller.line.audio_output.on("playback_finished", self._finished)

    def _finished(self, event: Any) -> None:
        if event.interrupted:
            self.silences.append(time.perf_counter() - self.pressed_at)
            self.silent.set()


async def one_key(repetitions: int) -> list[float]:
    """A key after the prompt → its decision is with the call."""
    caller, watch = Caller(), Stopwatch()

    async def talk(asker: Asker) -> None:
        loop = asyncio.get_running_loop()
        caller.line.audio_output.on(
            "playback_finished", lambda _: loop.call_later(SETTLED_SECONDS, watch.press, caller, "1")
        )
        for _ in range(repetitions):
            answer = await asker.ask(MENU)
            watch.decided()
            assert (answer.keys, answer.heard_to_end) == ("1", True)

    await converse(talk, caller=caller, prompt_seconds=SHORT_PROMPT_SECONDS)
    return watch.decisions


async def key_during_a_prompt(repetitions: int) -> Stopwatch:
    """A key in the middle of a prompt → its decision, and → silence on the line."""
    caller, watch = Caller(), Stopwatch()

    async def talk(asker: Asker) -> None:
        watch.watch(caller)
        loop = asyncio.get_running_loop()
        for _ in range(repetitions):
            loop.call_later(random.uniform(*INTO_THE_PROMPT), watch.press, caller, "1")
            answer = await asker.ask(MENU)
            watch.decided()
            assert not answer.heard_to_end
            await watch.silent.wait()

    await converse(talk, caller=caller, prompt_seconds=PROMPT_SECONDS)
    return watch


class StalledModel(llm.LLM[Any]):
    """A model that takes every question and never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    def chat(self, *, chat_ctx: llm.ChatContext, **options: Any) -> llm.LLMStream:
        return _Nothing(self, chat_ctx=chat_ctx, tools=[], conn_options=APIConnectOptions(max_retry=0))


class _Nothing(llm.LLMStream):
    async def _run(self) -> None:
        assert isinstance(self._llm, StalledModel)
        self._llm.asked.set()
        await asyncio.Event().wait()


async def key_while_the_model_stalls(repetitions: int) -> Stopwatch:
    """The talking receptionist waits for a model that never answers: a key → the model is out of the way.

    `answers` holds the time until the keypad receptionist, one question later, has decided what the key means.
    """
    model, caller, watch = StalledModel(), Caller(), Stopwatch()

    async def press_once_the_model_thinks() -> None:
        model.asked.clear()
        caller.says("is there a fish tank in the waiting room")
        await model.asked.wait()
        await asyncio.sleep(SETTLED_SECONDS)
        watch.press(caller, "1")

    async def talk(asker: Asker) -> None:
        asker.conversation.outside_allowed = True
        for _ in range(repetitions):
            pressing = asyncio.create_task(press_once_the_model_thinks())
            ended = await talking.talk(asker.conversation, "")
            watch.decided()
            answer = await receptionist.ask_what_for(asker.conversation)
            watch.answered()
            assert (ended.kind, answer.keys) == ("keys", "1")
            await pressing

    await converse(talk, caller=caller, prompt_seconds=SHORT_PROMPT_SECONDS, speech=Speech(llm=model))
    return watch
