"""Voicemail: a greeting, a tone, the caller's message, and keys to send it, listen to it, or record it again.

What was said is never lost: as soon as there is a voice in it, the message stands in the office's work list, and a
hang-up sends it. Whoever refused that the call is recorded can leave one all the same: the greeting says that a message
is kept, and who speaks after it agrees to that, in a consent record of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Literal

import av
import numpy as np
from livekit import rtc

from agent_worker.conversation import Conversation
from agent_worker.ids import uuid7
from agent_worker.keypad import CallerInput, Pressed
from agent_worker.message_recorder import MessageRecorder
from agent_worker.pcm import SAMPLE_RATE, frames
from agent_worker.question import Answer, CallLeft, KeypadTask, Question
from agent_worker.recording import AFTER_THE_ANSWER
from agent_worker.request import Wish, promise, take_request
from phone import phrases, wording
from phone.records import RecordingBegan, RecordingEnded, RequestTaken

log = logging.getLogger(__name__)

SEND, LISTEN, AGAIN = "1", "2", "3"

TONE_HERTZ, TONE_SECONDS, TONE_VOLUME = 1000, 0.4, 6000
QUIET_SECONDS = 10.0
"""Whoever says nothing for so long has finished, or never began."""

LOOK_EVERY = 0.25
EMPTY_TAKES = 2
"""How often a caller who says nothing is asked for a message."""

Ending = Literal["key", "limit", "quiet", "broken", "left"]


def can_leave_message(conversation: Conversation) -> bool:
    """Whether a spoken message could be recorded now."""
    line = conversation.line
    return conversation.recording.folder is not None and line.has_sound and line.voice_on


async def leave_message(conversation: Conversation, *, topic: str = "") -> Answer | None:
    """Take a message, or a call-back request where the line carries no voice that could be recorded.

    Returns the answer that ended it early, or None: done. Whether something was left is in `progress.requests`.
    Raises CallLeft when the call ends meanwhile; what was said until then is sent.
    """
    if not can_leave_message(conversation):
        await conversation.say(conversation.words("voicemail_no_sound"))
        return await take_request(conversation, Wish("callback", topic=topic))
    conversation.enter("voicemail")
    # The message is kept by itself, for as long as messages are: it does not stand in the call's recording as well.
    set_aside = conversation.recording.set_aside()
    answer = await _Message(conversation, topic).leave()
    if set_aside is not None:
        conversation.recording.begin(set_aside)
    return answer


class _Message:
    """One caller's message: its takes, the one that counts, and its place in the work list."""

    def __init__(self, conversation: Conversation, topic: str) -> None:
        self._conversation = conversation
        self._kept: MessageRecorder | None = None
        self._request: RequestTaken | None = None
        self._topic = topic

    async def leave(self) -> Answer | None:
        conversation = self._conversation
        greeting = conversation.question("voicemail_greeting")
        for _ in range(EMPTY_TAKES):
            ending = await self._record(greeting)
            if ending == "broken" and self._kept is None:
                await conversation.say(conversation.words("voicemail_broken"))
                return await take_request(conversation, Wish("callback", topic=self._topic))
            if self._kept is not None:
                return await self._review()
            await conversation.say(conversation.words("voicemail_empty"))
        return Answer("gave_up", because="no_input")

    async def _review(self) -> Answer | None:
        """Until the caller sends the message, in whatever way."""
        conversation = self._conversation
        while conversation.keys:
            answer = await self._ask_what_now()
            if answer.kind != "entry":
                self._send(confirmed=False)
                return answer
            if answer.keys == LISTEN:
                await self._play()
            elif answer.keys == AGAIN:
                await self._record(conversation.words("voicemail_again"))
            else:
                break
        request = self._send(confirmed=True)
        await conversation.say(conversation.words("voicemail_saved"))
        if request.number:
            await conversation.say(promise(conversation, request))
        return None

    async def _ask_what_now(self) -> Answer:
        conversation = self._conversation
        language = conversation.language
        with self._sent_if_left():
            return await KeypadTask(
                conversation,
                Question(
                    prompt=conversation.words("voicemail_review"),
                    rules=conversation.choice_rules(SEND + LISTEN + AGAIN),
                    understand=lambda text: phrases.spoken_digits(language, text),
                    limits=conversation.limits,
                ),
            )

    async def _record(self, words: wording.Utterance) -> Ending:
        """One take after `words` and a tone. It becomes the one that counts if something was said in it."""
        conversation = self._conversation
        asked_at = conversation.now()
        with self._sent_if_left():
            heard = await conversation.say(words, must_hear=True)
            await self._tone()
        consent = conversation.timeline.message_consent(
            language=conversation.language, wording=words.text, asked_at=asked_at, heard_to_end=heard
        )
        take = self._begin(consent)
        waiting = _UntilOver(conversation, take)
        with self._sent_if_left():
            try:
                ending = await waiting.ending(conversation.plan.voicemail_seconds, self._voice_heard)
            finally:
                waiting.stop()
                await self._end(take)
            if ending == "left":
                raise CallLeft
            if ending == "limit":
                await conversation.say(conversation.words("voicemail_full"))
        return ending

    def _begin(self, consent: uuid.UUID) -> MessageRecorder:
        conversation = self._conversation
        assert conversation.recording.folder is not None
        at = conversation.now() + AFTER_THE_ANSWER
        take = MessageRecorder(
            recording=uuid7(at),
            folder=conversation.recording.folder,
            line=conversation.line,
            began_at=at,
            after=AFTER_THE_ANSWER.total_seconds(),
        )
        conversation.timeline.recording_began(
            RecordingBegan(
                call=conversation.timeline.call, id=take.id, at=at, consent=consent, kind="voicemail"
            )
        )
        return take

    def _voice_heard(self, take: MessageRecorder) -> None:
        """There is a voice: from now on the office has the message, whatever becomes of this process."""
        if self._request is None:
            self._request = self._draft(take)
            self._conversation.left(self._request)

    async def _end(self, take: MessageRecorder) -> None:
        await take.end()
        self._conversation.timeline.recording("stopped")
        if not take.something_said:
            self._drop(take)
            return
        if self._kept is not None:
            self._drop(self._kept)
        self._kept = take

    def _drop(self, take: MessageRecorder) -> None:
        take.discard()
        self._report(take, seconds=0.0)

    def _report(self, take: MessageRecorder, *, seconds: float) -> None:
        self._conversation.timeline.recording_ended(
            RecordingEnded(
                call=self._conversation.timeline.call,
                id=take.id,
                at=self._conversation.now(),
                seconds=seconds,
                pauses=[],
                cut_short=take.failed,
            )
        )

    @contextlib.contextmanager
    def _sent_if_left(self) -> Iterator[None]:
        """Whoever leaves the call meanwhile has sent what they said."""
        try:
            yield
        except (CallLeft, asyncio.CancelledError):
            if self._kept is not None:
                self._send(confirmed=False)
            raise

    def _send(self, *, confirmed: bool) -> RequestTaken:
        take = self._kept
        assert take is not None
        self._report(take, seconds=take.seconds)
        request = replace(self._request or self._draft(take), voicemail=take.id, confirmed=confirmed)
        self._request = request
        self._conversation.left(request)
        return request

    def _draft(self, take: MessageRecorder) -> RequestTaken:
        conversation = self._conversation
        now = conversation.now()
        return RequestTaken(
            call=conversation.timeline.call,
            id=uuid7(now),
            at=now,
            clinic_id=conversation.clinic_id,
            kind="message",
            priority="normal",
            number=conversation.line.caller,
            part_of_day="",
            topic=self._topic,
            note="",
            language=conversation.language,
            confirmed=False,
            due_at=wording.due_at(conversation.plan, now),
            patient_id=conversation.patient_id,
            voicemail=take.id,
        )

    async def _tone(self) -> None:
        # What was pressed during the greeting was not meant for the message.
        self._conversation.listener.flush()
        await self._conversation.session.say("", audio=_frames(_tone()), add_to_chat_ctx=False)

    async def _play(self) -> None:
        """Let the caller hear the message; a key cuts it, and is kept for the question that follows."""
        conversation = self._conversation
        assert self._kept is not None
        try:
            sound = await self._kept.sound()
        except (OSError, av.FFmpegError) as error:
            log.error("a message could not be played to its caller: %s", type(error).__name__)
            return
        handle = conversation.session.say("", audio=_frames(sound), add_to_chat_ctx=False)
        conversation.listener.on_early = lambda _given: conversation.silence(handle)
        with self._sent_if_left():
            try:
                await handle
            finally:
                conversation.listener.on_early = None


