"""A menu: its options make the prompt, and a key or a phrase chooses one."""

from __future__ import annotations

from agent_worker.conversation import Conversation
from agent_worker.question import Answer, KeypadTask, Question
from phone import wording
from phone.plan import Menu, MenuOption


async def choose(conversation: Conversation, menu: Menu) -> MenuOption | Answer:
    """Let the caller choose. Return the option, or the answer that was none: a person, a language, a limit."""
    conversation.enter("menu")
    plan, language = conversation.plan, conversation.language
    offered = menu.offered(recorded=conversation.recording.running)
    option_keys = frozenset(option.key for option in menu.options)
    labels = {option.key: wording.label(plan, option, language) for option in menu.options}

    def understand(text: str) -> str | None:
        option = menu.match_speech(text, language, plan.phrases[language])
        return option.key if option else None

    answer = await KeypadTask(
        conversation,
        Question(
            prompt=wording.menu_prompt(plan, offered, language, keys=conversation.keys),
            rules=conversation.choice_rules(option_keys),
            understand=understand,
            decide=conversation.decider("Which of these does the caller want?", labels),
            limits=conversation.limits,
            languages={
                key: code for key, code in conversation.other_languages.items() if key not in option_keys
            },
        ),
    )
    if answer.kind != "entry":
        return answer
    option = menu.match_key(answer.keys)
    assert option is not None
    conversation.timeline.menu(menu=menu.name, option=labels[option.key], action=option.action)
    if option.action == "stop_recording" and conversation.consent_in_force:
        conversation.withdraw_consent(how=answer.source)
    return option
