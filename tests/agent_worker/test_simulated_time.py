"""Simulated time: it jumps, it is always the same, and a call of a minute takes a blink."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from agent_worker.lines.simulated import read_script
from agent_worker.simulated_time import run_simulated
from agent_worker.simulation import simulate
from phone.publishing import LoadedPlan
from tests.phone.plans import a_plan, at

RUNS = 100
SCRIPT = "hear 1 hear 1 wait:3 wait:2 1 2 hear 2025550199# hear 1 hear hear"


def events_of_a_call() -> list[dict[str, object]]:
    """One call of more than a minute. What differs by nature, its id, is left out."""
    events: list[dict[str, object]] = []
    simulate(
        read_script(SCRIPT),
        loaded=LoadedPlan(1, 1, "+12025550100", 1, 1, a_plan()),
        caller="+12025550147",
        answered_at=at("2026-11-23 10:00"),
        dry_run=True,
        watch=events.append,
    )
    return [{name: value for name, value in event.items() if name != "id"} for event in events]


def test_the_same_call_has_the_same_events_in_the_same_order_a_hundred_times() -> None:
    took: list[float] = []
    first = events_of_a_call()
    for _ in range(RUNS):
        began = time.perf_counter()
        assert events_of_a_call() == first
        took.append(time.perf_counter() - began)

    assert first[-1]["duration"] >= 60
    assert sorted(took)[RUNS // 2] <= 0.5


def test_an_hour_of_sleep_takes_no_time() -> None:
    async def sleep() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.perf_counter()

    assert run_simulated(sleep) == 3600
    assert time.perf_counter() - began < 10


def test_what_is_due_earlier_happens_earlier() -> None:
    async def race() -> list[str]:
        happened: list[str] = []

        async def runner(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            happened.append(name)

        await asyncio.gather(runner("slow", 9), runner("fast", 1), runner("middle", 5))
        return happened

    assert run_simulated(race) == ["fast", "middle", "slow"]


def test_jobs_run_on_the_calling_thread_one_after_the_other_and_take_no_time() -> None:
    ran: list[tuple[int, int]] = []

    async def jobs() -> float:
        loop = asyncio.get_running_loop()

        def job(number: int) -> None:
            ran.append((number, threading.get_ident()))

        await asyncio.gather(*(loop.run_in_executor(None, job, number) for number in range(5)))
        return loop.time()

    assert run_simulated(jobs) == 0.0
    assert ran == [(number, threading.get_ident()) for number in range(5)]


def test_what_a_job_raises_reaches_whoever_waits_for_it() -> None:
    async def failing() -> None:
        await asyncio.get_running_loop().run_in_executor(None, int, "no number")

    with pytest.raises(ValueError, match="no number"):
        run_simulated(failing)


def test_nothing_is_left_running() -> None:
    cancelled: list[bool] = []

    async def forgets_a_task() -> None:
        async def forgotten() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(True)

        forgets_a_task.task = asyncio.create_task(forgotten())  # type: ignore[attr-defined]
        await asyncio.sleep(1)

    run_simulated(forgets_a_task)

    assert cancelled == [True]
    assert "simulated-call" not in [thread.name for thread in threading.enumerate()]
