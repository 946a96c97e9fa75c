"""What the steps of one call share: its line, plan, language and timeline, and how to say and to ask."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from livekit.agents import AgentSession
from livekit.agents.voice.speech_handle import SpeechHandle

from agent_worker.clock import CallClock
from agent_worker.deciding import decide_with_model
from agent_worker.keypad import EntryRules, KeypadListener, Outcome
from agent_worker.lines.base import Line
from agent_worker.model_view import may_use_model
from agent_worker.prompts import Prompts
from agent_worker.recording import CallRecording
from agent_worker.speech import Speech
from agent_worker.timeline import CallTimeline
from phone import phrases, wording
from phone.numbers import region_of
from phone.plan import PhonePlan
from phone.records import RequestTaken
from phone.wording import Sensitive, Utterance


@dataclass
class Progress:
    """How far the call came: what its last row is made from."""

    step: str = "greeting"
    failed: bool = False
    refused: bool = False
    silent: bool = False
    said_goodbye: bool = False
    informed: bool = False
    transferred: bool = False
    goes_on: bool = False
    """The caller and a person talk on without us: the call has no end yet."""
    sought: str = ""
    """What callers hear the person called who is, or was, rung for them."""
    requests: dict[uuid.UUID, RequestTaken] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """The call's outcome: the first that applies."""
        if self.failed:
            return "failed"
        if self.transferred:
            return "transferred"
        if any(request.voicemail for request in self.requests.values()):
            return "voicemail"
        if self.requests:
            return "request_taken"
        if self.refused:
            return "consent_refused"
        if self.silent:
            return "no_input"
        return "completed" if self.said_goodbye else "caller_hung_up"

    @property
    def served(self) -> str:
        """What the caller got."""
        if self.transferred:
            return "person"
        if self.requests:
            return "request"
        return "information" if self.informed else "nothing"


