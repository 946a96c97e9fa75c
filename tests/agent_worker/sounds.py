"""Sounds to recognise in a recording, and the ear that hears them there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from livekit import rtc

from agent_worker import pcm
from agent_worker.prompts import SilentPrompts
from phone.wording import Utterance

PLAYED_RATE = 48_000
STEP = 0.01
AUDIBLE = 200.0
"""Root mean square of 16 bit samples from which on something is heard."""

Samples = np.ndarray[Any, np.dtype[np.int16]]


def tone(hertz: float, seconds: float, *, loud: float = 3000.0) -> Samples:
    """A tone at the rate of prompts. It fits onto itself where `hertz * seconds` is whole."""
    count = round(seconds * pcm.SAMPLE_RATE)
    return (loud * np.sin(2 * np.pi * hertz * np.arange(count) / pcm.SAMPLE_RATE)).astype(np.int16)


class TonePrompts(SilentPrompts):
    """Prompts that are a tone of the estimated length."""

    async def audio(self, utterance: Utterance, language: str) -> AsyncIterator[rtc.AudioFrame]:
        sound = tone(1000, self.seconds(utterance, language)).tobytes()
        for frame in pcm.frames(sound, seconds=2.0):
            yield frame


@dataclass
class Recorded:
    """A file as it is played: how loud each 10 ms of each side are."""

    caller: np.ndarray[Any, np.dtype[np.float64]]
    clinic: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def seconds(self) -> float:
        return len(self.caller) * STEP

    def caller_heard(self, start: float, end: float) -> float:
        """How long the caller can be heard between these seconds."""
        return self._audible(self.caller, start, end)

    def clinic_heard(self, start: float, end: float) -> float:
        """How long the clinic can be heard between these seconds."""
        return self._audible(self.clinic, start, end)

    @staticmethod
    def _audible(side: np.ndarray[Any, np.dtype[np.float64]], start: float, end: float) -> float:
        return float((side[round(start / STEP) : round(end / STEP)] > AUDIBLE).sum()) * STEP


def listen_to(path: Path) -> Recorded:
    """Decode an OGG file, as far as it goes."""
    with av.open(path) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("opus", PLAYED_RATE, 2)
        pieces = [frame.to_ndarray() for frame in container.decode(audio=0)]
    both = np.concatenate(pieces, axis=1) * (1 << 15)
    size = round(PLAYED_RATE * STEP)
    whole = both[:, : both.shape[1] // size * size].reshape(2, -1, size)
    caller, clinic = np.sqrt((whole**2).mean(axis=2))
    return Recorded(caller, clinic)
