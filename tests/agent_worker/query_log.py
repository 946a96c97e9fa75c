"""One simulated call with its events, its database queries and its batches of records, in the order they happened."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from agent_worker.answering import answer
from agent_worker.desk import Desk
from agent_worker.lines.simulated import SimulatedLine, read_script
from agent_worker.prompts import SilentPrompts
from agent_worker.records import RecordWriter
from agent_worker.simulated_time import run_simulated
from agent_worker.speech import Speech
from phone import services
from phone.records import Record

TRANSACTIONS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


@dataclass(frozen=True)
class Happened:
    """`kind` is "event", "query" or "batch"; `at` is in simulated seconds."""

    kind: str
    at: float
    what: str


@dataclass
class QueryLog:
    """What happened in one call."""

    lines: list[Happened] = field(default_factory=list)

    def of(self, kind: str) -> list[Happened]:
        return [line for line in self.lines if line.kind == kind]

    @property
    def before_the_first_prompt(self) -> list[str]:
        """The queries that the caller waited for."""
        until_prompt = itertools.takewhile(lambda line: line.what != "prompt", self.lines)
        return [line.what for line in until_prompt if line.kind == "query"]

    @property
    def while_a_key_was_handled(self) -> list[str]:
        """The queries made between a key and what came of it at the same moment."""
        made: list[str] = []
        key: Happened | None = None
        for line in self.lines:
            if line.kind == "event":
                key = line if line.what == "key" else None
            elif line.kind == "query" and key is not None and line.at == key.at:
                made.append(line.what)
        return made

    @property
    def shortest_time_between_batches(self) -> float:
        """In seconds; the last batch, for which the end of the call does not wait, is not counted."""
        starts = [line.at for line in self.of("batch")][:-1]
        return min((later - earlier for earlier, later in itertools.pairwise(starts)), default=float("inf"))


def call_with_log(script: str, *, dialled: str = "") -> QueryLog:
    """Place a call on the database's live plan with the keys of `script` (as in `simulate_call --keys`)."""
    log = QueryLog()
    loop: asyncio.AbstractEventLoop | None = None

    def note(kind: str, what: str) -> None:
        log.lines.append(Happened(kind, loop.time() if loop else 0.0, what))

    def on_query(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if not sql.startswith(TRANSACTIONS):
            note("query", sql)
        return execute(sql, params, many, context)

    def write(records: Sequence[Record]) -> None:
        note("batch", str(len(records)))
        services.write_records(records)

    async def call() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        desk = Desk(prompts=SilentPrompts(), writer=RecordWriter(write), speech=Speech())
        line = SimulatedLine(
            read_script(script), dialled=dialled, watch=lambda event: note("event", str(event["event"]))
        )
        await answer(line, desk)

    with connection.execute_wrapper(on_query):
        run_simulated(call)
    return log
