"""Raw audio as the whole product keeps it: 24 kHz, one channel, 16 bit little-endian samples."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np
from livekit import rtc

SAMPLE_RATE = 24_000
SAMPLE_BYTES = 2
BYTES_PER_SECOND = SAMPLE_RATE * SAMPLE_BYTES

SECONDS_PER_CHARACTER = 0.065
"""How long a character takes to be said, about: 15 characters a second, a calm speaker's pace."""

FAINT = 50
"""Samples below this are silence: what voices put in front of a sentence is far below, speech far above."""

LONGEST_LEAD_IN = 1.0
"""Seconds of silence from which on it is meant."""


def seconds_of(pcm: bytes | mmap.mmap) -> float:
    """How long `pcm` plays."""
    return len(pcm) / BYTES_PER_SECOND


def reading_time(text: str) -> float:
    """How long `text` takes to be said, estimated, in seconds."""
    return len(text) * SECONDS_PER_CHARACTER


def silence(seconds: float) -> bytes:
    """Silence of this length."""
    return bytes(round(seconds * SAMPLE_RATE) * SAMPLE_BYTES)


def lead_in(pcm: bytes | mmap.mmap) -> int:
    """How many bytes of silence are in front of the first sound; none where nothing is heard in the first second."""
    beginning = np.frombuffer(pcm[: round(LONGEST_LEAD_IN * BYTES_PER_SECOND)], dtype=np.int16)
    heard = (beginning > FAINT) | (beginning < -FAINT)
    return int(heard.argmax()) * SAMPLE_BYTES


def frames(pcm: bytes | mmap.mmap, seconds: float, *, begin: int = 0) -> Iterator[rtc.AudioFrame]:
    """`pcm` from byte `begin` on, in frames of `seconds` each; the last one may be shorter."""
    size = round(seconds * SAMPLE_RATE) * SAMPLE_BYTES
    for start in range(begin, len(pcm), size):
        piece = pcm[start : start + size]
        yield rtc.AudioFrame(piece, SAMPLE_RATE, 1, len(piece) // SAMPLE_BYTES)


def resampled(pcm: bytes, rate: int) -> bytes:
    """`pcm`, one channel at `rate` samples a second, at 24 kHz."""
    if rate == SAMPLE_RATE or not pcm:
        return pcm
    resampler = rtc.AudioResampler(rate, SAMPLE_RATE)
    pieces = [*resampler.push(bytearray(pcm)), *resampler.flush()]
    return b"".join(bytes(piece.data.cast("B")) for piece in pieces)