class Conversation:
    """One call's shared state. Steps are functions of it; the order of the call is in `call_flow`."""

    def __init__(
        self,
        *,
        line: Line,
        plan: PhonePlan,
        clinic_id: int,
        prompts: Prompts,
        speech: Speech,
        timeline: CallTimeline,
        clock: CallClock,
        listener: KeypadListener,
        session: AgentSession[None],
        language: str,
        recording: CallRecording,
    ) -> None:
        self.line = line
        self.plan = plan
        self.clinic_id = clinic_id
        self.prompts = prompts
        self.speech = speech
        self.timeline = timeline
        self.clock = clock
        self.listener = listener
        self.session = session
        self.language = language
        self.recording = recording
        self.progress = Progress()
        self.patient_id: int | None = None
        self.outside_allowed = False
        """True once consent covers processing outside this machine."""

    @property
    def keys(self) -> bool:
        """Whether this caller can press keys."""
        return self.line.keys_forwarded

    @property
    def comes_from_us(self) -> bool:
        """Whether this call came from one of the clinic's own numbers: it may be one of ours that was sent back."""
        return bool(self.line.caller) and self.line.caller in self.plan.own_numbers

    def now(self) -> datetime:
        return self.clock.now()

    def enter(self, step: str) -> None:
        """The call goes on with `step`."""
        self.progress.step = step
        self.timeline.step(step)

    @property
    def limits(self) -> dict[Outcome, int]:
        """After how many failures of each kind a question gives up."""
        keypad = self.plan.keypad
        return {
            "invalid": keypad.invalid_limit,
            "no_input": keypad.no_input_limit,
            "too_short": keypad.too_short_limit,
        }

    @property
    def other_languages(self) -> dict[str, str]:
        """Key → language, as the greeting offers them."""
        return self.plan.language_offers(self.language)

    def is_emergency(self, text: str) -> bool:
        """Whether `text` speaks of danger to life, in whichever of the clinic's languages."""
        return any(phrases.is_emergency(table, text) for table in self.plan.phrases.values())

    @property
    def consent_in_force(self) -> bool:
        """Whether the caller's consent still permits something that they may want to end."""
        return self.recording.running or self.timeline.transcript_allowed or self.outside_allowed

    def wants_no_recording(self, text: str) -> bool:
        """Whether `text`, in whichever of the clinic's languages, takes back a consent that is in force.

        While consent is being asked for, the same words are an answer to that.
        """
        return (
            self.consent_in_force
            and self.progress.step != "consent"
            and any(phrases.wants_no_recording(table, text) for table in self.plan.phrases.values())
        )

    def withdraw_consent(self, how: str) -> None:
        """The caller, by `keypad` or `voice`, wants the recording to end: nothing is permitted from now on."""
        self.recording.stop()
        self.outside_allowed = False
        self.timeline.consent(
            decision="withdrawn",
            how=how,
            language=self.language,
            wording="",
            covers=(False, False, False),
            asked_at=None,
            heard_to_end=False,
        )

    @property
    def region(self) -> str:
        """The country (ISO 3166) whose numbers callers key without a country code."""
        return region_of(self.plan.clinic.office_number or self.line.dialled)

    def question(self, key: str, **values: str | Sensitive) -> Utterance:
        """The clinic's question `key`, in the form for callers with keys or without."""
        return self.words(key if self.keys else f"{key}_voice", **values)

    def words(self, key: str, **values: str | Sensitive) -> Utterance:
        """The clinic's sentence `key` in the caller's language."""
        return wording.say(self.plan, key, self.language, **values)

    def speak(self, utterance: Utterance, *, asks: bool = False) -> SpeechHandle:
        """Begin to say `utterance`; the handle tells when it is over. `asks` marks a prompt that wants an answer."""
        self.timeline.prompt(self.progress.step, utterance, asks=asks)
        handle = self.session.say(
            utterance.text,
            audio=self.prompts.audio(utterance, self.language),
            add_to_chat_ctx=False,
        )
        if utterance.sensitive:
            self.recording.leave_out(handle)
        return handle

    async def say(self, utterance: Utterance, *, must_hear: bool = False) -> bool:
        """Announce `utterance` and wait for its end. Returns whether it was heard to its end.

        A key cuts it, and is kept for the next question. A caller who typed ahead is not held up: then only what
        `must_hear` is said.
        """
        if utterance.empty or (self.listener.has_early and not must_hear):
            return False
        handle = self.speak(utterance)
        if not must_hear:
            self.listener.on_early = lambda _given: self.silence(handle)
        try:
            await handle
        finally:
            self.listener.on_early = None
        return not handle.interrupted

    def leave_question(self) -> bool:
        """End the question that is being asked, with `CallLeft`, and whatever is being said. False if none is."""
        with contextlib.suppress(RuntimeError):
            self.session.interrupt(force=True)
        asking = self.listener.hearer
        if asking is None:
            return False
        asking.leave()
        return True

    def silence(self, handle: SpeechHandle) -> None:
        """Cut the prompt of `handle` if it still plays."""
        if not handle.done() and not handle.interrupted:
            self.timeline.silenced(self.progress.step)
            handle.interrupt(force=True)

    def left(self, request: RequestTaken) -> None:
        """Store `request` as it stands: what the caller left so far is not lost with the call."""
        self.progress.requests[request.id] = request
        self.timeline.request_stored(request)
        if request.confirmed:
            self.timeline.request(request)

    def decider(
        self, question: str, choices: Mapping[str, str]
    ) -> Callable[[str], Awaitable[str | None]] | None:
        """Who decides on words that no phrase matches: a model, where there is one and consent allows it."""
        if not may_use_model(self.speech, outside_allowed=self.outside_allowed):
            return None
        return partial(decide_with_model, self.speech, question, choices, language=self.language)

    def choice_rules(self, choices: str | frozenset[str]) -> EntryRules:
        """The rules for choosing one of these keys."""
        keypad = self.plan.keypad
        return EntryRules(
            choices=frozenset(choices),
            first_key_timeout=keypad.first_key_timeout,
            inter_digit_timeout=keypad.inter_digit_timeout,
            terminator=keypad.terminator,
            clear_key=keypad.clear_key,
        )

    def digit_rules(self, min_digits: int, max_digits: int) -> EntryRules:
        """The rules for entering a number of this many digits, or none by the terminator alone."""
        keypad = self.plan.keypad
        return EntryRules(
            min_digits=min_digits,
            max_digits=max_digits,
            empty_allowed=True,
            first_key_timeout=keypad.id_first_key_timeout,
            inter_digit_timeout=keypad.id_inter_digit_timeout,
            terminator=keypad.terminator,
            clear_key=keypad.clear_key,
        )
