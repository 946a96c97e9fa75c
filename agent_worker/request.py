"""What the office has to do after the call: taken by keypad, read back, and never called a booking."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent_worker.conversation import Conversation
from agent_worker.ids import uuid7
from agent_worker.numbers import international
from agent_worker.question import YES, Answer, KeypadTask, Question, confirm
from phone import phrases, wording
from phone.records import RequestTaken
from phone.wording import Sensitive

PARTS_OF_DAY = {"1": "morning", "2": "afternoon", "3": "any"}
KEY_OF_PART = {part: key for key, part in PARTS_OF_DAY.items()}
FEWEST_DIGITS, MOST_DIGITS = 7, 15
"""E.164 allows fifteen digits; seven is the shortest local number."""
TRIES = 3


@dataclass(frozen=True)
class Wish:
    """What a request is for. `part_of_day` and `note` are what the caller said already."""

    kind: str
    priority: str = "normal"
    topic: str = ""
    part_of_day: str = ""
    note: str = ""


async def take_request(conversation: Conversation, wish: Wish) -> Answer | None:
    """Ask when and where to call, and store the request. Returns the answer that ended it early, or None: done.

    A number that was left is stored at once, unconfirmed, so that hanging up does not lose it. It stays unconfirmed
    for a caller who never says that it was read back right.
    """
    conversation.enter("request")
    part_of_day = wish.part_of_day
    if wish.priority == "normal" and not part_of_day:
        answer = await _ask_part_of_day(conversation, wish)
        if answer.kind != "entry":
            return answer
        part_of_day = PARTS_OF_DAY[answer.keys]
    request = _draft(conversation, wish, part_of_day)
    if conversation.line.caller:
        own = conversation.question(
            "request_number_own", number=_read_out(conversation, conversation.line.caller)
        )
        answer = await confirm(conversation, own)
        if answer.kind != "entry":
            return answer
        if answer.keys == YES:
            await _promise(conversation, replace(request, number=conversation.line.caller, confirmed=True))
            return None
    return await _with_typed_number(conversation, request)


async def _with_typed_number(conversation: Conversation, request: RequestTaken) -> Answer | None:
    for _ in range(TRIES):
        answer = await _ask_number(conversation)
        if answer.kind != "entry" or answer.sealed is None:
            return answer
        number = international(answer.sealed.open(), conversation.region)
        request = replace(request, number=number, at=conversation.now())
        conversation.left(request)
        answer = await confirm(
            conversation,
            conversation.question("request_number_read_back", number=_read_out(conversation, number)),
        )
        if answer.kind != "entry":
            return answer
        if answer.keys == YES:
            await _promise(conversation, replace(request, confirmed=True))
            return None
    return answer


async def _ask_part_of_day(conversation: Conversation, wish: Wish) -> Answer:
    known = conversation.plan.phrases[conversation.language]
    key = "appointment" if wish.kind == "appointment" else "callback"
    return await KeypadTask(
        conversation,
        Question(
            prompt=conversation.question(f"request_part_of_day_{key}"),
            rules=conversation.choice_rules("123"),
            understand=lambda text: KEY_OF_PART.get(phrases.part_of_day(known, text) or ""),
            decide=conversation.decider("Which part of the day suits the caller?", PARTS_OF_DAY),
            limits=conversation.limits,
        ),
    )


async def _ask_number(conversation: Conversation) -> Answer:
    language, region = conversation.language, conversation.region
    return await KeypadTask(
        conversation,
        Question(
            prompt=conversation.question("request_number_ask"),
            rules=conversation.digit_rules(FEWEST_DIGITS, MOST_DIGITS),
            understand=lambda text: phrases.spoken_digits(language, text),
            valid=lambda keys: bool(international(keys, region)),
            complaints={
                "too_short": "request_number_invalid",
                "invalid": "request_number_invalid",
                "no_input": "request_number_no_input",
            },
            limits=conversation.limits,
            sensitive=True,
        ),
    )


def _draft(conversation: Conversation, wish: Wish, part_of_day: str) -> RequestTaken:
    now = conversation.now()
    return RequestTaken(
        call=conversation.timeline.call,
        id=uuid7(now),
        at=now,
        clinic_id=conversation.clinic_id,
        kind=wish.kind,
        priority=wish.priority,
        number="",
        part_of_day=part_of_day,
        topic=wish.topic,
        note=wish.note,
        language=conversation.language,
        confirmed=False,
        due_at=wording.due_at(conversation.plan, now),
        patient_id=conversation.patient_id,
    )


async def _promise(conversation: Conversation, request: RequestTaken) -> None:
    conversation.left(request)
    await conversation.say(promise(conversation, request), must_hear=True)


def promise(conversation: Conversation, request: RequestTaken) -> wording.Utterance:
    """What the caller is told of a settled request: a request, not a booking, and by when the office calls."""
    if request.due_at is None:
        return conversation.words("request_promise_no_time")
    due = wording.moment(conversation.plan, conversation.language, request.due_at, conversation.now())
    kind = "appointment" if request.kind == "appointment" else "callback"
    return conversation.words(f"request_promise_{kind}", due=due)


def _read_out(conversation: Conversation, number: str) -> Sensitive:
    return Sensitive(wording.phone_number(conversation.language, number))
