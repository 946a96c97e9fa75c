"""Runs one simulated call from synchronous code: the real call flow, a scripted caller, simulated time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from agent_worker.answering import take_call
from agent_worker.desk import Desk
from agent_worker.lines.simulated import SimulatedLine, Turn
from agent_worker.prompts import SilentPrompts
from agent_worker.records import RecordWriter
from agent_worker.simulated_time import run_simulated
from agent_worker.speech import Speech
from phone.publishing import LoadedPlan
from phone.records import Record


class NoRecords:
    """A writer for calls that leave nothing behind."""

    def put(self, record: Record) -> None:
        """Forget it."""

    async def drain(self) -> None:
        """Nothing to wait for."""


def simulate(
    turns: Sequence[Turn],
    *,
    loaded: LoadedPlan,
    caller: str,
    answered_at: datetime,
    language: str | None = None,
    burst: bool = False,
    dry_run: bool = False,
    watch: Callable[[dict[str, Any]], None] = lambda event: None,
    speech: Speech | None = None,
) -> None:
    """Place one call and return when it is over and stored.

    `turns` is the caller's script, `answered_at` (aware) the clinic's clock at the answer, `watch` gets every event.
    The database is used on the calling thread, inside its transaction if there is one.
    """

    async def call() -> None:
        writer = NoRecords() if dry_run else RecordWriter()
        desk = Desk(prompts=SilentPrompts(), writer=writer, speech=speech or Speech())
        line = SimulatedLine(turns, caller=caller, dialled=loaded.number, burst=burst, watch=watch)
        await take_call(line, desk, loaded, answered_at=answered_at, language=language)

    run_simulated(call)
