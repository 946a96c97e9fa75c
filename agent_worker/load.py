"""How full this worker is, and who gets a line.

livekit-server offers calls only to workers that report a load below 0.7, and a caller nobody is offered to
rings on without an answer. So the worker is never full: beyond its lines it has calls answered that only say
that all lines are busy.
"""

from __future__ import annotations

from collections.abc import Iterable

from livekit.agents import AgentServer, JobRequest

MOST_LOAD = 0.69
"""The highest load at which livekit-server still offers calls."""

BUSY_SLOTS = 10
"""Callers at once that are told that lines are busy, in figuring the load."""

BUSY = "clinic.busy"
"""The attribute of an agent that only says that all lines are busy."""


def load_of(calls: int, *, lines: int) -> float:
    """The load of a worker with `lines` lines that has this many calls."""
    return min(MOST_LOAD, MOST_LOAD * calls / (lines + BUSY_SLOTS))


class Switchboard:
    """Takes every call that livekit-server offers, and marks those that find no line free."""

    def __init__(self, server: AgentServer, *, lines: int) -> None:
        self._server = server
        self._lines = lines
        self._coming: set[str] = set()
        """Jobs that were accepted and are not running yet."""
        self._busy: set[str] = set()
        """Jobs that only say that lines are busy."""

    def load(self) -> float:
        """This worker's load, for livekit-server."""
        return load_of(len(self._jobs()), lines=self._lines)

    async def take(self, request: JobRequest) -> None:
        """Accept the offered call. It gets a line where one is free."""
        jobs = self._jobs()
        self._busy &= jobs
        busy = len(jobs - self._busy) >= self._lines
        self._coming.add(request.id)
        if busy:
            self._busy.add(request.id)
        try:
            await request.accept(attributes={BUSY: "true"} if busy else None)
        finally:
            self._coming.discard(request.id)

    def _jobs(self) -> set[str]:
        running: Iterable[str] = (info.job.id for info in self._server.active_jobs)
        return self._coming | set(running)
