"""Redis goes away under calls, and comes back empty."""

from __future__ import annotations

import asyncio
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from phone.livekit_settings import LiveKitEnvironment
from tests.e2e.conftest import Apart, Voice, at_the_menu, calls_on_record, in_database
from tests.e2e.telephone import Telephones

pytestmark = pytest.mark.long


async def sync_lines() -> str:
    out = StringIO()
    await in_database(lambda: call_command("sync_lines", stdout=out, stderr=out))
    return out.getvalue()


async def test_a_restart_of_redis_is_not_noticed_in_calls_and_later_ones_are_answered(
    voice: Voice, apart: Apart, telephones_apart: Telephones, settings: Any
) -> None:
    settings.LIVEKIT = LiveKitEnvironment(**apart.livekit.environment)
    worker = apart.start(WORKER_WARM=2, REDIS_URL=apart.redis.url)
    await asyncio.to_thread(worker.ready)
    assert "Done: make the trunk" in await sync_lines()
    callers = await asyncio.gather(
        *(at_the_menu(voice, telephones_apart, caller=f"+1555123010{number}") for number in range(2))
    )
    await asyncio.to_thread(apart.redis.stop)
    for caller in callers:
        caller.begin()
        await caller.press("1")
    question = await voice.saying("id_question")
    await asyncio.gather(*(caller.hears(question) for caller in callers))
    await asyncio.to_thread(apart.redis.start)
    for caller in callers:
        caller.begin()
        await caller.press("4821#1")
    receptionist = await voice.saying("receptionist_intro", seconds=1.0)
    await asyncio.gather(*(caller.hears(receptionist) for caller in callers))
    await asyncio.gather(*(caller.hang_up() for caller in callers))
    # What this Redis had is gone, trunks and rules too: the same command makes them again.
    assert "Done: make the trunk" in await sync_lines()
    assert "in step" in await sync_lines()
    later = await at_the_menu(voice, telephones_apart)
    await later.hang_up()
    calls = await calls_on_record(3)
    assert [call.ended_in_step for call in calls] == ["receptionist", "receptionist", "menu"]
    assert {call.outcome for call in calls} == {"caller_hung_up"}
    assert "Traceback" not in worker.written()
