"""One take of a message: the caller's side alone, from the tone on, and how much of it is a voice."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from datetime import datetime
from pathlib import Path

import av
import numpy as np

from agent_worker.lines.base import Line
from agent_worker.pcm import SAMPLE_RATE
from agent_worker.recorder import Recorder

VOICE_LEVEL = 120.0
"""From this level on (root mean square of 16 bit samples, −49 dBFS) a frame counts as a voice. Too low: noise is kept
for a message. Too high, and worse: what somebody said softly is lost."""

SOMETHING_SAID_SECONDS = 0.5
"""Less of a voice than this is a click or a breath, and no message."""

AFTER_THE_TONE_SECONDS = 0.25
"""What comes so soon was said before the tone ended. Less than for a call's recording: people begin at once, and the
caller's sound, which nobody received until now, has not been held up."""


class MessageRecorder:
    """Records a caller from its making to `end()`, to `<folder>/<id>.ogg`. A `lines.base.Ear`."""

    def __init__(
        self, *, recording: uuid.UUID, folder: Path, line: Line, began_at: datetime, after: float
    ) -> None:
        self.id = recording
        self.began_at = began_at
        self.path = folder / f"{recording}.ogg"
        self.voice_seconds = 0.0
        self.broken = asyncio.Event()
        """Set when the disk refuses: what was said until then is kept."""
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._last_voice = self._loop.time()
        self._recorder = Recorder(
            self.path, after=after, on_its_way=AFTER_THE_TONE_SECONDS, broken=self.broken.set
        )
        line.record(self)

    @property
    def something_said(self) -> bool:
        """Whether there is a voice in it, and on the disk."""
        return self.voice_seconds >= SOMETHING_SAID_SECONDS and self.seconds > 0

    @property
    def seconds(self) -> float:
        """How long the file is."""
        return self._recorder.seconds

    @property
    def failed(self) -> bool:
        """Whether it could not be written to its end."""
        return self._recorder.failed

    @property
    def quiet_for(self) -> float:
        """Seconds since a voice was last heard, or since the beginning."""
        return self._loop.time() - self._last_voice

    def caller_said(self, pcm: bytes, rate: int) -> None:
        self._recorder.caller_said(pcm, rate)
        samples = np.frombuffer(pcm, np.int16).astype(np.float32)
        if samples.size and float(np.sqrt(np.mean(samples**2))) >= VOICE_LEVEL:
            self.voice_seconds += samples.size / rate
            self._last_voice = self._loop.time()

    def clinic_says(self, pcm: bytes, at: float) -> None:
        """What the clinic says is no part of a message."""

    def cut(self, at: float) -> None:
        """So is what it leaves unsaid."""

    def pressed(self) -> None:
        """The caller pressed a key: its tone is no part of the message."""
        self._recorder.pressed()

    async def end(self) -> None:
        """Stop, and return when the file is whole. Again makes no difference."""
        self._line.record(None)
        self._recorder.stop()
        await self._recorder.finished()

    async def sound(self) -> bytes:
        """What was recorded, as `agent_worker.pcm` has it. Raises OSError or av.FFmpegError."""
        return await self._loop.run_in_executor(None, _decoded, self.path)

    def discard(self) -> None:
        """Take the file away. Call `end` before."""
        # What the disk does not give up goes when its row, which says that it is empty, is next looked at.
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def _decoded(path: Path) -> bytes:
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE)
    with av.open(str(path)) as container:
        frames = [
            piece.to_ndarray()
            for frame in (*container.decode(audio=0), None)
            for piece in resampler.resample(frame)
        ]
    # Left and right take turns; the caller is on the left.
    return np.concatenate(frames, axis=1)[0, ::2].tobytes() if frames else b""
