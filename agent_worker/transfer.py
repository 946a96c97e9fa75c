"""Putting a caller through to a person of the directory, and to nobody else.

Cold, the call is handed over at once (SIP REFER). Warm, the person is rung into the caller's room, hears alone what
the call is about, and presses a key to take it; until then neither hears the other. The caller waits with tones, and
can leave a message instead. However it ends, the caller gets words and a way on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Literal

from django.db import Error as DatabaseError
from livekit import rtc
from livekit.agents.voice.speech_handle import SpeechHandle

from agent_worker import tones
from agent_worker.conversation import Conversation
from agent_worker.database import in_database
from agent_worker.keypad import CallerInput, Pressed
from agent_worker.lines.base import Bridge, Person
from agent_worker.question import Answer, CallLeft, KeypadTask, Question, yes_or_no_key
from phone import phrases, wording
from phone.directory import WayOut, way_out
from phone.livekit_api import CallAnswer, LiveKitError
from phone.plan import DirectoryEntry

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""How long the caller waits for the database to say that a number may be called."""

MESSAGE, OTHER = "1", "2"
"""Keys of the caller. Those of the person:"""

TAKE, SEND_BACK = "1", "2"
BRIEFINGS = 3
"""How often a person is told about the call before it counts as not taken: a voicemail presses nothing."""

ANSWER_SECONDS = 5.0
"""How long a person may take to press a key once they were told."""

Taken = CallAnswer | Literal["joined", "sent_back", "silent", "hung_up"]

Ending = Literal["through", "message", "busy", "no_answer", "failed", "impossible"]
"""How it ended for the caller. `message`: they want to leave one; `impossible`: nobody was called."""

FOR_CALLER: dict[Taken, Ending] = {
    "accepted": "through",
    "joined": "through",
    "busy": "busy",
    "declined": "no_answer",
    "no_answer": "no_answer",
    "sent_back": "no_answer",
    "silent": "no_answer",
    "hung_up": "no_answer",
}
"""The person's reasons are theirs: a caller is not told that they were refused."""


async def put_through(conversation: Conversation, name: str, topic: str) -> Ending:
    """Put the caller through to the directory's entry `name`. `topic` is what they want, for the person to hear.

    Raises CallLeft when the call ends meanwhile.
    """
    bridge, entry = conversation.line.bridge, conversation.plan.entry(name)
    if not name or bridge is None or conversation.comes_from_us:
        return "impossible"
    way = await _way_out(conversation, entry) if entry else None
    if entry is None or way is None:
        conversation.timeline.transfer(to=name, manner="", answer="not_in_directory")
        return "impossible"
    answer: Taken = "not_supported"
    if entry.manner == "cold":
        answer = await _hand_over(conversation, bridge, entry)
    if answer == "not_supported" and way.trunk_id:
        return await _fetch(conversation, bridge, entry, way, topic)
    if answer == "not_supported" and entry.manner == "warm":
        conversation.timeline.transfer(to=name, manner="warm", answer="no_way_out")
        return "impossible"
    return _ended(conversation, entry, "cold", answer)


async def ask_what_now(conversation: Conversation, ending: Ending) -> Answer:
    """Tell a caller who was not put through why, and ask what now: `MESSAGE`, or 2 for the menu."""
    prompt = sorry(conversation, ending) + conversation.question("transfer_what_now")
    return await _message_or(conversation, prompt, "back")


async def ask_message_or_callback(conversation: Conversation) -> Answer:
    """Ask a caller to whom nobody can come: `MESSAGE`, or 2 for a call back."""
    return await _message_or(conversation, conversation.question("person_message_or_callback"), "callback")


async def _message_or(conversation: Conversation, prompt: wording.Utterance, other: str) -> Answer:
    return await KeypadTask(
        conversation,
        Question(
            prompt=prompt,
            rules=conversation.choice_rules(MESSAGE + OTHER),
            understand=partial(_understand, conversation, other),
            limits=conversation.limits,
        ),
    )


def _understand(conversation: Conversation, other: str, text: str) -> str | None:
    """The key of what `text` names: a message, or the action `other`. Yes is a message."""
    language = conversation.language
    known = conversation.plan.phrases[language]
    names = {
        int(key): phrases.OptionWords(key=key, label="", own=(), action=known.get(f"action_{action}", ()))
        for key, action in ((MESSAGE, "voicemail"), (OTHER, other))
    }
    option = phrases.best_option(known, names, text, language)
    return yes_or_no_key(known, text) if option is None else str(option)


def sorry(conversation: Conversation, ending: Ending) -> wording.Utterance:
    """Why the caller was not put through; empty where they chose something else."""
    key = {"busy": "transfer_busy", "no_answer": "transfer_no_answer", "failed": "transfer_failed"}.get(
        ending
    )
    if key is None:
        return wording.Utterance()
    return conversation.words(key, person=conversation.progress.sought)


