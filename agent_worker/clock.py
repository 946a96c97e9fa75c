"""One call's clock: the clinic's time of day and the seconds since the answer, both from the event loop's time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class CallClock:
    """Starts when the call is answered. Real on a real loop, simulated on a simulated one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answered_at: datetime) -> None:
        self._loop = loop
        self._zero = loop.time()
        self._answered_at = answered_at.astimezone(UTC)
        self._zone = answered_at.tzinfo

    def elapsed(self) -> float:
        """Seconds since the answer."""
        return self._loop.time() - self._zero

    def now(self) -> datetime:
        """The present moment, aware, in the zone of the answer."""
        # In UTC, because in a local zone the hour that comes twice in autumn would count twice.
        return (self._answered_at + timedelta(seconds=self.elapsed())).astimezone(self._zone)

    def monotonic(self) -> float:
        """The loop's time in seconds, for measuring intervals."""
        return self._loop.time()
