"""A call's clock: right also in the nights in which clocks change."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agent_worker.clock import CallClock
from agent_worker.simulated_time import run_simulated
from tests.phone.plans import NEW_YORK


@pytest.mark.parametrize(
    ("answered", "later"),
    [
        (datetime(2026, 11, 1, 1, 59, 50), "01:00:10-0500"),
        (datetime(2026, 11, 1, 1, 59, 50, fold=1), "02:00:10-0500"),
        (datetime(2026, 3, 8, 1, 59, 50), "03:00:10-0400"),
    ],
)
def test_twenty_seconds_are_twenty_seconds_while_clocks_change(answered: datetime, later: str) -> None:
    start = answered.replace(tzinfo=NEW_YORK)

    async def call() -> datetime:
        clock = CallClock(asyncio.get_running_loop(), start)
        await asyncio.sleep(20)
        return clock.now()

    now = run_simulated(call)

    assert now.astimezone(UTC) - start.astimezone(UTC) == timedelta(seconds=20)
    assert f"{now:%H:%M:%S%z}" == later
