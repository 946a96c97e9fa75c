"""An ear that knows when a prompt began to be heard, to the frame.

The next prompt often follows the old one within milliseconds, and speech has pauses of its own: neither silence nor
loudness tells the two apart. So the ear knows how each prompt begins, as samples, and looks for that waveform in what
it has received since the key (normalised cross-correlation). Opus keeps the waveform: a beginning is found with a
correlation of 0.95 and more. WebRTC's jitter buffer stretches one in twenty, which then has 0.7 to 0.9, or less, and a
time that may be 50 ms off; the rest of the old prompt stays below 0.6. So either half of the beginning will do: what
follows it can be like it, as each option of a menu begins alike. The time is when the 10 ms frame with the prompt's
first audible sample had come out of the jitter buffer: what a person hears, but for the sound card. Silence in front
of that sample counts as waiting, for it is.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
from livekit import rtc

from tests.e2e.telephone import AUDIBLE, FRAME_SECONDS, Ear

RATE = 16_000
FRAME = int(RATE * FRAME_SECONDS)
BEGINNING_SECONDS = 0.25
PARTS = 2
SETTLED_SECONDS = 0.05
"""So much must be heard after a beginning: speech is like itself a pitch period earlier, and a little later the best
match is certain."""

LIKE = 0.65
LOOK_EVERY = 0.1
TOGETHER = 10
"""Frames that are fetched at once, which saves the callers' process work. Their times are reckoned from the last."""


Samples = np.ndarray[Any, np.dtype[np.float32]]


def beginning(sound: bytes, rate: int) -> Samples:
    """The first audible quarter of a second of `sound` (16 bit PCM, one channel), as the ear will hear it."""
    resampler = rtc.AudioResampler(rate, RATE)
    pieces = [*resampler.push(bytearray(sound)), *resampler.flush()]
    heard = np.concatenate([np.frombuffer(piece.data, dtype=np.int16) for piece in pieces]).astype(np.float32)
    audible = next(
        start
        for start in range(0, len(heard), FRAME)
        if np.sqrt((heard[start : start + FRAME] ** 2).mean()) > AUDIBLE
    )
    return heard[audible : audible + int(RATE * BEGINNING_SECONDS)]


def keep(beginnings: dict[str, Samples], file: Path) -> None:
    """Write them to `file`, for the process of the callers."""
    np.savez(file, **beginnings)  # type: ignore[arg-type]


def kept(file: Path) -> dict[str, Samples]:
    """What `keep` wrote."""
    with np.load(file) as found:
        return {name: found[name] for name in found.files}


class KeenEar(Ear):
    """Keeps the samples that were heard since `forget`."""

    def __init__(self) -> None:
        super().__init__()
        self._samples: list[Samples] = []

    def forget(self) -> None:
        """Begin anew: what was heard before is not looked at."""
        self.loud.clear()
        self.at.clear()
        self._samples.clear()

    async def listen(self, track: rtc.RemoteTrack) -> None:
        stream = rtc.AudioStream(
            track, sample_rate=RATE, num_channels=1, frame_size_ms=round(TOGETHER * FRAME_SECONDS * 1000)
        )
        loop = asyncio.get_running_loop()
        async for event in stream:
            heard = np.frombuffer(event.frame.data, dtype=np.int16).astype(np.float32).reshape(-1, FRAME)
            began = loop.time() - len(heard) * FRAME_SECONDS
            self._samples += list(heard)
            self.loud += np.sqrt((heard**2).mean(axis=1)).tolist()
            self.at += [began + (place + 1) * FRAME_SECONDS for place in range(len(heard))]
            self._more.set()

    async def first_sound(self, *, within: float) -> float:
        """When, in loop time, anything was heard. Raises TimeoutError."""
        looked = 0
        async with asyncio.timeout(within):
            while True:
                for frame in range(looked, len(self.loud)):
                    if self.loud[frame] > AUDIBLE:
                        return self.at[frame]
                looked = len(self.loud)
                await self.more()

    async def quiet(self, seconds: float, *, within: float) -> None:
        """Return once something was heard and then nothing for so long. Raises TimeoutError."""
        await self.first_sound(within=within)
        frames = round(seconds / FRAME_SECONDS)
        async with asyncio.timeout(within):
            while len(self.loud) < frames or max(self.loud[-frames:]) > AUDIBLE:
                await self.more()

    async def began(self, wanted: Samples, *, within: float) -> float:  # type: ignore[override]
        """When, in loop time, the prompt that begins like `wanted` was heard to begin. Raises TimeoutError."""
        looked = 0
        size = len(wanted) // PARTS
        async with asyncio.timeout(within):
            while True:
                await asyncio.sleep(LOOK_EVERY)
                heard = self._samples[looked:]
                if len(heard) * FRAME < size:
                    continue
                joined = np.concatenate(heard)
                for part in range(0, PARTS * size, size):
                    likeness = correlations(joined, wanted[part : part + size])
                    best = int(likeness.argmax())
                    if likeness[best] >= LIKE:
                        break
                else:
                    looked += len(likeness) // FRAME
                    continue
                if best + SETTLED_SECONDS * RATE <= len(likeness):
                    return self.at[max(0, looked + (best - part) // FRAME)]


def correlations(heard: Samples, wanted: Samples) -> Samples:
    """How like `wanted` each stretch of `heard` is, from -1 to 1: one value for each sample it may begin with."""
    size = len(heard) + len(wanted) - 1
    size = 1 << (size - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)
    energy = np.concatenate([[0.0], np.cumsum(heard.astype(np.float64) ** 2)])
    count = len(heard) - len(wanted) + 1
    strength = np.sqrt(np.maximum(energy[len(wanted) :] - energy[:count], 0.0))
    norm = float(np.linalg.norm(wanted))
    # Opus makes a faint noise of silence: it is like nothing.
    faint = AUDIBLE * np.sqrt(len(wanted)) / 2
    found: Samples = (product[:count] / (np.maximum(strength, faint) * norm)).astype(np.float32)
    return found
