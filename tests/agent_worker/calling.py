"""Placing calls in tests: a caller who presses, says and hears, on the real call flow and on simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from agent_worker.answering import take_call
from agent_worker.desk import Desk
from agent_worker.lines.base import Bridge, Ear
from agent_worker.lines.simulated import REACTION_SECONDS, SimulatedLine
from agent_worker.prompts import Prompts, SilentPrompts
from agent_worker.records import RecordWriter
from agent_worker.simulated_time import run_simulated
from agent_worker.speech import Speech
from clinic.models import Clinic
from phone.models import Call, PlanVersion
from phone.plan import PhonePlan
from phone.publishing import live_plan_of
from tests.agent_worker.sounds import tone
from tests.phone.plans import a_plan, at

MONDAY_MORNING = at("2026-11-23 10:00")
CALLER = "+12025550147"

HUM = tone(440, 0.05)
"""What a frame of a caller's voice sounds like."""


class Caller(SimulatedLine):
    """Somebody on the phone. What they hear, they hear in order."""

    def __init__(
        self, number: str, *, keys: bool, origin: str, dialled: str = "", bridge: Bridge | None = None
    ) -> None:
        super().__init__([], caller=number, dialled=dialled)
        self.keys_forwarded = keys
        self.bridge = bridge
        self.origin = origin
        self.events: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._position = 0
        self._call_is_over = False
        self._humming: asyncio.Task[None] | None = None
        self.silent = False
        """Whether they say nothing, where they would hum."""
        self.microphone_on = True

    @property
    def voice_on(self) -> bool:
        return self.has_sound and self.microphone_on

    def show(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self._news.set()

    def record(self, ear: Ear | None) -> None:
        super().record(ear)
        if self._humming is not None:
            self._humming.cancel()
        self._humming = asyncio.create_task(self._hum(ear)) if ear else None

    @property
    def recorded(self) -> bool:
        """Whether anybody records what is said."""
        return self._humming is not None

    async def _hum(self, ear: Ear) -> None:
        while True:
            await asyncio.sleep(HUM.size / 24_000)
            if not self.silent:
                ear.caller_said(HUM.tobytes(), 24_000)

    async def hears(self, words: str) -> None:
        """Wait for the prompt with these words; what was said before it is past."""
        while True:
            for position in range(self._position, len(self.events)):
                event = self.events[position]
                if event["event"] == "prompt" and words.lower() in event["text"].lower():
                    self._position = position + 1
                    return
                assert event["event"] != "ended", f"never heard “{words}”, only {self.prompts}"
            assert not self._call_is_over, f"never heard “{words}”, only {self.prompts}"
            self._news.clear()
            await self._news.wait()

    def call_is_over(self) -> None:
        """Nothing more will be heard."""
        self._call_is_over = True
        self._news.set()

    async def hears_to_the_end(self, words: str) -> None:
        """The same, and listen until the prompt is over, and a moment longer."""
        await self.hears(words)
        over = asyncio.Event()
        self._heard = over.set
        await over.wait()
        await self.waits(REACTION_SECONDS)

    def presses(self, keys: str) -> None:
        for key in keys:
            self._press(key)

    def says(self, text: str) -> None:
        self._say(text)

    def hangs_up(self) -> None:
        self._caller_hangs_up()

    async def waits(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @property
    def prompts(self) -> list[str]:
        return [event["text"] for event in self.events if event["event"] == "prompt"]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of this kind, in order."""
        return [event for event in self.events if event["event"] == kind]

    @property
    def ended(self) -> dict[str, Any]:
        return self.told("ended")[0]

    @property
    def call(self) -> Call:
        """The call's row."""
        return Call.objects.get(pk=self.events[0]["id"])


def place_call(
    talk: Callable[[Caller], Awaitable[None]],
    *,
    plan: PhonePlan | None = None,
    clock: datetime = MONDAY_MORNING,
    number: str = CALLER,
    keys: bool = True,
    origin: str = "phone",
    prompts: Prompts | None = None,
    speech: Speech | None = None,
    calls_already: int = 0,
    recordings: Path | None = None,
    dialled: str = "",
    bridge: Bridge | None = None,
) -> Caller:
    """Run one call in which the caller does what `talk` says, to its end; then they hang up.

    With `recordings` the line has sound, and is recorded to that folder where consent covers it: the caller hums.
    """
    loaded = live_plan_of(publish(plan or a_plan()).pk)
    assert loaded is not None

    async def call() -> Caller:
        caller = Caller(number, keys=keys, origin=origin, dialled=dialled, bridge=bridge)
        caller.has_sound = recordings is not None
        desk = Desk(
            prompts=prompts or SilentPrompts(),
            writer=RecordWriter(),
            speech=speech or Speech(),
            recordings=recordings,
        )
        desk.live_calls = calls_already
        running = asyncio.create_task(take_call(caller, desk, loaded, answered_at=clock))
        running.add_done_callback(lambda _: caller.call_is_over())
        try:
            await talk(caller)
        finally:
            caller.hangs_up()
            await running
            caller.record(None)
        return caller

    return run_simulated(call)


def publish(plan: PhonePlan) -> Clinic:
    """The clinic whose callers hear `plan`."""
    clinic, _ = Clinic.objects.get_or_create(slug="bright-smile", defaults={"name": plan.clinic.name})
    PlanVersion.objects.create(
        clinic=clinic,
        number=clinic.plan_versions.count() + 1,
        content=plan.model_dump(mode="json"),
        content_hash=plan.content_hash(),
    )
    return clinic
