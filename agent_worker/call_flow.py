"""THE CALL, top to bottom.

`CallFlow` is the root agent; its `on_enter` is the call. Each step returns the next one, or None at the end. The order
is here, the content is in the plan, and how a question is asked is in `agent_worker.question`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from livekit.agents import Agent

from agent_worker import menu, receptionist, transfer
from agent_worker.consent import ask_consent
from agent_worker.conversation import Conversation
from agent_worker.patient_id import identify_caller
from agent_worker.question import Answer
from agent_worker.request import Wish, take_request
from agent_worker.talking import talk, wish_for
from agent_worker.voicemail import can_leave_message, leave_message
from phone import wording
from phone.plan import MenuOption

log = logging.getLogger(__name__)

Step = Callable[[], Awaitable["Step | None"]]

TOPICS = {"receptionist", "appointment", "callback", "urgent"}
"""Actions that tell what a call is about."""

NEEDS_NO_ID = {"urgent", "person"}
"""Actions that no question comes before, whatever the option says."""


class CallFlow(Agent):
    """One call on any line. Ends when `on_enter` returns, or when its task is cancelled by a hang-up."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(instructions="")
        self.conversation = conversation
        self.plan = conversation.plan
        self._menus = [self.plan.menu_at(conversation.now())]
        self._helped = False
        self._rang = False
        self._about: MenuOption | None = None
        """What the caller chose last that a person would want to know of."""
        self._running: asyncio.Task[None] | None = None
        self._gone = False
        self._last_words = ""
        self.over = asyncio.Event()
        """Set when the call has nothing more to say."""

    async def on_enter(self) -> None:
        self._running = asyncio.current_task()
        try:
            if not self._gone:
                await self.run()
        except (asyncio.CancelledError, Exception) as error:
            await self._interrupted(error)
        finally:
            self.over.set()

    def caller_gone(self) -> None:
        """The caller hung up: leave whatever step the call is in."""
        self._gone = True
        self._leave()

    def out_of_time(self) -> None:
        """The call has reached its longest duration: say so and end it."""
        self._last_words = "call_too_long"
        self._leave()

    def stop(self) -> None:
        """The machine must stop: say so and end the call."""
        self.conversation.progress.failed = True
        self._last_words = "stopping"
        self._leave()

    async def run(self) -> None:
        """The call."""
        await self.conversation.line.opened()
        step: Step | None = self.welcome
        while step:
            step = await step()

    async def welcome(self) -> Step | None:
        """Greeting and consent."""
        await self.greet()
        consent = await ask_consent(self.conversation)
        if consent.language is not None:
            return partial(self.start_again, consent.language)
        if consent.decision == "refused" and self.plan.consent.on_refusal == "hang_up":
            return None
        return self.person if consent.wants_person else self.menu

    async def start_again(self, language: str) -> Step | None:
        """From the greeting on in `language`: what was agreed to before may not have been understood."""
        self.conversation.recording.stop()
        self.switch_language(language)
        del self._menus[1:]
        return self.welcome

    async def greet(self) -> None:
        """The emergency sentence, the clinic's name, "automated assistant", the languages."""
        conversation = self.conversation
        conversation.enter("greeting")
        await conversation.say(
            wording.greeting(self.plan, conversation.language, conversation.now(), keys=conversation.keys)
        )

    async def menu(self) -> Step | None:
        """Offer the present menu."""
        chosen = await menu.choose(self.conversation, self._menus[-1])
        if isinstance(chosen, MenuOption):
            identify_first = chosen.identify_first and chosen.action not in NEEDS_NO_ID
            return partial(self.identify if identify_first else self.act, chosen)
        return self.after(chosen)

    async def identify(self, option: MenuOption) -> Step | None:
        """Ask for the patient ID, then do what the option says."""
        if self.conversation.patient_id is None:
            wish = await identify_caller(self.conversation)
            if wish is not None:
                return self.after(wish)
        return partial(self.act, option)

    async def act(self, option: MenuOption) -> Step | None:
        """Do what the option says."""
        conversation = self.conversation
        if option.action in TOPICS:
            self._about = option
        match option.action:
            case "say":
                return await self.inform(wording.option_message(self.plan, option, conversation.language))
            case "office_hours":
                return await self.inform(self.office_hours())
            case "receptionist":
                return partial(self.receptionist, option.topic)
            case "appointment" | "callback":
                return partial(self.request, Wish(option.action, topic=option.topic))
            case "voicemail":
                return partial(self.leave_message, option.topic)
            case "person":
                return partial(self.person, option.person)
            case "urgent":
                return partial(self.urgent, option.person)
            case "submenu":
                self._menus.append(self.plan.menu(option.target_menu))
                return self.menu
            case "repeat":
                return self.menu
            case "back":
                return self.back
            case "language":
                self.switch_language(option.language)
                await conversation.say(conversation.words("language_switched"))
                return self.menu
            case "stop_recording":
                # The menu has withdrawn the consent: it knows how the caller chose.
                await conversation.say(self.about_the_recording(), must_hear=True)
                return self.menu
            case "hang_up":
                return self.goodbye

    async def inform(self, sentence: wording.Utterance) -> Step | None:
        """Say what the caller asked for, and offer the menu again."""
        self.conversation.progress.informed = True
        await self.conversation.say(sentence)
        return self.menu

    async def back(self) -> Step | None:
        """One menu up."""
        if len(self._menus) > 1:
            self._menus.pop()
        return self.menu

    async def receptionist(self, topic: str = "") -> Step | None:
        """Talk to the receptionist; by keys, where no model may or can be used."""
        ended = await talk(self.conversation, topic)
        match ended.kind:
            case "request" if ended.wanted is not None:
                return partial(self.request, wish_for(ended.wanted, topic))
            case "person":
                return self.person
            case "language":
                return partial(self.start_again, ended.language)
            case "done":
                return self.goodbye
            case "unrecorded":
                await self.conversation.say(self.about_the_recording(), must_hear=True)
                return partial(self.receptionist, topic)
            case "silent":
                return partial(self.help, silent=True)
        return partial(self.receptionist_by_keys, topic)

    async def receptionist_by_keys(self, topic: str = "") -> Step | None:
        """What the receptionist can do, as a menu."""
        answer = await receptionist.ask_what_for(self.conversation)
        if answer.kind != "entry":
            return self.after(answer)
        match answer.keys:
            case receptionist.APPOINTMENT:
                return partial(self.request, Wish("appointment", topic=topic))
            case receptionist.CALLBACK:
                return partial(self.request, Wish("callback", topic=topic))
            case _:
                return await self.inform(self.office_hours() + self.address())

    async def request(self, wish: Wish) -> Step | None:
        """Take a request; then the menu again, for a caller who stays."""
        conversation = self.conversation
        answer = await take_request(conversation, wish)
        if answer is None:
            return self.menu
        if answer.kind == "person":
            return self.person
        saved = bool(conversation.progress.requests)
        await conversation.say(conversation.words("request_saved" if saved else "request_nothing"))
        return self.menu if answer.kind == "entry" else self.after(answer)

    async def person(self, name: str = "", *, asked_for: bool = True, ring: bool = True) -> Step | None:
        """Somebody at the office, when they are there: on the line, or their number and a call back.

        `name` is who, in the directory; without one, whoever the clinic chose. Nobody is rung without `ring`.
        """
        conversation = self.conversation
        conversation.enter("transfer")
        number = self.plan.clinic.office_number
        if not self.plan.is_open(conversation.now()):
            await conversation.say(conversation.words("person_closed"))
            if can_leave_message(conversation):
                return self.message_or_callback
        elif ring and conversation.comes_from_us:
            # Somebody's telephone may have sent a call of ours back: it would be rung again, and send it back again.
            await conversation.say(conversation.words("transfer_failed"))
            return self.message
        elif ring and (ending := await self.put_through(name or self.plan.person)) != "impossible":
            return await self.after_transfer(ending)
        elif number:
            conversation.progress.informed |= asked_for
            await self.tell_office_number()
        return self.call_back

    async def call_back(self) -> Step | None:
        """Offer to call back."""
        await self.conversation.say(self.conversation.words("person_offer_request"))
        return partial(self.request, Wish("callback"))

    async def message_or_callback(self) -> Step | None:
        """While nobody is at the office: a spoken message, or a number to call back."""
        answer = await transfer.ask_message_or_callback(self.conversation)
        if answer.kind != "entry":
            return self.after(answer)
        return self.message if answer.keys == transfer.MESSAGE else self.call_back

    async def urgent(self, name: str = "") -> Step | None:
        """The emergency sentence, then whoever is on call, and an urgent call back where nobody comes. Needs no ID."""
        conversation = self.conversation
        conversation.enter("transfer")
        await conversation.say(conversation.words("emergency"), must_hear=True)
        is_open = self.plan.is_open(conversation.now())
        on_call = name or self.plan.urgent_person or (self.plan.person if is_open else "")
        ending = await self.put_through(on_call)
        if ending == "through":
            return None
        if ending != "impossible":
            await conversation.say(transfer.sorry(conversation, ending))
        elif is_open and self.plan.clinic.office_number:
            conversation.progress.informed = True
            await self.tell_office_number()
        await conversation.say(conversation.words("urgent_intro"))
        return partial(self.request, Wish("callback", priority="urgent"))

    async def put_through(self, name: str) -> transfer.Ending:
        """Put the caller through to somebody of the directory."""
        language = self.plan.clinic.languages[0]
        about = wording.label(self.plan, self._about, language) if self._about else ""
        ending = await transfer.put_through(self.conversation, name, about)
        self._rang |= ending != "impossible"
        return ending

    async def after_transfer(self, ending: transfer.Ending) -> Step | None:
        """Where a caller goes on whom a person did not take: to a message, or back to the menu."""
        if ending == "through":
            return None
        if ending == "message":
            return self.message
        answer = await transfer.ask_what_now(self.conversation, ending)
        match answer.kind:
            case "entry":
                return self.message if answer.keys == transfer.MESSAGE else self.menu
            case "gave_up":
                return self.menu
        return self.after(answer)

    async def message(self) -> Step | None:
        """A spoken message about what the caller chose last."""
        return await self.leave_message(self._about.topic if self._about else "")

    async def leave_message(self, topic: str = "") -> Step | None:
        """A spoken message for the office; then the menu again, for a caller who stays."""
        conversation = self.conversation
        answer = await leave_message(conversation, topic=topic)
        return self.menu if answer is None else self.after(answer)

    async def goodbye(self) -> Step | None:
        """The last words."""
        conversation = self.conversation
        conversation.enter("goodbye")
        conversation.progress.said_goodbye = True
        await conversation.say(conversation.words("goodbye"), must_hear=True)
        return None

    def after(self, answer: Answer) -> Step:
        """Where an answer leads that chose nothing: another language, a person, or help."""
        match answer.kind:
            case "language":
                return partial(self.start_again, answer.keys)
            case "person":
                return self.person
            case _:
                return partial(self.help, silent=answer.because == "no_input")

    async def help(self, *, silent: bool) -> Step | None:
        """A limit was reached: to a person. Only a caller who is silent there too, or has left a request, is let go."""
        conversation = self.conversation
        if silent and (self._helped or conversation.progress.requests):
            conversation.progress.silent = True
            return self.goodbye
        self._helped = True
        await conversation.say(conversation.words("help_limit"))
        # Nobody is rung for a caller who says nothing, and nobody twice for one who did not ask.
        return partial(self.person, asked_for=False, ring=not silent and not self._rang)

    async def tell_office_number(self) -> None:
        """Say the office's number."""
        conversation = self.conversation
        spoken = wording.phone_number(conversation.language, self.plan.clinic.office_number)
        await conversation.say(conversation.words("person_number", number=spoken))

    def about_the_recording(self) -> wording.Utterance:
        """That the recording has stopped; to a caller who never was recorded, that there is none."""
        conversation = self.conversation
        return conversation.words(
            "recording_stopped" if conversation.recording.ever_ran else "recording_not_running"
        )

    def office_hours(self) -> wording.Utterance:
        """The opening hours, generated from the plan and the clock."""
        conversation = self.conversation
        return wording.office_hours(self.plan, conversation.language, conversation.now())

    def address(self) -> wording.Utterance:
        """Where the office is, if staff wrote it down."""
        address = self.plan.clinic.address
        return self.conversation.words("address", address=address) if address else wording.Utterance()

    def switch_language(self, language: str) -> None:
        """Go on in `language`."""
        self.conversation.language = language
        self.conversation.timeline.language(language)

    def _leave(self) -> None:
        if self._running is None:
            self.over.set()
        elif not self.conversation.leave_question():
            self._running.cancel()

    async def _interrupted(self, error: BaseException) -> None:
        conversation = self.conversation
        if self._gone:
            return
        if not self._last_words:
            log.error("the call failed", exc_info=error, extra={"call": str(conversation.timeline.call)})
            conversation.progress.failed = True
        last_words = conversation.words(self._last_words or "trouble")
        conversation.progress.said_goodbye = True
        # A session that is closing already cannot say anything more.
        with contextlib.suppress(RuntimeError):
            await conversation.say(last_words, must_hear=True)
