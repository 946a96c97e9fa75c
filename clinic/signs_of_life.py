"""Signs of life: that something was seen to work, and when, in the cache that all processes share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import cache
from django.utils import timezone

A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class SignOfLife:
    """One such sign, under its `name`, forgotten after `kept`, or never. Both methods raise where the cache fails."""

    name: str
    kept: timedelta | None = A_DAY

    def give(self) -> None:
        """It works, at this moment."""
        timeout = None if self.kept is None else self.kept.total_seconds()
        cache.set(self.name, timezone.now(), timeout=timeout)

    def last(self) -> datetime | None:
        """When it was last seen to work; None where nobody remembers."""
        return cache.get(self.name)
