"""How many processes wait for the next calls."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from livekit.agents import AgentServer, JobRequest

from agent_worker.__main__ import make_server
from agent_worker.simulated_time import run_simulated
from agent_worker.standby import CALM_SECONDS, Standby
from agent_worker.worker_settings import WorkerEnvironment
from phone.livekit_settings import LiveKitEnvironment

LIVEKIT = LiveKitEnvironment(
    LIVEKIT_URL="ws://127.0.0.1:9", LIVEKIT_API_KEY="clinic", LIVEKIT_API_SECRET="s" * 40
)


class Pool:
    """How many waiting processes the server is to have, as livekit-agents' pool takes it."""

    def __init__(self, processes: int) -> None:
        self.wanted = processes

        self.processes: list[object] = []

    def set_target_idle_processes(self, processes: int) -> None:
        self.wanted = processes


def wanted_after(*pauses: float, processes: int = 10) -> int:
    """How many are wanted when a call has come and so many seconds have passed, once for each pause."""

    async def calls() -> int:
        pool = Pool(processes)
        standby = Standby(cast(AgentServer, SimpleNamespace(_proc_pool=pool)), processes=processes)
        for pause in pauses:
            standby.a_call_comes()
            await asyncio.sleep(pause)
        return pool.wanted

    return run_simulated(calls)


def test_while_calls_come_in_only_a_reserve_is_made_anew() -> None:
    assert wanted_after(*[0.1] * 20) == 2
    assert wanted_after(*[CALM_SECONDS * 0.9] * 3) == 2


def test_once_no_more_calls_come_all_are() -> None:
    assert wanted_after(*[0.1] * 20, CALM_SECONDS * 1.1) == 10


def test_somebody_always_waits() -> None:
    assert wanted_after(0.1, processes=1) == 1


def test_the_worker_tells_it_of_each_call_that_is_offered() -> None:
    async def call() -> tuple[int, list[str]]:
        pool, taken = Pool(10), []
        server = make_server(LIVEKIT, WorkerEnvironment(WORKER_WARM=10))
        server._proc_pool = cast(Any, pool)

        async def accept(**_: object) -> None:
            taken.append("accepted")

        assert server._request_fnc
        await server._request_fnc(cast(JobRequest, SimpleNamespace(id="AJ_1", accept=accept)))
        return pool.wanted, taken

    assert run_simulated(call) == (2, ["accepted"])
