"""Recording consent: asked, announced or left out, as the clinic chose; the record says exactly what happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent_worker.conversation import Conversation
from agent_worker.question import NO, YES, Answer, KeypadTask, Question, yes_or_no_key
from phone import wording

Decision = Literal["given", "refused", "no_answer", "not_asked"]

SILENCES = 2
"""How often the question is asked into silence before the call goes on unrecorded."""


@dataclass(frozen=True)
class Consent:
    """The decision, or another wish that the caller uttered in place of one."""

    decision: Decision | None = None
    language: str | None = None
    wants_person: bool = False


async def ask_consent(conversation: Conversation) -> Consent:
    """Obtain the decision that the clinic's policy asks for, record it, and say what follows from it."""
    conversation.enter("consent")
    match conversation.plan.consent.policy:
        case "off":
            _record(conversation, "not_asked", how="policy")
            return Consent("not_asked")
        case "notice":
            return await _announce(conversation)
        case "ask":
            return await _ask(conversation)


async def _announce(conversation: Conversation) -> Consent:
    notice = conversation.words("consent_notice")
    asked_at = conversation.now()
    # Staying on the line counts for nothing where nothing was announced: typing ahead does not skip the notice.
    heard = await conversation.say(notice, must_hear=True)
    _record(conversation, "given", how="stayed", question=notice.text, asked_at=asked_at, heard_to_end=heard)
    return Consent("given")


async def _ask(conversation: Conversation) -> Consent:
    plan, language = conversation.plan, conversation.language
    prompt = wording.consent_question(plan, language, keys=conversation.keys)
    answer = await KeypadTask(
        conversation,
        Question(
            prompt=prompt,
            rules=conversation.choice_rules(YES + NO),
            understand=lambda text: yes_or_no_key(plan.phrases[language], text),
            takes_words=plan.consent.input == "keypad_and_voice",
            unclear="consent_unclear",
            limits={"no_input": SILENCES, "invalid": plan.keypad.invalid_limit},
            languages=conversation.other_languages,
        ),
    )
    match answer:
        case Answer(kind="language", keys=chosen):
            return Consent(language=chosen)
        case Answer(kind="entry", keys="1"):
            decision: Decision = "given"
        case Answer(kind="entry"):
            decision = "refused"
        case _:
            decision = "no_answer"
    _record(
        conversation,
        decision,
        how="silence" if answer.because == "no_input" else answer.source,
        question=prompt.text,
        asked_at=answer.asked_at,
        heard_to_end=answer.heard_to_end,
        given=_given(answer),
    )
    await _acknowledge(conversation, decision)
    return Consent(decision, wants_person=answer.kind == "person")


def _given(answer: Answer) -> str:
    """What the caller answered with: the key, or which kind of words. Their own words may go; the record stays."""
    if answer.kind == "person":
        return "0" if answer.source == "keypad" else "person"
    if answer.kind != "entry":
        return ""
    return answer.keys if answer.source == "keypad" else {YES: "yes", NO: "no"}[answer.keys]


async def _acknowledge(conversation: Conversation, decision: Decision) -> None:
    if decision == "no_answer":
        await conversation.say(conversation.words("consent_no_answer"))
    elif decision == "refused" and conversation.plan.consent.on_refusal == "hang_up":
        conversation.progress.refused = True
        await conversation.say(conversation.words("consent_refused_goodbye"), must_hear=True)
    elif decision == "refused":
        await conversation.say(conversation.words("consent_refused_continue"))


def _record(
    conversation: Conversation,
    decision: Decision,
    *,
    how: str,
    question: str = "",
    asked_at: datetime | None = None,
    heard_to_end: bool = False,
    given: str = "",
) -> None:
    rules = conversation.plan.consent
    permitted = decision == "given" and (heard_to_end or rules.early_answer_permits_recording)
    covers = (rules.covers_recording, rules.covers_transcript, rules.covers_outside_processing)
    conversation.outside_allowed = permitted and rules.covers_outside_processing
    consent = conversation.timeline.consent(
        decision=decision,
        how=how,
        language=conversation.language,
        wording=question,
        covers=covers if permitted else (False, False, False),
        asked_at=asked_at,
        heard_to_end=heard_to_end,
        answer=given,
    )
    if permitted and rules.covers_recording:
        conversation.recording.begin(consent)
    else:
        conversation.recording.stop()
