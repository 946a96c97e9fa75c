"""The receptionist: the keypad form, which needs no model, and the hand-over to the talking one."""

from __future__ import annotations

from functools import partial

from agent_worker.conversation import Conversation
from agent_worker.question import Answer, KeypadTask, Question
from phone import phrases
from phone.phrases import OptionWords

APPOINTMENT, CALLBACK, HOURS = "1", "2", "3"
ACTIONS = {APPOINTMENT: "appointment", CALLBACK: "callback", HOURS: "office_hours"}


async def ask_what_for(conversation: Conversation) -> Answer:
    """Offer what the office can do without a person on the line: `keys` 1 appointment, 2 call back, 3 hours."""
    conversation.enter("receptionist")
    prompt = conversation.words("receptionist_intro") + conversation.question("receptionist_menu")
    return await KeypadTask(
        conversation,
        Question(
            prompt=prompt,
            rules=conversation.choice_rules(APPOINTMENT + CALLBACK + HOURS),
            understand=partial(understand, conversation),
            limits=conversation.limits,
        ),
    )


def understand(conversation: Conversation, text: str) -> str | None:
    """The key of what `text` asks the receptionist for, by phrases alone."""
    language = conversation.language
    known = conversation.plan.phrases[language]
    names = {
        int(key): OptionWords(key=key, label="", own=(), action=known.get(f"action_{action}", ()))
        for key, action in ACTIONS.items()
    }
    option = phrases.best_option(known, names, text, language)
    return None if option is None else str(option)
