"""Agents that are killed and callers whom nobody answers, on real servers: what the caller hears, what is on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from django.core.cache import cache
from django.utils import timezone

from phone import reconcile, wording
from phone.livekit_settings import LiveKitEnvironment
from phone.models import Call, CallEvent
from tests.e2e.conftest import NUMBER, Apart, Voice, calls_on_record, in_database
from tests.e2e.telephone import Telephone, Telephones
from tests.e2e.workers import Worker

LOOKS_EVERY_SECONDS = 1.0


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


def jobs_of(worker: Worker) -> list[psutil.Process]:
    """The job processes of `worker`: what its fork server made."""
    return [job for server in psutil.Process(worker.popen.pid).children() for job in server.children()]


async def at_the_menu(voice: Voice, telephones: Telephones) -> Telephone:
    caller = await telephones.dial(NUMBER)
    await caller.hears_voice(within=30)
    caller.begin()
    await caller.press("1")
    await hears_the_menu(voice, caller)
    return caller


async def hears_the_menu(voice: Voice, caller: Telephone, *, within: float = 15.0) -> None:
    menu = voice.plan.menu_at(datetime.now(UTC))
    await caller.hears(await voice.of(wording.menu_prompt(voice.plan, menu, "en", keys=True)), within=within)


@pytest.mark.usefixtures("patient")
async def test_a_caller_whose_agent_is_killed_hears_another_one_and_goes_on(
    voice: Voice, apart: Apart, telephones_apart: Telephones, settings: Any
) -> None:
    worker = await asyncio.to_thread(apart.start(WORKER_WARM=1).ready)
    caller = await at_the_menu(voice, telephones_apart)
    async with reconciling(apart, settings):
        caller.begin()
        for job in jobs_of(worker):
            job.kill()
        await caller.hears(await voice.saying("cut_off", seconds=1.0), within=60)
        await hears_the_menu(voice, caller)
        caller.begin()
        await caller.press("2")
        await caller.hears_voice(1.0)
        await caller.hang_up()
        (call,) = await calls_on_record()
    assert (call.outcome, call.epoch, call.consent, call.served) == (
        "caller_hung_up",
        2,
        "given",
        "information",
    )
    kinds = await in_database(lambda: list(CallEvent.objects.order_by("seq").values_list("kind", flat=True)))
    assert kinds.count("resumed") == kinds.count("call") == kinds.count("ended") == 1
    assert kinds[-1] == "ended"


async def test_a_caller_whose_agent_is_killed_and_for_whom_there_is_no_other_hears_the_line_close(
    voice: Voice, apart: Apart, telephones_apart: Telephones, settings: Any
) -> None:
    worker = await asyncio.to_thread(apart.start(WORKER_WARM=1).ready)
    caller = await at_the_menu(voice, telephones_apart)
    jobs = psutil.Process(worker.popen.pid).children(recursive=True)
    async with reconciling(apart, settings):
        worker.popen.kill()
        for job in jobs:
            job.kill()
        await caller.hears_the_line_close(within=30)
        (call,) = await calls_on_record()
    assert (call.outcome, call.ended_in_step, call.consent) == ("failed", "menu", "given")


@pytest.mark.usefixtures("patient")
async def test_an_agent_that_was_only_stuck_leaves_the_call_to_its_follower(
    voice: Voice, apart: Apart, telephones_apart: Telephones, settings: Any
) -> None:
    first = await asyncio.to_thread(apart.start(WORKER_WARM=1).ready)
    caller = await at_the_menu(voice, telephones_apart)
    stuck = jobs_of(first)
    await asyncio.to_thread(apart.start(WORKER_WARM=1).ready)
    # So that the other worker gets the next job.
    first.tell_to_stop()
    async with reconciling(apart, settings):
        caller.begin()
        for job in stuck:
            job.suspend()
        await caller.hears(await voice.saying("cut_off", seconds=1.0), within=60)
        for job in stuck:
            # The worker has put an end to those that had no call.
            with suppress(psutil.NoSuchProcess):
                job.resume()
        await hears_the_menu(voice, caller)
        caller.begin()
        await caller.press("2")
        await caller.hears_voice(3.0)
        await caller.hang_up()
        (call,) = await calls_on_record()
    assert (call.outcome, call.epoch, call.served) == ("caller_hung_up", 2, "information")


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
