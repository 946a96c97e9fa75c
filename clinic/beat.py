"""The clock of background work, with one owner: of several `celery beat` the one that holds a lock in Redis.

The others stand by, and one of them takes over within `LOCK_SECONDS` of the owner's death. What is due is kept in
memory: every task of the schedule runs at least once a minute, and none minds running twice.
"""

from __future__ import annotations

import logging
from typing import Any

import redis
from celery.beat import Scheduler
from django.conf import settings
from redis.exceptions import LockError, LockNotOwnedError, RedisError
from redis.lock import Lock

log = logging.getLogger(__name__)

LOCK_SECONDS = 20.0
"""How long a lock outlives its owner."""

LOOK_AGAIN_SECONDS = 5.0
"""How often the owner renews the lock, and the others try for it."""

REDIS_ANSWER_SECONDS = 3.0


class OneOwnerScheduler(Scheduler):
    """Celery's own scheduler, which sends tasks only while it holds the lock."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        client = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=REDIS_ANSWER_SECONDS,
            socket_connect_timeout=REDIS_ANSWER_SECONDS,
        )
        self._lock = Lock(client, "clinic:beat", timeout=LOCK_SECONDS, thread_local=False)
        kwargs["max_interval"] = LOOK_AGAIN_SECONDS
        super().__init__(*args, **kwargs)

    def tick(self, **kwargs: Any) -> float:
        """Send what is due, if the lock is ours; seconds until the next look."""
        try:
            owner = self._owns_lock()
        except RedisError as error:
            log.warning("The schedule waits for Redis (%s).", type(error).__name__)
            owner = False
        return float(super().tick(**kwargs)) if owner else LOOK_AGAIN_SECONDS

    def _owns_lock(self) -> bool:
        if self._lock.local.token is not None:
            try:
                return bool(self._lock.reacquire())
            except LockNotOwnedError:
                self._lock.local.token = None
                log.warning("Another process keeps the schedule now.")
        if self._lock.acquire(blocking=False):
            log.info("This process keeps the schedule.")
            return True
        return False

    def close(self) -> None:
        """Hand the lock on at once: the others need not wait until it runs out."""
        try:
            if self._lock.local.token is not None:
                self._lock.release()
        except (LockError, RedisError):
            log.debug("The schedule's lock was gone already.")
        super().close()
