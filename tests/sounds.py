"""Real OGG/Opus files for tests: a tone on the left for the caller, another on the right for the clinic."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = 48_000

LISTENS_SECONDS = 0.02
"""So long a stretch it takes to tell tones apart that lie some hundred hertz from each other."""

Samples = np.ndarray[Any, np.dtype[np.int16]]


def make_ogg(seconds: float, *, left: float = 440, right: float = 880) -> bytes:
    """A stereo recording of two tones (Hz), with a page for each second as the recorder writes it."""
    target = io.BytesIO()
    with av.open(target, "w", format="ogg", options={"page_duration": "1000000"}) as container:
        stream = container.add_stream("libopus", rate=RATE, layout="stereo")
        samples = round(seconds * RATE)
        for begin in range(0, samples, 960):
            at = np.arange(begin, min(begin + 960, samples)) / RATE
            both = np.stack([np.sin(2 * np.pi * hertz * at) for hertz in (left, right)], axis=1)
            pcm = (both * 8000).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, begin, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def decoded_seconds(sound: bytes | Path) -> float:
    """How long it plays, as a decoder has it that knows nothing of our own reading of pages."""
    source = sound if isinstance(sound, Path) else io.BytesIO(sound)
    with av.open(str(source) if isinstance(source, Path) else source) as container:
        return sum(frame.samples for frame in container.decode(audio=0)) / RATE


def loudest_tone(sound: bytes, *, channel: int) -> float:
    """The strongest frequency (Hz) of one channel: 0 is the caller, 1 the clinic."""
    with av.open(io.BytesIO(sound)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.concatenate(frames, axis=1)[channel]
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * RATE / samples.size)


def caller_side(sound: bytes | Path) -> Samples:
    """The left side of a recording, as far as it goes, `RATE` samples a second."""
    with av.open(io.BytesIO(sound) if isinstance(sound, bytes) else str(sound)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return (np.concatenate(frames, axis=1)[0] * (1 << 15)).astype(np.int16)


def amplitudes(samples: Samples, hertz: float, *, rate: int = RATE) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How strong this tone is, one value for each `LISTENS_SECONDS`."""
    size = int(rate * LISTENS_SECONDS)
    window = np.hanning(size)
    probe = window * np.exp(-2j * np.pi * hertz * np.arange(size) / rate) * 2 / window.sum()
    return np.abs(samples[: samples.size // size * size].reshape(-1, size) @ probe)
