"""Whether a caller is in a LiveKit room still, where connections break and are made again.

livekit-server lets go of a participant whose connection it cannot resume, and soon has the same one again: after an
outage of its Redis, on a mobile network between two cells. Where our own connection is made again, all others seem to
leave and to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from livekit import rtc

RETURNS_SECONDS = 10.0
"""How long a caller whose connection broke is waited for."""

BROKE = (
    None,
    rtc.DisconnectReason.UNKNOWN_REASON,
    rtc.DisconnectReason.DUPLICATE_IDENTITY,
    rtc.DisconnectReason.SERVER_SHUTDOWN,
    rtc.DisconnectReason.STATE_MISMATCH,
    rtc.DisconnectReason.JOIN_FAILURE,
    rtc.DisconnectReason.MIGRATION,
    rtc.DisconnectReason.SIGNAL_CLOSE,
    rtc.DisconnectReason.CONNECTION_TIMEOUT,
    rtc.DisconnectReason.MEDIA_FAILURE,
)
"""Why a participant may be gone without having meant it. Whoever hangs up says so."""


class CallerPresence:
    """Calls `left` when the participant `identity` of `room` hangs up, or broke off and does not come back.

    Each time: whoever came back may leave again. Call `close()` at the end.
    """

    def __init__(self, room: rtc.Room, identity: str, left: Callable[[], None]) -> None:
        self._room = room
        self._identity = identity
        self._left = left
        self._waiting: asyncio.TimerHandle | None = None
        room.on("participant_disconnected", self._gone)
        room.on("participant_connected", self._came)
        room.on("reconnected", self._look)

    def close(self) -> None:
        """Wait for nobody any more."""
        self._stop_waiting()
        self._room.off("participant_disconnected", self._gone)
        self._room.off("participant_connected", self._came)
        self._room.off("reconnected", self._look)

    def _gone(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != self._identity:
            return
        if self._room.connection_state == rtc.ConnectionState.CONN_RECONNECTING:
            # It is we who are not there.
            return
        if participant.disconnect_reason in BROKE:
            self._wait()
        else:
            self._stop_waiting()
            self._left()

    def _came(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._identity:
            self._stop_waiting()

    def _look(self) -> None:
        if self._identity not in self._room.remote_participants:
            self._wait()

    def _wait(self) -> None:
        self._stop_waiting()
        self._waiting = asyncio.get_running_loop().call_later(RETURNS_SECONDS, self._left)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
