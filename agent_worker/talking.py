"""The talking receptionist: a model that answers from what staff wrote and hands over what the caller wants.

It is one more task of the call: keys and phrases come first and never wait for the model, a reply is checked
before it is heard, and a model that is slow, silent, refusing or down ends the task, so that the keypad
receptionist carries on.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Literal

from livekit.agents import AgentTask, APIConnectOptions, APIError, StopResponse
from livekit.agents.llm import LLM, ChatContext, ChatMessage, CollectedResponse, Tool
from livekit.agents.voice.speech_handle import SpeechHandle

from agent_worker import receptionist
from agent_worker.conversation import Conversation
from agent_worker.guards import broken_rule
from agent_worker.keypad import CallerInput, Pressed, Words
from agent_worker.model_view import discreet, known_facts, may_use_model, receptionist_instructions
from agent_worker.question import CallLeft
from agent_worker.receptionist_tools import (
    HoursWanted,
    NothingWanted,
    PersonWanted,
    RequestWanted,
    Wanted,
    read_call,
    tools,
)
from agent_worker.request import Wish
from agent_worker.speech import TIMEOUT, hearing_options
from phone import phrases, wording
from phone.wording import Part, Utterance

logger = logging.getLogger(__name__)

THINKING_SECONDS = 5.0
"""How long a caller waits for a reply before the keypad receptionist takes over."""

HELD_BACK_LIMIT = 3
SHORT_ANSWER_WORDS = 4
"""Up to so many words a phrase decides without the model: "appointments", "what are your hours"."""


WANTED: dict[str, Wanted] = {
    receptionist.APPOINTMENT: RequestWanted("appointment"),
    receptionist.CALLBACK: RequestWanted("callback"),
    receptionist.HOURS: HoursWanted(),
}


@dataclass(frozen=True, slots=True)
class Talk:
    """How the conversation ended.

    `request` (with its `wanted`), `person`, `language` and `done` are the caller's wishes; `silent` means that
    they said nothing more, `unrecorded` that they took back their consent. With `keys` the caller pressed one,
    which waits for the next question; with `unavailable` the model could not go on. In both cases the keypad
    receptionist is next.
    """

    kind: Literal["request", "person", "language", "done", "unrecorded", "silent", "keys", "unavailable"]
    wanted: RequestWanted | None = None
    language: str = ""


async def talk(conversation: Conversation, topic: str) -> Talk:
    """Let the caller talk to the receptionist, where there is a model and consent allows it.

    `topic` is what the caller chose in the menu. To be awaited in the root agent's `on_enter`. Raises CallLeft
    when the call ends meanwhile.
    """
    model = conversation.speech.llm
    if model is None or not may_use_model(conversation.speech, outside_allowed=conversation.outside_allowed):
        return Talk("unavailable")
    conversation.enter("receptionist")
    return await TalkingReceptionist(conversation, model, topic)


def wish_for(wanted: RequestWanted, topic: str) -> Wish:
    """The request to be taken for what the caller said."""
    return Wish(
        kind=wanted.kind,
        priority="urgent" if wanted.urgent else "normal",
        topic=topic,
        part_of_day=wanted.part_of_day,
        note=wanted.note,
    )


class TalkingReceptionist(AgentTask[Talk]):
    """One conversation between a caller and the model. Never raises for what either of them does."""

    def __init__(self, conversation: Conversation, model: LLM[Any], topic: str) -> None:
        self._hearing = hearing_options(conversation.speech, outside_allowed=conversation.outside_allowed)
        super().__init__(
            instructions="",
            chat_ctx=ChatContext.empty(),
            tts=conversation.speech.tts_in(conversation.language),
            **self._hearing,
        )
        self._conversation = conversation
        self._model = model
        self._listener = conversation.listener
        self._timeline = conversation.timeline
        self._step = conversation.progress.step
        self._rules = conversation.choice_rules("")
        self._offered: list[Tool] = [*tools()]
        self._told = ChatContext.empty()
        """All that the model is given; it stays in this task."""
        self._told.add_message(
            role="system",
            content=receptionist_instructions(
                conversation.plan, conversation.language, conversation.now(), topic
            ),
        )
        self._known = known_facts(conversation.plan, conversation.language, conversation.now())
        self._last = conversation.words("receptionist_intro")
        self._speaking: SpeechHandle | None = None
        self._thinking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._silences = 0
        self._held_back = 0

    async def on_enter(self) -> None:
        self._conversation.line.listen(bool(self._hearing))
        self._listener.attach(self)
        while not self.done() and (given := self._listener.next_early()):
            self.hear(given)
        if not self.done() and self._speaking is None and self._thinking is None:
            self._say(self._last)

    async def on_exit(self) -> None:
        self._stop()

    async def on_user_turn_completed(self, turn_ctx: ChatContext, new_message: ChatMessage) -> None:
        self._listener.words(new_message.text_content or "", typed=False)
        raise StopResponse

    def hear(self, given: CallerInput) -> None:
        """One key or utterance of the caller."""
        if self.done():
            return
        self._silence()
        self._stop_thinking()
        self._set_timer(None)
        self._silences = 0
        if isinstance(given, Pressed):
            self._press(given)
        else:
            self._hear_words(given)

    def leave(self) -> None:
        """The call is over: end without a result, by raising `CallLeft` where it is awaited."""
        if not self.done():
            self._stop()
            self.complete(CallLeft())

    def _press(self, pressed: Pressed) -> None:
        if pressed.key == self._rules.clear_key:
            self._timeline.key(self._step, pressed.key, sensitive=False)
            self._say(self._last)
        elif pressed.key == self._rules.person_key:
            self._timeline.key(self._step, pressed.key, sensitive=False)
            self._finish(Talk("person"))
        else:
            # For the keypad receptionist's menu, which takes it as pressed ahead.
            self._finish(Talk("keys"))
            self._listener.put_back(pressed)

    def _hear_words(self, words: Words) -> None:
        conversation = self._conversation
        known = conversation.plan.phrases[conversation.language]
        seen = discreet(words.text, conversation.language)
        self._timeline.speech(self._step, seen, sensitive=False)
        if conversation.is_emergency(words.text):
            self._say(conversation.words("emergency"))
        elif conversation.wants_no_recording(words.text):
            conversation.withdraw_consent("voice")
            self._finish(Talk("unrecorded"))
        elif phrases.wants_person(known, words.text):
            self._finish(Talk("person"))
        elif chosen := phrases.wants_language(conversation.plan, words.text):
            self._finish(Talk("language", language=chosen))
        elif phrases.wants_repeat(known, words.text):
            self._say(self._last)
        elif phrases.wants_nothing_more(known, words.text):
            self._finish(Talk("done"))
        elif wanted := self._understand(words.text):
            self._follow(wanted)
        else:
            self._told.add_message(role="user", content=seen)
            self._thinking = asyncio.ensure_future(self._think())

    def _understand(self, text: str) -> Wanted | None:
        """What a short answer means, without the model."""
        if len(text.split()) > SHORT_ANSWER_WORDS:
            return None
        key = receptionist.understand(self._conversation, text)
        return None if key is None else WANTED[key]

    async def _think(self) -> None:
        try:
            response = await self._ask_model()
        except (APIError, TimeoutError) as error:
            logger.warning("the model did not answer: %s", type(error).__name__)
            response = CollectedResponse()
        except Exception:
            logger.exception("the model failed")
            response = CollectedResponse()
        self._thinking = None
        if not self.done():
            self._react(response)

    async def _ask_model(self) -> CollectedResponse:
        limits = APIConnectOptions(max_retry=0, timeout=TIMEOUT)
        async with asyncio.timeout(THINKING_SECONDS):
            stream = self._model.chat(chat_ctx=self._told, tools=self._offered, conn_options=limits)
            return await stream.collect()

    def _react(self, response: CollectedResponse) -> None:
        if response.tool_calls:
            wanted = read_call(response.tool_calls[0], self._conversation.language)
            self._hold_back("tool") if wanted is None else self._follow(wanted)
        elif not response.text:
            self._finish(Talk("unavailable"))
        elif rule := broken_rule(response.text, self._known, self._conversation.language):
            self._hold_back(rule)
        else:
            self._reply(response.text)

    def _follow(self, wanted: Wanted) -> None:
        conversation = self._conversation
        match wanted:
            case RequestWanted():
                self._finish(Talk("request", wanted=wanted))
            case PersonWanted():
                self._finish(Talk("person"))
            case NothingWanted():
                self._finish(Talk("done"))
            case HoursWanted():
                conversation.progress.informed = True
                hours = wording.office_hours(conversation.plan, conversation.language, conversation.now())
                self._say(hours + conversation.words("receptionist_anything_else"))

    def _hold_back(self, rule: str) -> None:
        """Say the clinic's own sentence in place of what the model wanted."""
        logger.warning("a reply of the model was held back: %s", rule)
        self._held_back += 1
        if self._held_back >= HELD_BACK_LIMIT:
            self._finish(Talk("unavailable"))
        else:
            cannot_help = self._conversation.words("receptionist_cannot_help")
            self._say(cannot_help + self._conversation.words("receptionist_anything_else"))

    def _reply(self, text: str) -> None:
        """Say the model's words, which the guards have let through."""
        self._conversation.progress.informed = True
        self._timeline.reply(self._step, text)
        self._last = Utterance((Part(text),))
        self._told.add_message(role="assistant", content=text)
        self._began(self._conversation.session.say(text, add_to_chat_ctx=False))

    def _say(self, utterance: Utterance) -> None:
        """Say a sentence of the clinic's."""
        self._last = utterance
        self._told.add_message(role="assistant", content=utterance.text)
        self._began(self._conversation.speak(utterance, asks=True))

    def _began(self, handle: SpeechHandle) -> None:
        self._speaking = handle
        handle.add_done_callback(self._spoken)

    def _spoken(self, handle: SpeechHandle) -> None:
        # Cut short as well, for a cough may have done that: nobody is left in silence without end.
        if handle is self._speaking and self._thinking is None and not self.done():
            self._set_timer(self._rules.first_key_timeout)

    def _timed_out(self) -> None:
        self._timer = None
        self._silences += 1
        if self._silences >= self._conversation.plan.keypad.no_input_limit:
            self._finish(Talk("silent"))
        else:
            self._say(self._conversation.words("receptionist_anything_else"))

    def _finish(self, result: Talk) -> None:
        self._stop()
        self.complete(result)

    def _stop(self) -> None:
        self._listener.detach(self)
        self._conversation.line.listen(False)
        self._set_timer(None)
        self._stop_thinking()

    def _silence(self) -> None:
        if self._speaking is not None:
            self._conversation.silence(self._speaking)

    def _stop_thinking(self) -> None:
        if self._thinking is not None:
            self._thinking.cancel()
            self._thinking = None

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._timed_out) if seconds is not None else None