async def _way_out(conversation: Conversation, entry: DirectoryEntry) -> WayOut | None:
    """How to call this entry; None where the office does not have it in its directory, or nobody can know."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await in_database(
                way_out,
                clinic_id=conversation.clinic_id,
                number=entry.number,
                dialled=conversation.line.dialled,
            )
    except (DatabaseError, TimeoutError):
        log.warning("nobody was called: the directory could not be read")
        return None


async def _hand_over(conversation: Conversation, bridge: Bridge, entry: DirectoryEntry) -> CallAnswer:
    conversation.timeline.transfer(to=entry.name, manner="cold", answer="ringing")
    conversation.progress.sought = _spoken(conversation, entry)
    await conversation.say(conversation.words("transfer_connecting", person=conversation.progress.sought))
    tone = _play(conversation, tones.ringing())
    try:
        return await bridge.refer(entry.number, ring_seconds=entry.ring_seconds)
    except LiveKitError as error:
        log.warning("a call could not be handed over: %s", type(error).__name__)
        return "failed"
    finally:
        _stop(tone)


async def _fetch(
    conversation: Conversation, bridge: Bridge, entry: DirectoryEntry, way: WayOut, topic: str
) -> Ending:
    conversation.timeline.transfer(to=entry.name, manner="warm", answer="ringing")
    conversation.progress.sought = _spoken(conversation, entry)
    person = bridge.fetch(entry.number, trunk_id=way.trunk_id, ring_seconds=entry.ring_seconds)
    waiting = _WaitingCaller(conversation)
    taking = asyncio.create_task(_ask_person(conversation, person, topic, waiting))
    try:
        either: set[asyncio.Future[Any]] = {taking, waiting.decided}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if taking.done():
            return _ended(conversation, entry, "warm", taking.result())
        if waiting.decided.result() == "left":
            raise CallLeft
        conversation.timeline.transfer(to=entry.name, manner="warm", answer="message")
        return "message"
    finally:
        waiting.stop()
        taking.cancel()
        await asyncio.wait({taking})
        if not person.joined:
            await person.send_away()


async def _ask_person(
    conversation: Conversation, person: Person, topic: str, waiting: _WaitingCaller
) -> Taken:
    """Ring the person, tell them about the call until they press a key, and join the two if it is the right one."""
    try:
        answer = await person.ring()
        if answer != "accepted":
            return answer
        decision = await _decision(conversation, person, topic)
        if decision is None:
            return "hung_up"
        if decision != TAKE:
            return "sent_back" if decision == SEND_BACK else "silent"
        # The person has agreed to nothing: what is recorded ends before anybody hears them.
        conversation.recording.stop()
        waiting.stop()
        await person.join()
        return "joined"
    except LiveKitError as error:
        log.warning("a person could not be fetched: %s", type(error).__name__)
        return "failed"


async def _decision(conversation: Conversation, person: Person, topic: str) -> str | None:
    """`TAKE` or `SEND_BACK`; empty for neither; None when the person hung up."""
    keys: asyncio.Queue[str | None] = asyncio.Queue()
    person.on_key(keys.put_nowait)
    person.on_hang_up(lambda: keys.put_nowait(None))
    plan = conversation.plan
    language = plan.clinic.languages[0]
    told = wording.briefing(plan, language, topic)
    for _ in range(BRIEFINGS):
        key = await _key_after(person, conversation.prompts.audio(told, language), keys)
        if key in (TAKE, SEND_BACK, None):
            return key
    return ""


async def _key_after(
    person: Person, audio: AsyncIterator[rtc.AudioFrame], keys: asyncio.Queue[str | None]
) -> str | None:
    """The key that the person presses while this is said, or soon after; empty for none."""
    telling = asyncio.create_task(person.hear(audio))
    pressing = asyncio.create_task(keys.get())
    try:
        await asyncio.wait({telling, pressing}, return_when=asyncio.FIRST_COMPLETED)
        if not pressing.done():
            await asyncio.wait({pressing}, timeout=ANSWER_SECONDS)
        return pressing.result() if pressing.done() else ""
    finally:
        telling.cancel()
        pressing.cancel()


def _ended(conversation: Conversation, entry: DirectoryEntry, manner: str, answer: Taken) -> Ending:
    conversation.timeline.transfer(to=entry.name, manner=manner, answer=answer)
    progress = conversation.progress
    progress.transferred = answer in ("accepted", "joined")
    progress.goes_on = answer == "joined"
    return FOR_CALLER.get(answer, "failed")


def _spoken(conversation: Conversation, entry: DirectoryEntry) -> str:
    return wording.person_name(conversation.plan, entry, conversation.language)


def _play(conversation: Conversation, audio: AsyncIterator[rtc.AudioFrame]) -> SpeechHandle:
    return conversation.session.say("", audio=audio, add_to_chat_ctx=False)


def _stop(handle: SpeechHandle) -> None:
    with contextlib.suppress(RuntimeError):
        handle.interrupt(force=True)


class _WaitingCaller:
    """A caller who waits for somebody: words, then tones, and one key."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._listener = conversation.listener
        self._tone: SpeechHandle | None = None
        self._over = False
        self.decided: asyncio.Future[Literal["message", "left"]] = asyncio.get_running_loop().create_future()
        # What was typed ahead was meant for other questions.
        self._listener.flush()
        self._listener.attach(self)
        words = conversation.question("transfer_fetching", person=conversation.progress.sought)
        self._words = conversation.speak(words, asks=True)
        self._words.add_done_callback(self._words_over)

    def hear(self, given: CallerInput) -> None:
        """One key; only that for a message means anything."""
        if isinstance(given, Pressed) and given.key == MESSAGE and not self.decided.done():
            self._conversation.timeline.key("transfer", given.key, sensitive=False)
            self.decided.set_result("message")

    def leave(self) -> None:
        """The call is over."""
        if not self.decided.done():
            self.decided.set_result("left")

    def stop(self) -> None:
        """The wait is over: silence."""
        self._over = True
        self._listener.detach(self)
        _stop(self._words)
        if self._tone is not None:
            _stop(self._tone)

    def _words_over(self, _words: SpeechHandle) -> None:
        if not self._over and not self.decided.done():
            self._tone = _play(self._conversation, tones.quiet())
