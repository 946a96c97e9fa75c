"""What a caller hears who waits: a ringing tone, or quiet tones. Made once, and paced by the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import cache

import numpy as np
from livekit import rtc

from agent_worker.pcm import SAMPLE_RATE, frames, silence

FRAME_SECONDS = 0.2
AHEAD_SECONDS = 0.4
"""So much is handed over before its time: a loop that is busy for a moment leaves no gap."""

LOUDEST = 32_767
FADE_SECONDS = 0.02

RINGING = (((440.0, 480.0), 2.0), ((), 4.0))
"""The ringing tone of North America: 440 and 480 Hz, two seconds on and four off (ITU-T E.180, supplement 2)."""

QUIET = (((392.0,), 0.6), ((523.25,), 1.2), ((), 3.2))
"""Two soft tones every five seconds: the line is alive."""

Pattern = Sequence[tuple[tuple[float, ...], float]]


async def ringing() -> AsyncIterator[rtc.AudioFrame]:
    """A telephone that rings, without end."""
    async for frame in _repeated(_made(RINGING, 0.06)):
        yield frame


async def quiet() -> AsyncIterator[rtc.AudioFrame]:
    """Quiet tones, without end."""
    async for frame in _repeated(_made(QUIET, 0.04)):
        yield frame


async def _repeated(pcm: bytes) -> AsyncIterator[rtc.AudioFrame]:
    loop = asyncio.get_running_loop()
    due = loop.time() - AHEAD_SECONDS
    while True:
        for frame in frames(pcm, FRAME_SECONDS):
            await asyncio.sleep(max(0.0, due - loop.time()))
            yield frame
            due += frame.duration


@cache
def _made(pattern: Pattern, volume: float) -> bytes:
    """The samples of one round. `volume` is a part of the loudest, for each of a tone's frequencies."""
    return b"".join(_tone(frequencies, seconds, volume) for frequencies, seconds in pattern)


def _tone(frequencies: tuple[float, ...], seconds: float, volume: float) -> bytes:
    if not frequencies:
        return silence(seconds)
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = np.sum([np.sin(2 * np.pi * frequency * at) for frequency in frequencies], axis=0)
    # Without a fade, each tone would begin and end with a click.
    fade = np.clip(np.minimum(at, seconds - at) / FADE_SECONDS, 0.0, 1.0)
    return bytes((wave * fade * volume * LOUDEST).astype("<i2").tobytes())
