"""What a browser needs for one call through the LiveKit server: a token for one room, and for little there."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from livekit.api import AccessToken, RoomAgentDispatch, RoomConfiguration, VideoGrants

from phone.livekit_settings import AGENT_NAME
from phone.models import PhoneLine

LIFETIME = timedelta(minutes=5)
"""Until when a call may begin. Who is in the room by then stays in it."""

EMPTY_ROOM_SECONDS = 30
"""How long a room waits for its caller, who may never come."""

DEPARTURE_SECONDS = 10
"""How long a room outlives the last of its participants."""

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
    """A pass to a room of its own, into which an agent is sent as the caller comes.

    It lets its holder join that room, publish a microphone and send keys; not read or change anything else.
    The room's name begins as those of the line that a call from a page reaches.
    """
    line = PhoneLine.objects.filter(enabled=True).order_by("id").first()
    prefix = line.room_prefix if line else PhoneLine._meta.get_field("room_prefix").default
    name = secrets.token_urlsafe(16)
    grants = VideoGrants(
        room_join=True,
        room=f"{prefix}browser-{name}",
        can_publish=True,
        can_publish_sources=["microphone"],
        can_publish_data=True,
        can_subscribe=True,
        can_update_own_metadata=False,
    )
    room = RoomConfiguration(
        agents=[RoomAgentDispatch(agent_name=AGENT_NAME)],
        empty_timeout=EMPTY_ROOM_SECONDS,
        departure_timeout=DEPARTURE_SECONDS,
    )
    token = (
        AccessToken(settings.LIVEKIT.api_key, settings.LIVEKIT.api_secret.get_secret_value())
        .with_identity(f"browser_{name}")
        .with_attributes({"sip.sendDtmf": "true"})
        .with_grants(grants)
        .with_room_config(room)
        .with_ttl(LIFETIME)
    )
    return RoomPass(server=settings.LIVEKIT.browsers_server, token=token.to_jwt())
