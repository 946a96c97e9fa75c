"""What a browser needs for one call through the LiveKit server, and how often it may have that."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache

from phone.livekit_api import LiveKit
from phone.models import PhoneLine

LIFETIME = timedelta(minutes=5)
"""Until when a call may begin. Who is in the room by then stays in it."""

EMPTY_ROOM_SECONDS = 30
"""How long a room waits for its caller, who may never come."""

WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class RoomPass:
    """One call's way in: the server's WebSocket address, and the token for the call's own room."""

    server: str
    token: str


def allow_call(address: str) -> bool:
    """Whether this network address may begin one more call now; it is counted if so.

    The count is kept in the cache, for all web processes together, and starts anew each minute.
    """
    counter = f"phone-page-calls:{address}"
    cache.add(counter, 0, timeout=WINDOW_SECONDS)
    try:
        return cache.incr(counter) <= settings.PHONE_CALLS_PER_MINUTE
    except ValueError:  # The minute ended between the two.
        return True


def room_pass() -> RoomPass:
    """A pass to a room of its own, whose name begins as those of the line that a call from a page reaches."""
    line = PhoneLine.objects.filter(enabled=True).order_by("pk").first() or PhoneLine()
    name = secrets.token_urlsafe(16)
    token = LiveKit().browser_token(
        room=f"{line.room_prefix}browser-{name}",
        identity=f"browser_{name}",
        lifetime=LIFETIME,
        empty_seconds=EMPTY_ROOM_SECONDS,
    )
    return RoomPass(server=settings.LIVEKIT.browsers_server, token=token)
