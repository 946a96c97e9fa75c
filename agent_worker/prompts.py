"""Prompts as audio: rendered once per text and voice, kept on disk and in memory, never in the keys' way.

A prompt that was not rendered ahead is rendered in the call, in a thread, within a time limit. Where nothing
can speak at all, a prompt is silence of the time that reading takes, and the words stand on the screen.

Digits that a caller entered are spoken word by word from clips of every digit. They come from this machine's
own voice only, and what is kept (the clips of all ten digits) says nothing of what anybody entered.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import mmap
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from livekit import rtc

from agent_worker import pcm
from agent_worker.voices import CannotSpeak, Voice
from phone.plan import PhonePlan
from phone.wording import Part, Utterance, fixed_utterances
from phone.wording.texts import digit_clips

logger = logging.getLogger(__name__)

FRAME_SECONDS = 2.0
"""Lines cut this into frames of their own. Small pieces, pushed all at once, would keep the other callers waiting."""

ON_THE_SPOT_SECONDS = 2.0
"""How long a caller waits for a prompt that was not rendered ahead, before going on without it."""

MEMORY_BYTES = 64 * 1024 * 1024
MEMORY_CLIPS = 400
"""Each clip in memory holds a file open, of which a process may have about a thousand."""

Sound = bytes | mmap.mmap
"""24 kHz PCM: rendered just now, or on disk and mapped, so that all job processes share one copy of it."""

TOUCH_AFTER = timedelta(days=1)
KEPT_UNUSED = timedelta(days=60)


class Prompts(Protocol):
    """What a call needs of prompts."""

    def audio(self, utterance: Utterance, language: str) -> AsyncIterator[rtc.AudioFrame]:
        """The audio of `utterance`, for `session.say(text, audio=…)`: all of it at once, unpaced."""

    def seconds(self, utterance: Utterance, language: str) -> float:
        """How long `utterance` takes: known where it was rendered, estimated where not."""

    async def preload(self, version: int, plan: PhonePlan) -> None:
        """Make ready what calls on `plan`, that of this version, can need: once. Nobody has to wait for it."""


class SilentPrompts:
    """Prompts that render nothing: silence of the estimated length, for calls on a simulated clock."""

    async def audio(self, utterance: Utterance, language: str) -> AsyncIterator[rtc.AudioFrame]:
        for frame in pcm.frames(pcm.silence(self.seconds(utterance, language)), seconds=60.0):
            yield frame

    def seconds(self, utterance: Utterance, language: str) -> float:
        return pcm.reading_time(utterance.spoken)

    async def preload(self, version: int, plan: PhonePlan) -> None:
        """Silence is always ready."""


class PromptStore:
    """Prompts on disk and in memory.

    `local` is this machine's voice; None where it has none. `ahead` is another voice, better and slower, that
    is used only to render fixed texts ahead of calls (`render`); its clips go first. Methods may be called
    from any thread; those of `Prompts` and `preload` belong to an event loop and never block it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        local: Voice | None,
        ahead: Voice | None = None,
        on_the_spot_seconds: float = ON_THE_SPOT_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._directory = directory
        self._local = local
        self._ahead = ahead
        self._on_the_spot_seconds = on_the_spot_seconds
        self._memory = _Memory(memory_bytes)
        self._ready: set[int] = set()
        self._rendering: dict[tuple[str, str], Future[Sound]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="prompts")
        # One of its own, so that no caller's prompt waits behind a whole plan.
        self._background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prompts ahead")

    async def audio(self, utterance: Utterance, language: str) -> AsyncIterator[rtc.AudioFrame]:
        # All missing parts are begun before the first is waited for.
        clips = [(part, self._clip(part, language)) for part in utterance.parts]
        for place, (part, clip) in enumerate(clips):
            sound = await self._in_time(part, clip) if isinstance(clip, Future) else clip
            # A caller who pressed a key waits for the first sound; between sentences a voice's pauses are its own.
            begin = 0 if place else pcm.lead_in(sound)
            for frame in pcm.frames(sound, FRAME_SECONDS, begin=begin):
                yield frame

    def seconds(self, utterance: Utterance, language: str) -> float:
        return sum(self._part_seconds(part, language) for part in utterance.parts)

    async def preload(self, version: int, plan: PhonePlan) -> None:
        """Bring everything into memory that calls on `plan` can need; render what is missing. Once a version."""
        if version not in self._ready:
            self._ready.add(version)
            await asyncio.get_running_loop().run_in_executor(self._background, self._preload, plan)

    def share(self, version: int, plan: PhonePlan) -> None:
        """Bring into memory, before processes are forked, what calls on `plan` can need. Renders nothing. Blocks.

        Where that is not everything, or does not fit beside other plans' clips, each process preloads it. It takes
        the best voice's clips only: any other would stay in memory when the better one is there.
        """
        fixed = list(fixed_utterances(plan))
        found: dict[tuple[str, str], Sound] = {}
        for language, text in fixed:
            best = next(self._voices(text, language), None)
            if best and (sound := self._read(self._path(best, text, language))):
                found[language, text] = sound
        if self._memory.put_all(found) and len(found) == len(fixed):
            self._ready.add(version)

    def render(self, plan: PhonePlan) -> int:
        """Render what calls on `plan` can need and is not on disk yet. Blocks. Returns how many clips exist.

        The voice for rendering ahead speaks all but the digits; where it cannot, the local one does.
        """
        return sum(self._render_ahead(text, language) for language, text in fixed_utterances(plan))

    def forget_unused(self, older_than: timedelta = KEPT_UNUSED) -> int:
        """Delete clips that no call used for so long: sentences of past dates, of wording since changed."""
        oldest = time.time() - older_than.total_seconds()
        unused = [path for path in self._directory.glob("*/*") if path.stat().st_mtime < oldest]
        for path in unused:
            path.unlink(missing_ok=True)
        return len(unused)

    def close(self) -> None:
        """Stop rendering. What is queued is dropped."""
        self._closed.set()
        for threads in (self._threads, self._background):
            threads.shutdown(wait=False, cancel_futures=True)

    def _clip(self, part: Part, language: str) -> Sound | Future[Sound]:
        """The sound of `part` if it is in memory, else the promise of it."""
        language = part.language or language
        key = (language, part.text)
        if (sound := self._memory.get(key)) is not None:
            return sound
        with self._lock:
            if key in self._rendering:
                return self._rendering[key]
            future = self._rendering[key] = self._threads.submit(self._load, part, language)
        future.add_done_callback(lambda _: self._rendering.pop(key, None))
        return future

    async def _in_time(self, part: Part, clip: Future[Sound]) -> Sound:
        try:
            # Shielded: others may wait for the same clip, and the next call is glad of it.
            return await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(clip)), self._on_the_spot_seconds
            )
        except (TimeoutError, CannotSpeak) as error:
            logger.warning("a prompt could not be spoken: %s", type(error).__name__)
            return pcm.silence(pcm.reading_time(part.text))

    def _part_seconds(self, part: Part, language: str) -> float:
        sound = self._memory.get((part.language or language, part.text))
        return pcm.reading_time(part.text) if sound is None else pcm.seconds_of(sound)

    def _load(self, part: Part, language: str) -> Sound:
        """From disk, or rendered by the local voice. Blocks."""
        key = (language, part.text)
        sound: Sound | None = self._from_disk(part.text, language)
        if sound is None:
            if self._local is None:
                raise CannotSpeak("this machine has no voice")
            rendered = self._local.render(part.text, language)
            if part.sensitive:
                return rendered
            self._to_disk(self._local, part.text, language, rendered)
            sound = self._from_disk(part.text, language) or rendered
        self._memory.put(key, sound)
        return sound

    def _preload(self, plan: PhonePlan) -> None:
        for language, text in fixed_utterances(plan):
            if self._closed.is_set():
                return
            if self._memory.get((language, text)) is None:
                with contextlib.suppress(CannotSpeak):
                    self._load(Part(text), language)

    def _render_ahead(self, text: str, language: str) -> bool:
        for voice in self._voices(text, language):
            if self._read(self._path(voice, text, language)) is not None:
                return True
            try:
                self._to_disk(voice, text, language, voice.render(text, language))
            except CannotSpeak as error:
                logger.warning("the voice %s failed ahead of calls: %s", voice.name, error)
            else:
                return True
        return False

    def _voices(self, text: str, language: str) -> Iterator[Voice]:
        """Whose clips of `text` there can be, the best first."""
        if self._ahead and text not in digit_clips(language):
            yield self._ahead
        if self._local:
            yield self._local

    def _from_disk(self, text: str, language: str) -> mmap.mmap | None:
        for voice in self._voices(text, language):
            if (sound := self._read(self._path(voice, text, language))) is not None:
                return sound
        return None

    def _read(self, path: Path) -> mmap.mmap | None:
        try:
            with path.open("rb") as file:
                # Clips are replaced as a whole and never written in place: what is mapped stays as it is.
                sound = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if time.time() - path.stat().st_mtime > TOUCH_AFTER.total_seconds():
                path.touch()
        except (OSError, ValueError):
            # An empty file cannot be mapped.
            return None
        # In the machine's memory before it is played: nobody waits for a disk in the middle of a sentence.
        sound.madvise(mmap.MADV_WILLNEED)
        return sound if len(sound) % pcm.SAMPLE_BYTES == 0 else None

    def _to_disk(self, voice: Voice, text: str, language: str, sound: bytes) -> None:
        path = self._path(voice, text, language)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Another process may read or write the same clip at this moment: it sees all of it or nothing.
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
                file.write(sound)
            Path(file.name).replace(path)
        except OSError as error:
            logger.warning("a prompt could not be kept: %s", type(error).__name__)

    def _path(self, voice: Voice, text: str, language: str) -> Path:
        identity = "\0".join([voice.name, language, str(pcm.SAMPLE_RATE), text])
        digest = hashlib.sha256(identity.encode()).hexdigest()
        return self._directory / digest[:2] / f"{digest}.pcm"


class _Memory:
    """The clips used last, up to a number of bytes and of clips."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._clips: OrderedDict[tuple[str, str], Sound] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> Sound | None:
        with self._lock:
            if key in self._clips:
                self._clips.move_to_end(key)
            return self._clips.get(key)

    def put_all(self, clips: dict[tuple[str, str], Sound]) -> bool:
        """Put these, if no clip must make room for them. Returns whether they are there."""
        with self._lock:
            together = self._clips | clips
            size = sum(map(len, together.values()))
            if size > self._limit or len(together) > MEMORY_CLIPS:
                return False
            self._clips, self._size = together, size
            return True

    def put(self, key: tuple[str, str], sound: Sound) -> None:
        with self._lock:
            self._size += len(sound) - len(self._clips.pop(key, b""))
            self._clips[key] = sound
            while self._size > self._limit or len(self._clips) > MEMORY_CLIPS:
                _, oldest = self._clips.popitem(last=False)
                self._size -= len(oldest)
