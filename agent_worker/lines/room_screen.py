"""What a browser in the room shows of the call, and what its caller types: data packets under one topic.

Their words are those of the embedded line (`agent_worker.lines.browser`): `{"type": "event", "event": {…}}` to the
page, `{"type": "text", "text": "…"}` from it. static/phone/room_line.js is the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable

from livekit import rtc

from agent_worker.lines.browser import OFFICE_ONLY
from agent_worker.lines.browser_socket import (
    MAX_MESSAGE,
    MESSAGES_AT_ONCE,
    MESSAGES_PER_SECOND,
    BadMessage,
    TextMessage,
    parse,
)
from agent_worker.lines.limits import Allowance

TOPIC = "clinic-phone"

LAST_PACKET_SECONDS = 1.0
"""How long what was shown last may take to leave."""


class RoomScreen:
    """The screen and the keyboard of the participant `identity`."""

    def __init__(self, room: rtc.Room, identity: str) -> None:
        self._room = room
        self._identity = identity
        self._sending: set[asyncio.Task[None]] = set()
        self._allowance = Allowance(MESSAGES_AT_ONCE, per_second=MESSAGES_PER_SECOND)
        self._text_handler: Callable[[str], None] | None = None
        self._early_texts: list[str] = []
        room.on("data_received", self._received)

    def on_text(self, handler: Callable[[str], None]) -> None:
        """Call `handler` for each typed text, those sent before now included."""
        self._text_handler = handler
        early, self._early_texts = self._early_texts, []
        for text in early:
            handler(text)

    def show(self, event: dict[str, object]) -> None:
        """Put one call event on the caller's screen, unless it is the office's alone. Never waits, never raises."""
        if event.get("event") in OFFICE_ONLY:
            return
        message = json.dumps({"type": "event", "event": event}, ensure_ascii=False, separators=(",", ":"))
        # Tasks begin in the order in which they are made, and each hands over its packet before it first waits.
        sending = asyncio.create_task(self._send(message))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def flush(self) -> None:
        """Return when everything shown has left, or after `LAST_PACKET_SECONDS`."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=LAST_PACKET_SECONDS)

    async def _send(self, message: str) -> None:
        # A page that is gone sees nothing; the call learns of that by itself.
        with contextlib.suppress(rtc.participant.PublishDataError, asyncio.CancelledError):
            await self._room.local_participant.publish_data(
                message, reliable=True, topic=TOPIC, destination_identities=[self._identity]
            )

    def _received(self, packet: rtc.DataPacket) -> None:
        sender = packet.participant
        if packet.topic != TOPIC or sender is None or sender.identity != self._identity:
            return
        if not self._allowance.take() or len(packet.data) > MAX_MESSAGE:
            return
        with contextlib.suppress(BadMessage, UnicodeDecodeError):
            message = parse(packet.data.decode())
            if isinstance(message, TextMessage):
                self._typed(message.text)

    def _typed(self, text: str) -> None:
        if self._text_handler is None:
            self._early_texts.append(text)
        else:
            self._text_handler(text)
