"""The embedded line: one call over one WebSocket from the phone page, in the web process.

The protocol. Text frames are JSON objects with a `type`; binary frames are mono 16 bit little-endian PCM.

| from the page | |
|---|---|
| `{"type": "key", "key": "1", "id": "…"}` | a key; `id` is the same when the press is sent again |
| `{"type": "text", "text": "…"}` | the caller typed in place of speaking, at most `MAX_TEXT` characters |
| `{"type": "mic", "on": true}` | the caller switched the microphone on or off |
| `{"type": "hangup"}` | the caller hung up |
| binary | 20 ms from the microphone, 640 bytes at 16 kHz or 960 at 24 kHz; only between `listen` on and off |

| to the page | |
|---|---|
| binary | 20 ms of prompt, 24 kHz, `pacing.LEAD` seconds before it is to be heard |
| `{"type": "clear"}` | drop all audio that was not played yet |
| `{"type": "listen", "on": true}` | the call wants the microphone, or no longer |
| `{"type": "event", "event": {…}}` | what happened, in the shape of `simulate_call --json` |
| `{"type": "state", "state": "in_call"}` | the line is up |
| `{"type": "state", "state": "ended", "reason": "…"}` | the call is over (or `busy`) with this outcome |

The socket is closed with 1000 after a call. A bad message closes its own socket and nothing else: 1003 for
an unknown type, 1007 for what is not as the table says, 1008 for too many messages, 1009 for one that is too
long. 1011 is a call that failed, 1013 too many calls from one address (RFC 6455 section 7.4.1, and IANA's
registry of close codes).
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from livekit import rtc
from livekit.agents.voice.io import AudioInput, AudioOutput

from agent_worker.lines.base import Bridge, Ear, KeyPress
from agent_worker.lines.pacing import FRAME_BYTES, SAMPLE_RATE, PacedAudio

Send = Callable[[dict[str, Any]], Awaitable[None]]
"""ASGI's `send`."""

MAX_TEXT = 500
MICROPHONE_RATES = {640: 16_000, FRAME_BYTES: SAMPLE_RATE}
"""Bytes in 20 ms of the microphone → samples a second."""

MICROPHONE_BACKLOG = 50
"""Frames kept for a step that is slow to listen: one second."""

SEND_BACKLOG = 500
"""Messages kept for a page that does not read: ten seconds. Beyond that the page is gone."""

OFFICE_ONLY = frozenset({"patient"})
"""Events that a caller must not learn from: whether an ID is known, or locked."""