class _UntilOver:
    """Waits for the end of one take: a key, its limit, silence, a disk that refuses, or the end of the call."""

    def __init__(self, conversation: Conversation, take: MessageRecorder) -> None:
        self._conversation = conversation
        self._take = take
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        conversation.listener.attach(self)

    def hear(self, given: CallerInput) -> None:
        """The terminator ends the message. Other keys, and words that are typed, mean nothing."""
        if not isinstance(given, Pressed):
            return
        self._take.pressed()
        self._conversation.timeline.key("voicemail", given.key, sensitive=False)
        if given.key == self._conversation.plan.keypad.terminator:
            self._finish("key")

    def leave(self) -> None:
        """The call is over."""
        self._finish("left")

    def stop(self) -> None:
        """Hear no more."""
        self._conversation.listener.detach(self)

    async def ending(self, seconds: float, voice_heard: Callable[[MessageRecorder], None]) -> Ending:
        """How it ended, after at most so many seconds. `voice_heard` is called as soon as there is a voice."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._over.done():
            await asyncio.wait({self._over}, timeout=LOOK_EVERY)
            if self._take.something_said:
                voice_heard(self._take)
            if self._take.broken.is_set():
                self._finish("broken")
            elif self._take.quiet_for >= QUIET_SECONDS:
                self._finish("quiet")
            elif loop.time() >= until:
                self._finish("limit")
        return self._over.result()

    def _finish(self, ending: Ending) -> None:
        if not self._over.done():
            self._over.set_result(ending)


def _tone() -> bytes:
    at = np.arange(round(TONE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    # Without a fade, it would begin and end with a click.
    fade = np.clip(np.minimum(at, TONE_SECONDS - at) / 0.01, 0.0, 1.0)
    return bytes((np.sin(2 * np.pi * TONE_HERTZ * at) * fade * TONE_VOLUME).astype("<i2").tobytes())


async def _frames(sound: bytes) -> AsyncIterator[rtc.AudioFrame]:
    for frame in frames(sound, 2.0):
        yield frame
