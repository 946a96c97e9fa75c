"""Writes stereo OGG/Opus (RFC 7845) so that a process that is killed leaves a file that plays.

Everything here blocks, and belongs into a thread.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np

Samples = np.ndarray[Any, np.dtype[np.int16]]

RATE = 24_000
"""Samples a second as they come in: the rate of everything that the clinic says, so nothing of it is resampled.
Whoever plays the file gets Opus's own 48 kHz (RFC 7845 section 5.1: the rate of the input is only noted)."""

BITS_PER_SECOND = 48_000
EFFORT = "0"
"""Of 0 to 10, for the encoder: the least it can do is plenty for speech, and each call costs as little as can be."""

APPLICATION = "audio"
"""For the encoder: it then makes no model of a voice (SILK), which is two thirds of the work."""

PAGE_MICROSECONDS = "500000"
"""After so much sound a page is complete; the one before it has gone to the disk by then."""


class OggWriter:
    """One file, readable by its owner only. Raises OSError or av.FFmpegError when the disk does."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        # Without a buffer: a page that FFmpeg hands over survives this process.
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._container = av.open(
            self._file,
            "w",
            format="ogg",
            options={"page_duration": PAGE_MICROSECONDS, "flush_packets": "1"},
        )
        self._stream = self._container.add_stream(
            "libopus",
            rate=RATE,
            layout="stereo",
            options={"application": APPLICATION, "compression_level": EFFORT},
        )
        self._stream.bit_rate = BITS_PER_SECOND
        self._written = 0

    def write(self, left: Samples, right: Samples) -> None:
        """Append both sides, of one length."""
        if not left.size:
            return
        both = np.column_stack((left, right)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = RATE
        frame.pts = self._written
        self._written += left.size
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, and the file's end."""
        try:
            if self._written:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        finally:
            self._file.close()
