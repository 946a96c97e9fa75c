"""What proves that background work is done: a task that does nothing but say so."""

from __future__ import annotations

from datetime import datetime

from celery import shared_task
from django.core.cache import cache
from django.utils import timezone

SIGN_OF_LIFE = "background-work"


@shared_task(name="clinic.tasks.sign_of_life")
def sign_of_life() -> None:
    """Remember that the schedule sent this task, and that a worker took it. Run it every 30 seconds."""
    cache.set(SIGN_OF_LIFE, timezone.now(), timeout=24 * 3600)


def last_sign_of_life() -> datetime | None:
    """When background work was last seen to be done; None where it was not for a day. Raises where the cache fails."""
    return cache.get(SIGN_OF_LIFE)
