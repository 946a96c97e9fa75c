"""`KeypadTask`: one question to the caller, asked until it is answered or its limits are reached.

Keys and words answer the same question. Prompts, timers and retries are here; what an entry may be is in
`agent_worker.keypad`; what the question means is in the step that asks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from livekit.agents import AgentTask, StopResponse
from livekit.agents.llm import ChatContext, ChatMessage
from livekit.agents.voice.speech_handle import SpeechHandle

from agent_worker.conversation import Conversation
from agent_worker.keypad import CallerInput, Collector, EntryRules, Outcome, Pressed, Verdict, Words
from agent_worker.model_view import discreet, may_use_model
from agent_worker.sealed import Sealed
from agent_worker.speech import hearing_options
from phone import phrases
from phone.wording import Utterance

Source = Literal["keypad", "voice"]
YES, NO = "1", "2"


@dataclass(frozen=True)
class Question:
    """What to ask and what may answer it.

    `understand` turns words into keys, or None. `decide` asks a model when it cannot. `valid` refuses an entry of
    the right length all the same. `complaints` are said before the question is asked again. Keys pressed during a
    `must_hear` prompt are held until its end. With `sensitive`, digits are sealed at once, and spoken words count only
    through a speech service on this machine.
    """

    prompt: Utterance
    rules: EntryRules
    understand: Callable[[str], str | None]
    decide: Callable[[str], Awaitable[str | None]] | None = None
    valid: Callable[[str], bool] = lambda keys: True
    complaints: Mapping[Outcome, str] = field(default_factory=dict)
    limits: Mapping[Outcome, int] = field(default_factory=dict)
    languages: Mapping[str, str] = field(default_factory=dict)
    sensitive: bool = False
    takes_words: bool = True
    must_hear: bool = False
    unclear: str = "unclear"
    first_attempt: int = 1


@dataclass(frozen=True)
class Answer:
    """How a question ended. `keys` are masked for a sensitive question, whose digits are in `sealed`."""

    kind: Literal["entry", "person", "language", "gave_up"]
    keys: str = ""
    sealed: Sealed | None = None
    source: Source = "keypad"
    because: Outcome = "accepted"
    asked_at: datetime | None = None
    heard_to_end: bool = False
    attempts: int = 1


class CallLeft(Exception):
    """The call ended while a question was being asked."""


class KeypadTask(AgentTask[Answer]):
    """Asks one `Question` in a `Conversation`. Never raises for anything the caller does."""

    def __init__(self, conversation: Conversation, question: Question) -> None:
        hearing: dict[str, Any] = {}
        if question.takes_words:
            hearing = hearing_options(
                conversation.speech,
                outside_allowed=conversation.outside_allowed,
                sensitive=question.sensitive,
            )
        super().__init__(instructions="", chat_ctx=ChatContext.empty(), **hearing)
        self._hears = bool(hearing)
        self._private = question.sensitive or question.prompt.sensitive
        self._conversation = conversation
        self._question = question
        self._decider = question.decide
        self._listener = conversation.listener
        self._timeline = conversation.timeline
        self._step = conversation.progress.step
        self._collector = Collector(question.rules)
        self._attempt = question.first_attempt
        self._failures: dict[Outcome, int] = {}
        self._prompt: SpeechHandle | None = None
        self._asked_at: datetime | None = None
        self._heard_to_end = False
        self._prompt_began: float | None = None
        self._first_key_at: float | None = None
        self._last_key_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._deciding: asyncio.Task[None] | None = None

    async def on_enter(self) -> None:
        self._conversation.line.listen(self._hears)
        if self._private:
            self._conversation.recording.pause()
        if not self._question.must_hear:
            self._listen()
        if not self.done() and self._untouched:
            self._ask(self._question.prompt)

    async def on_exit(self) -> None:
        self._stop()
        if self._private:
            self._conversation.recording.resume()

    async def on_user_turn_completed(self, turn_ctx: ChatContext, new_message: ChatMessage) -> None:
        self._listener.words(new_message.text_content or "", typed=False)
        raise StopResponse

    def hear(self, given: CallerInput) -> None:
        """One key or utterance of the caller."""
        if self.done():
            return
        if isinstance(given, Pressed):
            self._press(given)
        else:
            self._hear_words(given)

    def _listen(self) -> None:
        self._listener.attach(self)
        while not self.done() and (given := self._listener.next_early()):
            self.hear(given)

    def leave(self) -> None:
        """The call is over: end without an answer, by raising `CallLeft` where the answer is awaited."""
        if not self.done():
            self._stop()
            self.complete(CallLeft())

    @property
    def _untouched(self) -> bool:
        return self._prompt is None and self._timer is None and self._deciding is None

    def _ask(self, utterance: Utterance) -> None:
        self._collector = Collector(self._question.rules)
        self._first_key_at = None
        self._heard_to_end = False
        self._set_timer(None)
        self._asked_at = self._asked_at or self._conversation.now()
        self._prompt_began = self._conversation.clock.monotonic()
        self._prompt = self._conversation.speak(utterance, asks=True)
        self._prompt.add_done_callback(self._prompt_over)

    def _prompt_over(self, handle: SpeechHandle) -> None:
        if handle is not self._prompt or self.done():
            return
        self._heard_to_end = not handle.interrupted
        self._listen()
        if self.done() or self._prompt is not handle:
            return
        if self._timer is None and self._deciding is None:
            self._set_timer(self._question.rules.first_key_timeout)

    def _press(self, pressed: Pressed) -> None:
        question = self._question
        self._timeline.key(self._step, pressed.key, sensitive=question.sensitive)
        self._silence()
        self._stop_deciding()
        self._last_key_at = pressed.at
        if self._first_key_at is None:
            self._first_key_at = pressed.at
        if not self._collector.keys and pressed.key in question.languages:
            self._swallow_late_terminator()
            self._note("accepted", pressed.key, "keypad")
            self._finish(Answer("language", keys=question.languages[pressed.key]))
            return
        match self._collector.press(pressed.key):
            case None:
                self._set_timer(question.rules.inter_digit_timeout)
            case "cleared":
                self._set_timer(question.rules.first_key_timeout)
            case "repeat":
                self._ask(question.prompt)
            case "person":
                if pressed.key != question.rules.terminator:
                    self._swallow_late_terminator()
                self._person_key()
            case Verdict() as verdict:
                if verdict.full:
                    self._swallow_late_terminator()
                self._decided(verdict, "keypad")

    def _hear_words(self, words: Words) -> None:
        question, conversation = self._question, self._conversation
        plan, language = conversation.plan, conversation.language
        known = plan.phrases[language]
        self._timeline.speech(self._step, discreet(words.text, language), sensitive=question.sensitive)
        self._silence()
        self._stop_deciding()
        self._set_timer(None)
        if self._conversation.is_emergency(words.text):
            self._ask(self._conversation.words("emergency") + question.prompt)
        elif conversation.wants_no_recording(words.text):
            self._withdraw_consent()
        elif phrases.wants_person(known, words.text):
            self._note("accepted", "", "voice")
            self._finish(Answer("person", source="voice"))
        elif chosen := self._other_language(words.text):
            self._note("accepted", "", "voice")
            self._finish(Answer("language", keys=chosen, source="voice"))
        elif phrases.wants_repeat(known, words.text):
            self._ask(question.prompt)
        elif not self._may_answer(words):
            self._decided(Verdict("invalid", ""), "voice")
        elif (keys := question.understand(words.text)) is not None:
            self._decided(self._verdict_on(keys), "voice")
        elif self._decider is not None:
            self._deciding = asyncio.ensure_future(self._decide(self._decider, words.text))
        else:
            self._decided(Verdict("invalid", ""), "voice")

    def _withdraw_consent(self) -> None:
        conversation = self._conversation
        conversation.withdraw_consent("voice")
        # What listened by that consent listens no more; keys and typed words still answer.
        hears = hearing_options(
            conversation.speech, outside_allowed=False, sensitive=self._question.sensitive
        )
        conversation.line.listen(self._hears and bool(hears))
        if not may_use_model(conversation.speech, outside_allowed=False):
            self._decider = None
        self._ask(conversation.words("recording_stopped") + self._question.prompt)

    def _other_language(self, text: str) -> str | None:
        wanted = phrases.wants_language(self._conversation.plan, text)
        return wanted if wanted in self._question.languages.values() else None

    def _may_answer(self, words: Words) -> bool:
        question = self._question
        if not question.takes_words:
            return False
        return words.typed or not question.sensitive or self._conversation.speech.local_stt

    def _verdict_on(self, keys: str) -> Verdict:
        rules = self._question.rules
        if rules.choices:
            return Verdict("accepted" if keys in rules.choices else "invalid", keys)
        if not keys:
            return Verdict("accepted" if rules.empty_allowed else "too_short", keys)
        if len(keys) < rules.min_digits:
            return Verdict("too_short", keys)
        return Verdict("accepted" if len(keys) <= rules.max_digits else "invalid", keys)

    async def _decide(self, decide: Callable[[str], Awaitable[str | None]], text: str) -> None:
        keys = await decide(text)
        self._deciding = None
        if not self.done():
            self._decided(Verdict("invalid", "") if keys is None else self._verdict_on(keys), "voice")

    def _timed_out(self) -> None:
        self._timer = None
        if self.done():
            return
        match self._collector.time_out():
            case Verdict() as verdict:
                self._decided(verdict, "keypad")
            case _:
                self._person_key()

    def _person_key(self) -> None:
        self._note("accepted", self._question.rules.person_key, "keypad")
        self._finish(Answer("person"))

    def _decided(self, verdict: Verdict, source: Source) -> None:
        question = self._question
        outcome = verdict.outcome
        if outcome == "accepted" and verdict.keys and not question.valid(verdict.keys):
            outcome = "invalid"
        shown, sealed = self._note(outcome, verdict.keys, source)
        if outcome == "accepted":
            self._finish(Answer("entry", keys=shown, sealed=sealed, source=source))
            return
        self._attempt += 1
        self._retry(outcome, spoken=source == "voice")

    def _note(self, outcome: Outcome, keys: str, source: Source) -> tuple[str, Sealed | None]:
        """Put an input on the timeline. Returns its keys as they may be shown, and sealed where they are sensitive."""
        sealed = Sealed.seal(keys) if self._question.sensitive and keys else None
        shown = sealed.masked if sealed else keys
        self._timeline.entry(
            self._step,
            attempt=self._attempt,
            source=source,
            outcome=outcome,
            digits=shown,
            sealed=sealed,
            first_key_after=self._since(self._prompt_began, self._first_key_at),
            took=self._since(self._first_key_at, self._conversation.clock.monotonic()),
        )
        return shown, sealed

    def _retry(self, outcome: Outcome, *, spoken: bool) -> None:
        question = self._question
        failures = self._failures[outcome] = self._failures.get(outcome, 0) + 1
        if outcome != "no_input":
            self._listener.flush()
        if failures >= question.limits.get(outcome, 3):
            self._finish(Answer("gave_up", source="voice" if spoken else "keypad", because=outcome))
            return
        complaint = question.unclear if spoken else question.complaints.get(outcome, outcome)
        self._ask(self._conversation.words(complaint) + question.prompt)

    def _finish(self, answer: Answer) -> None:
        self._stop()
        self.complete(
            Answer(
                kind=answer.kind,
                keys=answer.keys,
                sealed=answer.sealed,
                source=answer.source,
                because=answer.because,
                asked_at=self._asked_at,
                heard_to_end=self._heard_to_end,
                attempts=self._attempt,
            )
        )

    def _swallow_late_terminator(self) -> None:
        rules = self._question.rules
        self._listener.swallow_late(rules.terminator, self._last_key_at, rules.late_terminator_seconds)

    def _silence(self) -> None:
        if self._prompt is not None:
            self._conversation.silence(self._prompt)

    def _stop(self) -> None:
        self._listener.detach(self)
        self._conversation.line.listen(False)
        self._set_timer(None)
        self._stop_deciding()

    def _stop_deciding(self) -> None:
        if self._deciding is not None:
            self._deciding.cancel()
            self._deciding = None

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._timed_out) if seconds is not None else None

    @staticmethod
    def _since(earlier: float | None, later: float | None) -> float | None:
        return None if earlier is None or later is None else round(max(0.0, later - earlier), 3)


async def confirm(conversation: Conversation, prompt: Utterance) -> Answer:
    """Ask a yes-or-no question, such as reading something back. `keys` of the answer are 1 for yes, 2 for no."""
    known = conversation.plan.phrases[conversation.language]
    return await KeypadTask(
        conversation,
        Question(
            prompt=prompt,
            rules=conversation.choice_rules(YES + NO),
            understand=lambda text: yes_or_no_key(known, text),
            limits=conversation.limits,
        ),
    )


def yes_or_no_key(known: Mapping[str, tuple[str, ...]], text: str) -> str | None:
    """The key that `text` stands for where 1 is yes and 2 is no, or None if it is neither or both."""
    match phrases.yes_or_no(known, text):
        case "yes":
            return YES
        case "no":
            return NO
        case _:
            return None
