"""Signs of life of the workers. Callers who find none ring until they give up, and livekit-server names no workers."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.cache import cache
from django.utils import timezone

SIGNS_EVERY = timedelta(seconds=20)
"""How often a worker that livekit-server can reach says so."""

WORKER = "worker-ready"


def worker_is_ready() -> None:
    """Remember that a worker can be offered calls now. Raises where the cache fails."""
    cache.set(WORKER, timezone.now(), timeout=24 * 3600)


def last_ready_worker() -> datetime | None:
    """When a worker was last ready for calls; None where none was for a day. Raises where the cache fails."""
    return cache.get(WORKER)
