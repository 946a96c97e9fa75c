"""Brings finished recordings of this machine into their storage: whoever has the file is the one who can."""

from __future__ import annotations

import asyncio
import logging

from django.db import Error as DatabaseError
from django.utils import timezone

from agent_worker.database import in_database
from phone.services import recordings_store_waiting

log = logging.getLogger(__name__)

EVERY_SECONDS = 30.0


async def store_recordings(every: float = EVERY_SECONDS) -> None:
    """Every so many seconds, store what is complete in this machine's folder. Runs until it is cancelled.

    Celery does the same on the machines that it runs on; both at once are harmless.
    """
    while True:
        await asyncio.sleep(every)
        try:
            await in_database(recordings_store_waiting, now=timezone.now())
        except (DatabaseError, OSError) as error:
            log.warning("recordings wait: %s", type(error).__name__)
