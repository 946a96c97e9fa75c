"""One recording's sound: who is heard when, what is left out, and the way to the disk.

A sample's position is the time since the recording's beginning, on the loop's clock. Where nothing was said, nothing
came, or nothing may be kept, there is silence of the same length, so that the file always fits the call's timeline.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from livekit import rtc

from agent_worker.ogg import RATE, OggWriter, Samples

log = logging.getLogger(__name__)

WRITE_EVERY = 1.0
BEHIND_SECONDS = 0.6
"""Sound is written so long after it was heard. Until then a key can cut what was handed out ahead, and a key's tone,
which can arrive before the key does, can still be left out."""

ON_ITS_WAY_SECONDS = 0.5
"""What the caller said hardly ever reaches us later: a process that stood still for a moment has it in a buffer, which
gets shorter only slowly. For so long after its beginning the caller's side is silent: what comes then may have
been said before."""

STILL_SOUNDS_SECONDS = 1.0
"""A tone, or a word, ends so long after its question at most."""

AHEAD_SECONDS, LATE_SECONDS = 0.02, 0.02
JUMP_SECONDS = 0.3
WATCHED_SECONDS = 0.5
LONGEST_BACKLOG = 60.0
"""Seconds of sound kept in memory for a disk that does not take them; then the recording ends."""

ENCODING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recording")


class Side:
    """One side of a recording: samples by position. A position that nothing was put at is silent."""

    def __init__(self) -> None:
        self._first = 0
        """The position of `_samples[0]`: what was before it has been taken."""
        self._samples: Samples = np.zeros(RATE * 4, np.int16)
        self._end = 0
        """Behind the last position that something was put at."""

    def put(self, at: int, samples: Samples) -> None:
        """`samples` are heard from position `at` on; what has been taken already stays as it was."""
        samples = samples[max(0, self._first - at) :]
        start = max(at, self._first) - self._first
        end = start + samples.size
        if end > self._samples.size:
            longer = np.zeros(max(end, self._samples.size * 2), np.int16)
            longer[: self._samples.size] = self._samples
            self._samples = longer
        self._samples[start:end] = samples
        self._end = max(self._end, self._first + end)

    def move(self, start: int, earlier: int) -> None:
        """Everything from position `start` on was to be heard so many samples earlier."""
        start = max(start, self._first)
        moved = self._samples[start - self._first : self._end - self._first].copy()
        self.silence(start)
        self._end = min(self._end, start)
        self.put(start - earlier, moved)

    def silence(self, start: int, end: int | None = None) -> None:
        """Nothing was to be heard between these positions, or from `start` on."""
        stop = self._samples.size if end is None else max(0, end - self._first)
        self._samples[max(0, start - self._first) : stop] = 0

    def take(self, until: int) -> Samples:
        """Everything before position `until` that was not taken yet."""
        size = until - self._first
        taken = np.zeros(size, np.int16)
        known = min(size, self._samples.size)
        taken[:known] = self._samples[:known]
        left = max(0, self._end - until)
        self._samples[:left] = self._samples[size : size + left]
        self._samples[left:] = 0
        self._first = until
        return taken


class Place(NamedTuple):
    """Where a frame belongs; and what was put from position `since` on belongs `earlier` samples earlier."""

    at: int
    since: int = 0
    earlier: int = 0


class Arrivals:
    """Says where a frame of the caller's belongs. One that was only held up joins the one before it.

    Of the frames of the last half second the one that was held up least tells how far the position has drifted from
    the clock. After a gap, frames that come all at once were held up in it, and not said at its end: each one moves
    those before it.
    """

    def __init__(self) -> None:
        self._next: int | None = None
        self._lateness: list[int] = []
        self._gap: tuple[int | None, int] | None = None
        """Where a gap begins and ends, while all that has come since came at once."""

    def place(self, now: int, size: int) -> Place:
        """Where `size` samples belong whose last one came just `now`."""
        begins = now - size
        if self._next is None or abs(begins - self._next) > JUMP_SECONDS * RATE:
            self._gap = self._next, begins
            return Place(self._restart(begins, size))
        if self._gap is not None:
            if begins - self._next < -size // 2:
                return self._join_held_up(self._gap, self._next - begins, size)
            self._gap = None
        return Place(self._follow(begins, self._next, size))

    def _join_held_up(self, gap: tuple[int | None, int], earlier: int, size: int) -> Place:
        assert self._next is not None
        begins, ends = gap
        if begins is not None:
            earlier = min(earlier, ends - begins)
        self._gap = begins, ends - earlier
        return Place(self._restart(self._next - earlier, size), ends, earlier)

    def _follow(self, begins: int, expected: int, size: int) -> int:
        watched = round(WATCHED_SECONDS * RATE / size)
        self._lateness = [*self._lateness[1 - watched :], begins - expected]
        least = min(self._lateness)
        settled = len(self._lateness) == watched and least > LATE_SECONDS * RATE
        if settled or least < -AHEAD_SECONDS * RATE:
            return self._restart(expected + least, size)
        self._next = expected + size
        return expected

    def _restart(self, begins: int, size: int) -> int:
        self._lateness = []
        self._next = begins + size
        return begins


class Recorder:
    """Records one call to one file, from `after` seconds after its making to `stop()`. A `lines.base.Ear`.

    What comes from the caller in the first `on_its_way` seconds counts as said before. `broken` is called once if the
    disk refuses; the recording has ended then.
    """

    def __init__(
        self,
        path: Path,
        *,
        after: float = 0.0,
        on_its_way: float = ON_ITS_WAY_SECONDS,
        broken: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self.failed = False
        self._on_its_way = on_its_way
        self._broken = broken
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time() + after
        self._caller, self._clinic = Side(), Side()
        self._arrivals = Arrivals()
        self._resampler: tuple[int, rtc.AudioResampler] | None = None
        self._private: list[list[float]] = []
        """Stretches without the caller: from, to. The last one may end in the future."""
        self._asking_privately = False
        self._secrets = 0
        self._secret_since = 0.0
        """Since when the clinic says what must not be heard."""
        self._written = 0
        self._end: float | None = None
        self._stopping = asyncio.Event()
        self._writer: OggWriter | None = None
        self._writing = asyncio.create_task(
            self._write_all(), name="recording", context=contextvars.Context()
        )

    # What the line hears

    def caller_said(self, pcm: bytes, rate: int) -> None:
        """A frame of the caller's that has just come: 16 bit samples, one channel, `rate` a second."""
        now = self._seconds()
        samples = self._resampled(pcm, rate)
        if not samples.size:
            return
        place = self._arrivals.place(round(now * RATE), samples.size)
        if place.earlier:
            self._caller.move(place.since, place.earlier)
        if self._end is None and now - samples.size / RATE >= self._on_its_way and not self._is_private(now):
            self._caller.put(place.at, samples)

    def clinic_says(self, pcm: bytes, at: float) -> None:
        """A frame at `RATE` that the caller will hear at loop time `at`."""
        if self._end is None:
            self._clinic.put(round((at - self._zero) * RATE), np.frombuffer(pcm, np.int16))

    def cut(self, at: float) -> None:
        """What was to be heard from loop time `at` on will not be heard."""
        self._clinic.silence(round((at - self._zero) * RATE))

    # What must not be heard

    def pressed(self) -> None:
        """A key was pressed: its tone is left out, whatever question it was meant for."""
        now = self._seconds()
        self._keep_private(now - BEHIND_SECONDS + 0.1, now + STILL_SOUNDS_SECONDS)

    def pause(self) -> None:
        """A question begins whose answer must not be heard: leave the caller out."""
        self._asking_privately = True
        self._keep_private(self._seconds(), self._seconds())

    def resume(self) -> None:
        """That question is over; what still sounds of its answer is left out as well."""
        now = self._seconds()
        self._keep_private(now, now + STILL_SOUNDS_SECONDS)
        self._asking_privately = False

    def secret_begins(self) -> None:
        """The clinic says what must not be heard. Secrets may overlap; each has an end."""
        if not self._secrets:
            self._secret_since = self._seconds()
        self._secrets += 1

    def secret_ends(self) -> None:
        """One of them is over."""
        self._secrets -= 1
        if not self._secrets:
            self._clinic.silence(round(self._secret_since * RATE), round(self._seconds() * RATE))

    # Its end

    @property
    def seconds(self) -> float:
        """How long the file is, or how much of it is written so far."""
        return self._written / RATE

    @property
    def pauses(self) -> list[list[float]]:
        """The stretches without the caller, in seconds from the beginning: [[from, to], …]."""
        end = self.seconds
        return [[round(start, 3), round(min(stop, end), 3)] for start, stop in self._private if start < end]

    def stop(self) -> None:
        """Take nothing more in. What was heard so far is written; `finished` waits for that."""
        if self._end is None:
            self._end = self._seconds()
            self._stopping.set()

    async def finished(self) -> None:
        """Return when the file is whole; there is none if nothing was recorded. Call `stop` before."""
        await self._writing

    async def _write_all(self) -> None:
        try:
            while self._end is None:
                try:
                    await asyncio.wait_for(self._stopping.wait(), WRITE_EVERY)
                except TimeoutError:
                    await self._write(self._seconds() - BEHIND_SECONDS)
            await self._write(self._end)
        except Exception as error:
            self.failed = True
            self.stop()
            # A ValueError or the like is a defect of ours, and no reason to lose the call either.
            log.error("a recording could not be written: %s", type(error).__name__)
            self._broken()
        await self._loop.run_in_executor(ENCODING, self._close)

    async def _write(self, until: float) -> None:
        position = round(until * RATE)
        if position <= self._written:
            return
        if until - self.seconds > LONGEST_BACKLOG:
            raise TimeoutError
        now = self._seconds()
        if self._asking_privately:
            self._keep_private(now, now)
        self._caller.silence(0, round(self._on_its_way * RATE))
        for start, stop in self._private:
            self._caller.silence(round(start * RATE), round(stop * RATE))
        if self._secrets:
            self._clinic.silence(round(self._secret_since * RATE))
        caller, clinic = self._caller.take(position), self._clinic.take(position)
        await self._loop.run_in_executor(ENCODING, self._encode, caller, clinic)
        self._written = position

    def _encode(self, caller: Samples, clinic: Samples) -> None:
        if self._writer is None:
            self._writer = OggWriter(self.path)
        self._writer.write(caller, clinic)

    def _close(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.close()
        except Exception as error:
            if not self.failed:
                log.error("a recording could not be ended: %s", type(error).__name__)
            self.failed = True

    # Little things

    def _seconds(self) -> float:
        return self._loop.time() - self._zero

    def _is_private(self, now: float) -> bool:
        return self._asking_privately or bool(self._private and now < self._private[-1][1])

    def _keep_private(self, start: float, stop: float) -> None:
        start = max(0.0, start)
        last = self._private[-1] if self._private else None
        if last is not None and (start <= last[1] or self._asking_privately):
            last[0], last[1] = min(last[0], start), max(last[1], stop)
        else:
            self._private.append([start, stop])

    def _resampled(self, pcm: bytes, rate: int) -> Samples:
        if rate == RATE:
            return np.frombuffer(pcm, np.int16)
        if self._resampler is None or self._resampler[0] != rate:
            self._resampler = (rate, rtc.AudioResampler(rate, RATE))
        pieces = self._resampler[1].push(bytearray(pcm))
        return np.frombuffer(b"".join(bytes(piece.data.cast("B")) for piece in pieces), np.int16)
