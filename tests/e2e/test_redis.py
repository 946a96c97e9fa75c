"""Redis goes away under calls, and comes back empty."""

from __future__ import annotations

import asyncio
from io import StringIO
from typing import Any

from django.core.management import call_command

from phone.livekit_settings import LiveKitEnvironment
from tests.e2e.conftest import Apart, Voice, at_the_menu, calls_on_record, in_database
from tests.e2e.telephone import Telephones


async def sync_lines() -> str:
    out = StringIO()
    await in_database(lambda: call_command("sync_lines", stdout=out, stderr=out))
    return out.getvalue()


async def test_a_call_goes_on_while_redis_restarts_and_later_ones_are_answered(
    voice: Voice, apart: Apart, telephones_apart: Telephones, settings: Any
) -> None:
    settings.LIVEKIT = LiveKitEnvironment(**apart.livekit.environment)
    worker = apart.start(WORKER_WARM=2, REDIS_URL=apart.redis.url)
    await asyncio.to_thread(worker.ready)
    assert "Done: make the trunk" in await sync_lines()
    caller = await at_the_menu(voice, telephones_apart)
    caller.begin()
    await asyncio.to_thread(apart.redis.stop)
    await caller.press("1")
    await caller.hears(await voice.saying("id_question"))
    caller.begin()
    await asyncio.to_thread(apart.redis.start)
    await caller.press("4821#1")
    await caller.hears(await voice.saying("receptionist_intro", seconds=1.0))
    await caller.hang_up()

    # What this Redis had is gone, trunks and rules too: the same command makes them again.
    assert "Done: make the trunk" in await sync_lines()
    assert "in step" in await sync_lines()
    later = await at_the_menu(voice, telephones_apart)
    await later.hang_up()
    assert [call.ended_in_step for call in await calls_on_record(2)] == ["receptionist", "menu"]


async def test_a_worker_without_its_redis_answers_calls_and_says_what_is_missing(
    voice: Voice, apart: Apart, telephones_apart: Telephones
) -> None:
    worker = apart.start(WORKER_WARM=1, REDIS_URL="redis://127.0.0.1:9/0")
    await asyncio.to_thread(worker.ready)
    caller = await at_the_menu(voice, telephones_apart)
    await caller.hang_up()
    (call,) = await calls_on_record()
    assert (call.outcome, call.ended_in_step) == ("caller_hung_up", "menu")
    assert "Redis does not answer" in worker.written()
    assert "Traceback" not in worker.written()
