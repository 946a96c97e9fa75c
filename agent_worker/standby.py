"""The processes that wait for calls: while calls come in, what their callers wait for goes first."""

from __future__ import annotations

import asyncio
import math

from livekit.agents import AgentServer

CALM_SECONDS = 3.0
"""So long after the last call came its caller hears the clinic, and the machine has time again."""

RESERVE = 0.2
"""The share of the waiting processes that there always are, however many calls come."""


class Standby:
    """Waiting processes are made anew once no call has come for `CALM_SECONDS`; before, only the reserve is."""

    def __init__(self, server: AgentServer, *, processes: int) -> None:
        self._server = server
        self._processes = processes
        self._reserve = math.ceil(processes * RESERVE)
        self._calm: asyncio.TimerHandle | None = None

    def a_call_comes(self) -> None:
        """To be told of each call, on the worker's event loop."""
        if self._calm is not None:
            self._calm.cancel()
        self._keep(self._reserve)
        self._calm = asyncio.get_running_loop().call_later(CALM_SECONDS, self._keep, self._processes)

    def _keep(self, processes: int) -> None:
        # The library sets it by the load that a worker reports, and ours is never full.
        self._server._proc_pool.set_target_idle_processes(processes)
