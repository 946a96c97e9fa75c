"""A worker's signs of life, for the office's “Ready?” page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import redis

from phone.signs import SIGNS_EVERY, WORKER_READY

LOOK_SECONDS = 0.5
"""How often to look whether a worker that took no calls takes some now."""


async def give_signs_of_life(takes_calls: Callable[[], bool]) -> None:
    """Say so every `SIGNS_EVERY`, as long as this worker takes calls. Returns never."""
    while True:
        if not takes_calls():
            await asyncio.sleep(LOOK_SECONDS)
            continue
        # Redis may be away; the page says so by itself.
        with contextlib.suppress(redis.RedisError):
            await asyncio.to_thread(WORKER_READY.give)
        await asyncio.sleep(SIGNS_EVERY.total_seconds())
