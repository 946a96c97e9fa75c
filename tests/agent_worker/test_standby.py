"""How many processes wait for the next calls."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from livekit.agents import AgentServer

from agent_worker.simulated_time import run_simulated
from agent_worker.standby import CALM_SECONDS, Standby


class Pool:
    """How many waiting processes the server is to have, as livekit-agents' pool takes it."""

    def __init__(self, processes: int) -> None:
        self.wanted = processes

    def set_target_idle_processes(self, processes: int) -> None:
        self.wanted = processes


def standby_of(pool: Pool) -> Standby:
    server = cast(AgentServer, SimpleNamespace(_proc_pool=pool))
    return Standby(server, processes=pool.wanted)


def wanted_after(*pauses: float, processes: int = 10) -> int:
    """How many are wanted when a call has come and so many seconds have passed, once for each pause."""

    async def calls() -> int:
        pool = Pool(processes)
        standby = standby_of(pool)
        for pause in pauses:
            standby.a_call_comes()
            await asyncio.sleep(pause)
        return pool.wanted

    wanted: Any = run_simulated(calls)
    return int(wanted)


def test_while_calls_come_in_only_a_reserve_is_made_anew() -> None:
    assert wanted_after(*[0.1] * 20) == 2
    assert wanted_after(*[CALM_SECONDS * 0.9] * 3) == 2


def test_once_no_more_calls_come_all_are() -> None:
    assert wanted_after(*[0.1] * 20, CALM_SECONDS * 1.1) == 10


def test_somebody_always_waits() -> None:
    assert wanted_after(0.1, processes=1) == 1
