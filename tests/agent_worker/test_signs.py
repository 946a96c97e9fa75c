"""A worker lets the office know that it takes calls, and says nothing while it takes none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.cache import cache

from agent_worker import signs
from clinic.signs_of_life import SignOfLife
from phone.signs import WORKER_READY


async def test_a_worker_gives_signs_of_life_from_when_it_takes_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "LOOK_SECONDS", 0.01)
    cache.clear()
    takes_calls, asked, given = False, asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> bool:
        asked.set()
        return takes_calls

    class Noticed(SignOfLife):
        def give(self) -> None:
            super().give()
            loop.call_soon_threadsafe(given.set)

    monkeypatch.setattr(signs, "WORKER_READY", Noticed(WORKER_READY.name))
    giving = asyncio.create_task(signs.give_signs_of_life(ask))
    await asked.wait()
    assert WORKER_READY.last() is None
    takes_calls = True
    await asyncio.wait_for(given.wait(), 5)
    assert WORKER_READY.last() is not None
    giving.cancel()


async def test_a_redis_that_is_away_does_not_end_the_signs(
    monkeypatch: pytest.MonkeyPatch, settings: Any, unused_tcp_port: int
) -> None:
    tried = asyncio.Event()

    def ask() -> bool:
        if tried.is_set():
            again.set()
        tried.set()
        return True

    again = asyncio.Event()
    monkeypatch.setattr(signs, "SIGNS_EVERY", signs.SIGNS_EVERY * 0)
    away = f"redis://127.0.0.1:{unused_tcp_port}/0"
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": away}
    }
    giving = asyncio.create_task(signs.give_signs_of_life(ask))
    await asyncio.wait_for(again.wait(), 5)
    giving.cancel()
