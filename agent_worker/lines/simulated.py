"""A caller made of a script, on simulated time: for tests, for `simulate_call`, and for staff who try a menu."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from livekit import rtc
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities, PlaybackFinishedEvent

from agent_worker.keypad import DTMF_KEYS
from agent_worker.lines.base import Bridge, Ear, KeyPress

REACTION_SECONDS = 0.5
"""From the begin of a prompt (or from its end, after `hear`) to the caller's first key."""
KEY_SECONDS = 0.12


class ScriptError(ValueError):
    """The script cannot be read; the message says what is wrong, for the person who wrote it."""


@dataclass(frozen=True)
class Turn:
    """What the caller does in one wait. Times in seconds."""

    keys: str = ""
    text: str = ""
    hears_prompt: bool = False
    waits: float = 0.0
    hangs_up: bool = False


def read_script(script: str, sayings: Sequence[str] = ()) -> list[Turn]:
    """The turns of `--keys` and the repeated `--say`. Raises ScriptError with a sentence."""
    try:
        words = shlex.split(script)
    except ValueError as error:
        raise ScriptError(f"The keys cannot be read: {error}.") from error
    turns: list[Turn] = []
    pending: Turn | None = None
    for word in words:
        if pending is not None and (
            (word == "hear" and pending.hears_prompt) or (word.startswith("wait:") and pending.waits)
        ):
            turns.append(pending)
            pending = None
        turn = pending or Turn()
        if word == "hear":
            pending = replace(turn, hears_prompt=True)
            continue
        if word.startswith("wait:"):
            pending = replace(turn, waits=_seconds(word))
            continue
        pending = None
        if word == "hangup":
            turns.append(replace(turn, hangs_up=True))
        elif word.startswith("say:"):
            turns.append(replace(turn, text=word.removeprefix("say:")))
        elif set(word) <= DTMF_KEYS:
            turns.append(replace(turn, keys=word))
        else:
            raise ScriptError(
                f'“{word}” is no group of keys. Use 0-9, *, #, A-D, hear, wait:SECONDS, hangup or say:"words".'
            )
    if pending is not None:
        turns.append(pending)
    return turns + [Turn(text=text) for text in sayings]


def _seconds(word: str) -> float:
    try:
        seconds = float(word.removeprefix("wait:"))
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:
        raise ScriptError(f"“{word}” is no waiting time. Write wait:1.5 for one and a half seconds.")
    return seconds


class SimulatedSpeaker(AudioOutput):
    """Plays to nobody, in the loop's time."""

    def __init__(self) -> None:
        super().__init__(
            label="simulated", capabilities=AudioOutputCapabilities(pause=False), sample_rate=None
        )
        self._loop = asyncio.get_running_loop()
        self._began: float | None = None
        self._pushed = 0.0
        self._end: asyncio.TimerHandle | None = None
        self.ear: Ear | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._began is None:
            self._began = self._loop.time()
            self.on_playback_started(created_at=time.time())
        if self.ear is not None:
            self.ear.clinic_says(bytes(frame.data.cast("B")), self._began + self._pushed)
        self._pushed += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._began is not None and self._end is None:
            self._end = self._loop.call_at(self._began + self._pushed, self._finish, False)

    def clear_buffer(self) -> None:
        if self._began is not None:
            if self._end is not None:
                self._end.cancel()
            if self.ear is not None:
                self.ear.cut(self._loop.time())
            self._finish(True)

    def _finish(self, interrupted: bool) -> None:
        assert self._began is not None
        position = min(self._pushed, self._loop.time() - self._began)
        self._began, self._pushed, self._end = None, 0.0, None
        self.on_playback_finished(playback_position=position, interrupted=interrupted)


class SimulatedLine:
    """A `Line` whose caller follows a script. Made on the running loop."""

    origin = "simulated"
    room = ""
    keys_forwarded = True
    has_sound = False
    audio_input: AudioInput | None = None
    bridge: Bridge | None = None

    def __init__(
        self,
        turns: Sequence[Turn],
        *,
        caller: str = "",
        dialled: str = "",
        burst: bool = False,
        watch: Callable[[dict[str, object]], None] = lambda event: None,
    ) -> None:
        self.caller = caller
        self.dialled = dialled
        self._speaker = SimulatedSpeaker()
        self.audio_output: AudioOutput = self._speaker
        self._loop = asyncio.get_running_loop()
        self._turns = list(turns)
        self._burst = burst
        self._watch = watch
        self._key: Callable[[KeyPress], None] = lambda press: None
        self._text: Callable[[str], None] = lambda text: None
        self._hang_up: Callable[[], None] = lambda: None
        self._heard: Callable[[], None] | None = None
        self._over = False
        self.audio_output.on("playback_finished", self._prompt_finished)

    @property
    def voice_on(self) -> bool:
        return self.has_sound

    def on_key(self, handler: Callable[[KeyPress], None]) -> None:
        self._key = handler

    def on_text(self, handler: Callable[[str], None]) -> None:
        self._text = handler

    def on_hang_up(self, handler: Callable[[], None]) -> None:
        self._hang_up = handler
        if self._burst:
            self._loop.call_soon(self._press_all)

    def show(self, event: dict[str, object]) -> None:
        self._watch(event)
        if event["event"] == "prompt" and event["asks"]:
            self._loop.call_soon(self._next_turn)

    def listen(self, wanted: bool) -> None:
        """Nothing to hear: what a simulated caller says arrives as text."""

    async def opened(self) -> None:
        """A script listens from the start."""

    def record(self, ear: Ear | None) -> None:
        """Of use only to a caller with a voice: `has_sound`."""
        self._speaker.ear = ear

    async def hang_up(self) -> None:
        self._over = True

    def _press_all(self) -> None:
        for turn in self._turns:
            for key in turn.keys:
                self._press(key)
        self._turns = [replace(turn, keys="") for turn in self._turns if turn.text or turn.hangs_up]

    def _next_turn(self) -> None:
        if not self._turns:
            self._caller_hangs_up()
            return
        turn = self._turns.pop(0)
        if turn.hears_prompt:
            self._heard = lambda: self._act(turn)
        else:
            self._heard = None
            self._act(turn)

    def _prompt_finished(self, event: PlaybackFinishedEvent) -> None:
        if not event.interrupted and self._heard is not None:
            heard, self._heard = self._heard, None
            heard()

    def _act(self, turn: Turn) -> None:
        at = REACTION_SECONDS + turn.waits
        for key in turn.keys:
            self._loop.call_later(at, self._press, key)
            at += KEY_SECONDS
        if turn.text:
            self._loop.call_later(at, self._say, turn.text)
        if turn.hangs_up:
            self._loop.call_later(at, self._caller_hangs_up)

    def _press(self, key: str) -> None:
        if not self._over:
            self._key(KeyPress(key))

    def _say(self, text: str) -> None:
        if not self._over:
            self._text(text)

    def _caller_hangs_up(self) -> None:
        if not self._over:
            self._over = True
            self._hang_up()
