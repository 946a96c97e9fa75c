"""Tells open admin pages that something changed. Messages say only that: no patient data travels here."""

from __future__ import annotations

import asyncio
import logging

from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

OFFICE = "office"
"""The group that every open admin page belongs to."""


class _WebLoop:
    """The event loop that serves the sockets of this process, once a socket was opened."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

    def remember(self) -> None:
        """Called on that loop when a socket opens."""
        self.loop = asyncio.get_running_loop()

    def current(self) -> asyncio.AbstractEventLoop | None:
        return self.loop if self.loop is not None and self.loop.is_running() else None


web_loop = _WebLoop()


def office_changed(*, new_requests: int = 0, urgent: bool = False) -> None:
    """Let open admin pages look again; with `new_requests`, they also say so. Never waits for a page.

    Call it on commit, so that a page that looks again sees what changed. Without Redis pages of other processes are
    not told; a warning in the log says so.
    """
    layer = get_channel_layer()
    if layer is None:
        return
    message = {"type": "office.changed", "new_requests": new_requests, "urgent": urgent}
    loop = web_loop.current()
    if loop is not None:
        # The in-memory layer wakes its readers only from their own loop; from another they hear late.
        asyncio.run_coroutine_threadsafe(layer.group_send(OFFICE, message), loop)
    elif not isinstance(layer, InMemoryChannelLayer):
        try:
            async_to_sync(layer.group_send)(OFFICE, message)
        except (RedisError, OSError) as error:
            log.warning(
                "Open pages were not told of a change: Redis does not answer (%s).", type(error).__name__
            )
