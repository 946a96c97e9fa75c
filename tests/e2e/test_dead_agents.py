"""Agents that are killed and callers whom nobody answers, on real servers: what the caller hears, what is on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.cache import cache
from django.utils import timezone

from phone import reconcile
from phone.livekit_settings import LiveKitEnvironment
from phone.models import Call, CallEvent
from tests.e2e.conftest import (
    NUMBER,
    Apart,
    Voice,
    at_the_menu,
    calls_on_record,
    hears_the_menu,
    in_database,
    servers_apart,
    until,
)
from tests.e2e.telephone import Telephone, Telephones
from tests.e2e.workers import Worker

pytestmark = pytest.mark.long

LOOKS_EVERY_SECONDS = 3.0
"""As CELERY_BEAT_SCHEDULE has it."""


@pytest.fixture(scope="module")
def apart(data: Path, tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Apart]:
    with servers_apart(data, tmp_path_factory.mktemp("dead_agents")) as apart:
        yield apart


@pytest.fixture(scope="module")
def worker(apart: Apart) -> Worker:
    """One for all these tests; at most one of its processes waits for a call."""
    return apart.start(WORKER_WARM=1).ready()


async def next_agent(worker: Worker) -> psutil.Process:
    """The process that gets the next call: the only one that there is."""

    async def only() -> psutil.Process | None:
        jobs = await asyncio.to_thread(lambda: worker.jobs)
        return jobs[0] if len(jobs) == 1 else None

    return await until(only, seconds=30)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy with other tests may take longer to start a process."""
    monkeypatch.setattr(reconcile, "FOLLOWER_COMES", timedelta(seconds=60))


@asynccontextmanager
async def reconciling(apart: Apart, settings: Any) -> AsyncIterator[None]:
    """What Celery does every few seconds, and has done for a while."""
    settings.LIVEKIT = LiveKitEnvironment(**apart.livekit.environment)
    now = timezone.now()
    cache.set(reconcile.WATCHED, (now - timedelta(minutes=1), now))

    async def look() -> None:
        while True:
            await in_database(lambda: reconcile.reconcile(now=timezone.now()))
            await asyncio.sleep(LOOKS_EVERY_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def keeps_listening_to_the_menu(voice: Voice, caller: Telephone, *, until: asyncio.Event) -> None:
    """Have the menu repeated, hearing it whole each time and without a gap, at least once and until then."""
    menu = await voice.menu()
    while True:
        caller.begin()
        await caller.press("*")
        await caller.hears_without_a_gap(menu)
        if until.is_set():
            return


async def test_a_caller_to_whom_no_agent_comes_is_a_missed_call(
    demo: None, apart: Apart, telephones_apart: Telephones, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "RINGING", timedelta(seconds=3))
    caller = await telephones_apart.dial(NUMBER, caller="+12025550188")
    async with reconciling(apart, settings):
        await caller.hears_the_line_close(within=15)
        (call,) = await calls_on_record()
    assert (call.outcome, str(call.caller_number)) == ("missed", "+12025550188")
    assert await in_database(lambda: str(Call.objects.get().line.number)) == NUMBER


@pytest.mark.usefixtures("patient")
async def test_a_caller_whose_agent_is_killed_hears_another_one_and_the_others_hear_no_gap(
    voice: Voice, apart: Apart, worker: Worker, telephones_apart: Telephones, settings: Any
) -> None:
    agent = await next_agent(worker)
    caller = await at_the_menu(voice, telephones_apart)
    others = await asyncio.gather(
        *(at_the_menu(voice, telephones_apart, caller=f"+1555123010{number}") for number in range(2))
    )
    goes_on = asyncio.Event()
    async with reconciling(apart, settings), asyncio.TaskGroup() as listening:
        for other in others:
            listening.create_task(keeps_listening_to_the_menu(voice, other, until=goes_on))
        caller.begin()
        agent.kill()
        await caller.hears(await voice.saying("cut_off", seconds=1.0), within=60)
        await hears_the_menu(voice, caller)
        caller.begin()
        await caller.press("2")
        await caller.hears_voice(1.0)
        await caller.hang_up()
        (call,) = await calls_on_record()
        goes_on.set()
    assert (call.outcome, call.epoch, call.consent, call.served) == (
        "caller_hung_up",
        2,
        "given",
        "information",
    )
    events = CallEvent.objects.filter(call=call.pk).order_by("seq")
    kinds = await in_database(lambda: list(events.values_list("kind", flat=True)))
    assert kinds.count("resumed") == kinds.count("call") == kinds.count("ended") == 1
    assert kinds[-1] == "ended"


@pytest.mark.usefixtures("patient")
async def test_an_agent_that_was_only_stuck_leaves_the_call_to_its_follower(
    voice: Voice, apart: Apart, worker: Worker, telephones_apart: Telephones, settings: Any
) -> None:
    agent = await next_agent(worker)
    caller = await at_the_menu(voice, telephones_apart)
    async with reconciling(apart, settings):
        caller.begin()
        agent.suspend()
        await caller.hears(await voice.saying("cut_off", seconds=1.0), within=60)
        agent.resume()
        await hears_the_menu(voice, caller)
        caller.begin()
        await caller.press("2")
        await caller.hears_voice(3.0)
        await caller.hang_up()
        (call,) = await calls_on_record()
    assert (call.outcome, call.epoch, call.served) == ("caller_hung_up", 2, "information")


async def test_a_caller_whose_agent_is_killed_and_for_whom_there_is_no_other_hears_the_line_close(
    voice: Voice, apart: Apart, worker: Worker, telephones_apart: Telephones, settings: Any
) -> None:
    caller = await at_the_menu(voice, telephones_apart)
    jobs = worker.jobs
    async with reconciling(apart, settings):
        for job in jobs:
            job.suspend()
        worker.die()
        for job in jobs:
            job.kill()
        await caller.hears_the_line_close(within=30)
        (call,) = await calls_on_record()
    assert (call.outcome, call.ended_in_step, call.consent) == ("failed", "menu", "given")