class Outbox:
    """Everything that goes to one page, in order. Whoever puts something in never waits."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: deque[dict[str, Any]] = deque()
        self._filled = asyncio.Event()
        self._closed = False

    def audio(self, frame: bytes) -> None:
        self._put({"type": "websocket.send", "bytes": frame})

    def tell(self, message: dict[str, object]) -> None:
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        self._put({"type": "websocket.send", "text": text})

    def clear_audio(self) -> None:
        """Drop the audio that has not left yet, and tell the page to drop what it has."""
        self._messages = deque(message for message in self._messages if "bytes" not in message)
        self.tell({"type": "clear"})

    def close(self, code: int, reason: str = "") -> None:
        """Close the socket after what is in already. The first close counts."""
        self._put({"type": "websocket.close", "code": code, "reason": reason})
        self._closed = True

    def abandon(self) -> None:
        """Nobody reads any more: end `run()`, and take nothing in."""
        self._closed = True
        self._messages.clear()
        self._filled.set()

    async def run(self) -> None:
        """Send until the socket is closed from either end. Never raises for a page that is gone."""
        while self._messages or not self._closed:
            await self._filled.wait()
            self._filled.clear()
            while self._messages:
                try:
                    await self._send(self._messages.popleft())
                except (OSError, RuntimeError):
                    self.abandon()
                    return

    def _put(self, message: dict[str, Any]) -> None:
        if self._closed:
            return
        if len(self._messages) >= SEND_BACKLOG:
            self.abandon()
            return
        self._messages.append(message)
        self._filled.set()


class Microphone(AudioInput):
    """The caller's microphone, as an audio input. Frames come out only while the call listens."""

    def __init__(self) -> None:
        super().__init__(label="browser")
        self._frames: asyncio.Queue[rtc.AudioFrame | None] = asyncio.Queue()

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await self._frames.get()
        if frame is None:
            raise StopAsyncIteration
        return frame

    def put(self, pcm: bytes) -> None:
        """Take 20 ms of PCM in a rate of `MICROPHONE_RATES`; the oldest goes when nobody fetches it."""
        rate = MICROPHONE_RATES[len(pcm)]
        if self._frames.qsize() >= MICROPHONE_BACKLOG:
            self._frames.get_nowait()
        self._frames.put_nowait(rtc.AudioFrame(pcm, rate, 1, len(pcm) // 2))

    def close(self) -> None:
        """End the iteration after the frames that are in already."""
        self._frames.put_nowait(None)


class BrowserLine:
    """A `lines.base.Line` on a WebSocket. Nobody dialled a number: the call goes to the first line."""

    def __init__(self, send: Send) -> None:
        self.origin = "browser"
        self.caller = ""
        self.dialled = ""
        self.room = ""
        self.keys_forwarded = True
        self.has_sound = True
        self.outbox = Outbox(send)
        self._microphone = Microphone()
        self._speaker = PacedAudio(send=self.outbox.audio, clear=self.outbox.clear_audio)
        self.audio_input: AudioInput | None = self._microphone
        self.bridge: Bridge | None = None
        self.audio_output: AudioOutput = self._speaker
        self._key_handler: Callable[[KeyPress], None] | None = None
        self._text_handler: Callable[[str], None] | None = None
        self._hang_up_handler: Callable[[], None] | None = None
        self._early_keys: list[KeyPress] = []
        self._early_texts: list[str] = []
        self._gone = False
        self._closed = False
        self._listening = False
        self._receiving = False
        self._ear: Ear | None = None
        self._microphone_on = False
        self._outcome = ""

    # What the call does with the line

    @property
    def voice_on(self) -> bool:
        """Whether the page has switched its microphone on."""
        return self._microphone_on

    def on_key(self, handler: Callable[[KeyPress], None]) -> None:
        """Call `handler` for each key, those pressed before now included."""
        self._key_handler = handler
        early, self._early_keys = self._early_keys, []
        for press in early:
            handler(press)

    def on_text(self, handler: Callable[[str], None]) -> None:
        """Call `handler` for each typed text, those sent before now included."""
        self._text_handler = handler
        early, self._early_texts = self._early_texts, []
        for text in early:
            handler(text)

    def on_hang_up(self, handler: Callable[[], None]) -> None:
        """Call `handler` once when the caller is gone; soon, when that has happened already."""
        self._hang_up_handler = handler
        if self._gone:
            asyncio.get_running_loop().call_soon(handler)

    def show(self, event: dict[str, object]) -> None:
        """Put one call event on the caller's screen, unless it is the office's alone."""
        if event.get("event") in OFFICE_ONLY:
            return
        if event.get("event") == "ended":
            self._outcome = str(event.get("outcome", ""))
        self.outbox.tell({"type": "event", "event": event})

    def listen(self, wanted: bool) -> None:
        """Ask the page for the microphone, or tell it to stop. Unasked audio is thrown away unread."""
        self._listening = wanted
        self._receive()

    def record(self, ear: Ear | None) -> None:
        """Let `ear` hear both sides."""
        self._ear = self._speaker.ear = ear
        self._receive()

    async def opened(self) -> None:
        """A socket is open from the start."""

    async def hang_up(self) -> None:
        """Let queued audio play out, then close the socket with 1000. Harmless when it is closed already."""
        if not self._gone:
            await self._speaker.drain()
            self._gone = True
            self._microphone.close()
        self.close(1000)

    def _receive(self) -> None:
        wanted = self._listening or self._ear is not None
        if wanted != self._receiving:
            self._receiving = wanted
            self.outbox.tell({"type": "listen", "on": wanted})

    # What happens on the socket

    def open(self) -> None:
        """Tell the page that it is through."""
        self.outbox.tell({"type": "state", "state": "in_call"})

    def pressed(self, press: KeyPress) -> None:
        if self._key_handler is None:
            self._early_keys.append(press)
        else:
            self._key_handler(press)

    def typed(self, text: str) -> None:
        if self._text_handler is None:
            self._early_texts.append(text)
        else:
            self._text_handler(text)

    def switch_microphone(self, on: bool) -> None:
        self._microphone_on = on

    def heard(self, pcm: bytes) -> None:
        """Take one microphone frame of a length in `MICROPHONE_RATES`."""
        if not self._microphone_on:
            return
        if self._ear is not None:
            self._ear.caller_said(pcm, MICROPHONE_RATES[len(pcm)])
        if self._listening:
            self._microphone.put(pcm)

    def caller_gone(self) -> None:
        """The caller hung up, closed the page, or lost the connection. Only the first time counts."""
        if self._gone:
            return
        self._gone = True
        if self._hang_up_handler is not None:
            self._hang_up_handler()
        self._speaker.close()
        self._microphone.close()

    def close(self, code: int, reason: str = "") -> None:
        """Close the socket; with 1000, say how the call ended first. Only the first time counts."""
        if self._closed:
            return
        self._closed = True
        if code == 1000:
            state = "busy" if self._outcome == "busy" else "ended"
            self.outbox.tell({"type": "state", "state": state, "reason": self._outcome})
        self.outbox.close(code, reason)
