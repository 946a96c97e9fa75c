"""The patient ID: entered on the keypad, read back, then looked up. No ID is no dead end."""

from __future__ import annotations

import asyncio
import logging

from agent_worker.conversation import Conversation
from agent_worker.database import in_database
from agent_worker.question import NO, Answer, KeypadTask, Question, confirm
from agent_worker.sealed import Sealed
from clinic.patients import Identification, identify
from phone import phrases
from phone.wording import Sensitive, Utterance

log = logging.getLogger(__name__)

TRIES = 3
LOOKUP_SECONDS = 3.0
"""How long the caller waits for the database before the call goes on without an ID."""


async def identify_caller(conversation: Conversation) -> Answer | None:
    """Attach the patient to the call, if the caller can name one. Returns a wish for a person, or None: go on."""
    conversation.enter("patient_id")
    prompt = conversation.question("id_question")
    attempt = 1
    for _ in range(TRIES):
        entry = await _ask_id(conversation, prompt, attempt)
        if entry.kind == "person":
            return entry
        if entry.sealed is None:
            await _go_on_without(conversation, "id_none" if entry.kind == "entry" else "id_given_up")
            return None
        attempt = entry.attempts + 1
        confirmation = await _read_back(conversation, entry.sealed)
        if confirmation.kind == "person":
            return confirmation
        if confirmation.kind == "gave_up":
            break
        if confirmation.keys == NO:
            prompt = conversation.question("id_question")
            continue
        found = await _look_up(conversation, entry.sealed)
        if found is None:
            await _go_on_without(conversation, "service_down")
            return None
        conversation.timeline.patient(found.outcome, found.patient_id)
        if found.outcome == "not_found":
            prompt = conversation.question("id_not_found")
            continue
        conversation.patient_id = found.patient_id
        await conversation.say(conversation.words("id_found" if found.patient_id else "id_locked"))
        return None
    await _go_on_without(conversation, "id_given_up")
    return None


async def _ask_id(conversation: Conversation, prompt: Utterance, attempt: int) -> Answer:
    language = conversation.language
    keypad = conversation.plan.keypad

    def understand(text: str) -> str | None:
        if phrases.has_none(conversation.plan.phrases[language], text):
            return ""
        return phrases.spoken_digits(language, text)

    return await KeypadTask(
        conversation,
        Question(
            prompt=prompt,
            rules=conversation.digit_rules(keypad.id_min_digits, keypad.id_max_digits),
            understand=understand,
            complaints={"too_short": "id_too_short", "invalid": "id_invalid", "no_input": "id_no_input"},
            limits=conversation.limits,
            sensitive=True,
            first_attempt=attempt,
        ),
    )


async def _read_back(conversation: Conversation, sealed: Sealed) -> Answer:
    prompt = conversation.question("id_read_back", digits=Sensitive(sealed.open()))
    return await confirm(conversation, prompt)


async def _look_up(conversation: Conversation, sealed: Sealed) -> Identification | None:
    try:
        return await asyncio.wait_for(
            in_database(
                identify,
                conversation.clinic_id,
                sealed.open(),
                conversation.line.caller,
                conversation.now(),
                count=conversation.line.origin != "simulated",
            ),
            LOOKUP_SECONDS,
        )
    except Exception:
        log.exception("patient look-up failed", extra={"call": str(conversation.timeline.call)})
        return None


async def _go_on_without(conversation: Conversation, sentence: str) -> None:
    conversation.timeline.patient("none")
    await conversation.say(conversation.words(sentence))
