"""Plays prompt audio in real time on a line that has no clock of its own, and empties it at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from livekit import rtc
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

from agent_worker.lines.base import Ear

SAMPLE_RATE = 24_000
"""Samples a second on the line, one channel, 16 bit little-endian."""

FRAME_SECONDS = 0.02
FRAME_BYTES = int(SAMPLE_RATE * FRAME_SECONDS) * 2

LEAD = 0.1
"""Seconds of audio sent ahead of time. The caller's player rides out a late frame with it, and a first frame
needs no other buffering."""


class PacedAudio(AudioOutput):
    """An audio sink that hands out frames at the pace at which they are heard.

    livekit-agents pushes a whole prompt at once and ends it with `flush()`; `clear_buffer()` silences it.
    Frames go out through `send`, `lead` seconds early; `clear` tells the far end to drop what it has not
    played yet. Each is a whole number of `FRAME_SECONDS` long, and at most `longest_frame` seconds: shorter only
    where no more is there yet. All timing is `loop.time()`. Call `close()` when the line is gone: from then on
    what is pushed counts as cut.
    """

    def __init__(
        self,
        *,
        send: Callable[[bytes], None],
        clear: Callable[[], None],
        longest_frame: float = FRAME_SECONDS,
        lead: float = LEAD,
    ) -> None:
        super().__init__(
            label="paced", capabilities=AudioOutputCapabilities(pause=False), sample_rate=SAMPLE_RATE
        )
        self._send = send
        self._clear = clear
        self._most_bytes = round(longest_frame / FRAME_SECONDS) * FRAME_BYTES
        self._lead = lead
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._plays_at = 0.0
        """When the next frame to be sent will be heard."""
        self._sent_seconds = 0.0
        self._open = False
        """A segment was begun and its end not yet reported."""
        self._complete = False
        """The open segment was flushed: no more of it will come."""
        self._dropping = False
        """The segment was cut before it was flushed: the rest of it is thrown away."""
        self._closed = False
        self.ear: Ear | None = None
        """Who hears what the caller hears."""

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Take audio of any length; it is heard when its turn has come."""
        if self._open and self._complete:
            await self.wait_for_playout()
        await super().capture_frame(frame)
        if self._dropping:
            return
        if not self._open:
            self._open, self._complete, self._sent_seconds = True, False, 0.0
        if self._closed:
            self._end(interrupted=True)
            return
        piece = frame.data.cast("B")
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._timer is None:
            self._pump()

    def flush(self) -> None:
        """Mark the segment as whole: its end is reported when the last frame was heard."""
        super().flush()
        if self._dropping:
            self._dropping = False
        elif self._open and not self._complete:
            self._complete = True
            if self._timer is None:
                self._pump()

    def clear_buffer(self) -> None:
        """Silence the line now, and report how much of the segment was heard."""
        if self._open:
            self._clear()
            self._end(interrupted=True)

    def close(self) -> None:
        """The line is gone: end what plays, and never wait for playout again."""
        self._closed = True
        if self._open:
            self._end(interrupted=True)

    async def drain(self) -> None:
        """Wait until everything that was pushed has been heard."""
        if not self._open:
            return
        left = self._plays_at - self._loop.time() + self._waiting_bytes / (SAMPLE_RATE * 2)
        try:
            await asyncio.wait_for(self.wait_for_playout(), left + 1.0)
        except TimeoutError:
            self.clear_buffer()

    def _pump(self) -> None:
        """Send every frame that is due, and come back when the next one is."""
        self._timer = None
        now = self._loop.time()
        # Behind the clock only at the begin of a segment, or when the far end has run dry.
        self._plays_at = max(self._plays_at, now)
        while self._frame_ready() and self._plays_at - self._lead <= now:
            first = self._sent_seconds == 0.0
            frame = self._cut_frame()
            self._send(frame)
            if self.ear is not None:
                self.ear.clinic_says(frame, self._plays_at)
            seconds = len(frame) / (SAMPLE_RATE * 2)
            self._sent_seconds += seconds
            self._plays_at += seconds
            if first:
                self.on_playback_started(created_at=time.time())
        if self._frame_ready():
            self._timer = self._loop.call_at(self._plays_at - self._lead, self._pump)
        elif self._complete:
            self._timer = self._loop.call_at(self._plays_at, self._end)

    def _frame_ready(self) -> bool:
        return self._waiting_bytes >= FRAME_BYTES or (self._complete and self._waiting_bytes > 0)

    def _cut_frame(self) -> bytes:
        """Take the next frame off the queue; the last frame of a segment is filled up with silence."""
        whole = self._waiting_bytes // FRAME_BYTES * FRAME_BYTES
        length = min(whole or FRAME_BYTES, self._most_bytes)
        frame = bytearray()
        while self._pieces and len(frame) < length:
            piece = self._pieces.popleft()
            wanted = length - len(frame)
            frame += piece[:wanted]
            if len(piece) > wanted:
                self._pieces.appendleft(piece[wanted:])
        self._waiting_bytes -= len(frame)
        return bytes(frame.ljust(length, b"\0"))

    def _end(self, *, interrupted: bool = False) -> None:
        """Report the end of the open segment."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        unheard = max(0.0, self._plays_at - now) if interrupted else 0.0
        if interrupted:
            self._plays_at = now
            if self.ear is not None:
                self.ear.cut(now)
        self._pieces.clear()
        self._waiting_bytes = 0
        self._open = False
        self._dropping = not self._complete
        self.on_playback_finished(
            playback_position=max(0.0, self._sent_seconds - unheard), interrupted=interrupted
        )
