"""Where one call's audio and keys come from, as the call sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from livekit import rtc
from livekit.agents.voice.io import AudioInput, AudioOutput

from phone.livekit_api import CallAnswer


@dataclass(frozen=True, slots=True)
class KeyPress:
    """One key as the line delivered it.

    `key` is one of the sixteen DTMF keys (anything else is dropped by the listener). `id` tells a repeated
    delivery of the same press from a second press; None where the line delivers exactly once.
    """

    key: str
    id: str | None = None


class Ear(Protocol):
    """Whoever records what is said on a line. Its methods are called on the event loop and must not block."""

    def caller_said(self, pcm: bytes, rate: int) -> None:
        """The caller's voice has just come: 16 bit samples, one channel, `rate` a second."""

    def clinic_says(self, pcm: bytes, at: float) -> None:
        """The caller will hear this at loop time `at`: as above, 24,000 samples a second."""

    def cut(self, at: float) -> None:
        """What was to be heard from loop time `at` on is not heard after all."""


class Person(Protocol):
    """Somebody who is rung for a caller. Until they are joined, neither of the two hears the other."""

    joined: bool

    async def ring(self) -> CallAnswer:
        """Ring until they answer or will not. Raises LiveKitError."""

    async def hear(self, audio: AsyncIterator[rtc.AudioFrame]) -> None:
        """Say this to the person alone; returns when it was heard. Cancelled, it falls silent."""

    def on_key(self, handler: Callable[[str], None]) -> None:
        """Call `handler` for each key that the person presses."""

    def on_hang_up(self, handler: Callable[[], None]) -> None:
        """Call `handler` once when the person is gone; at once, when that has happened already."""

    async def join(self) -> None:
        """Let the two hear each other; the call is theirs then, and hanging up the line leaves it to them.

        Raises LiveKitError; then they do not hear each other.
        """

    async def send_away(self) -> None:
        """Hang up on the person, also while their telephone rings. Never raises."""


class Bridge(Protocol):
    """The way from a caller's line to other telephones. Numbers are E.164."""

    async def refer(self, number: str, *, ring_seconds: int) -> CallAnswer:
        """Hand the caller over to `number`; the line goes on unless that was accepted. Raises LiveKitError."""

    def fetch(self, number: str, *, trunk_id: str, ring_seconds: int) -> Person:
        """Somebody at `number`, to be rung through this trunk."""


class Line(Protocol):
    """One call's connection to its caller.

    `caller` and `dialled` are E.164, or empty when withheld or unknown. `keys_forwarded` is False where the
    line cannot carry keys: then nobody is told to press one. `room` is the LiveKit room's name, empty on other
    lines. `has_sound` is False where nothing can be heard of the caller, so that there is nothing to record.
    Handlers are set once, before the call begins,
    and are called on the event loop; they must not block.
    """

    origin: str
    caller: str
    dialled: str
    room: str
    keys_forwarded: bool
    has_sound: bool
    audio_input: AudioInput | None
    audio_output: AudioOutput

    @property
    def bridge(self) -> Bridge | None:
        """The way to other telephones; None where a caller cannot be put through to one."""

    @property
    def voice_on(self) -> bool:
        """Whether the caller's voice could be heard now: not from a page whose microphone is off."""

    def on_key(self, handler: Callable[[KeyPress], None]) -> None:
        """Call `handler` for each key the caller presses, from now to the end of the call."""

    def on_text(self, handler: Callable[[str], None]) -> None:
        """Call `handler` for each text the caller types in place of speech."""

    def on_hang_up(self, handler: Callable[[], None]) -> None:
        """Call `handler` once when the caller is gone, however that happened."""

    def show(self, event: dict[str, object]) -> None:
        """Show one call event (the shape of `simulate_call --json`) to the caller, where the line has a screen."""

    def listen(self, wanted: bool) -> None:
        """Begin or stop handing on the caller's audio to `audio_input`.

        The caller's audio is received while a step listens or a recording runs, and at no other time.
        """

    def record(self, ear: Ear | None) -> None:
        """Let `ear` hear both sides from now on, whether a step listens or not; None: nobody any more."""

    async def opened(self) -> None:
        """Return when the caller can hear what is said, or after as long as one may wait for that."""

    async def hang_up(self) -> None:
        """Let queued audio play out, then close the line. Harmless when it is closed already."""
