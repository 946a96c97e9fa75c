"""Which line a LiveKit room belongs to, and who calls there: read from names and `sip.…` attributes. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

import phonenumbers

from phone.livekit_api import Participant
from phone.models import PhoneLine

CALLER = "sip.phoneNumber"
DIALLED = "sip.trunkPhoneNumber"
PERSON = "clinic.person"
"""Our own attribute: whom we rang for a caller. They are no caller themselves."""


def is_person(attributes: Mapping[str, str]) -> bool:
    """Whether somebody with these attributes was rung by us."""
    return PERSON in attributes


CHECK_ROOM = "line-check-"
"""The rooms from which line checks make their calls begin with it. They belong to no line."""


def line_of_room(
    room: str, lines: Iterable[PhoneLine], caller: Participant | None = None
) -> PhoneLine | None:
    """The line by which the calls in this room came in; None for a room that is none of ours.

    Several lines may begin their rooms' names in the same way: then the number that `caller` dialled decides.
    """
    if room.startswith(CHECK_ROOM):
        return None
    ours = [line for line in lines if line.room_prefix and room.startswith(line.room_prefix)]
    dialled = e164(caller.attributes.get(DIALLED, "")) if caller else ""
    by_number = next((line for line in ours if str(line.number) == dialled), None)
    return by_number or max(ours, key=lambda line: (len(line.room_prefix), -line.pk), default=None)


def caller_number(caller: Participant) -> str:
    """Who calls, in E.164; empty where it is withheld, and in a browser."""
    return e164(caller.attributes.get(CALLER, ""))


def e164(number: str) -> str:
    """`number` as livekit-sip gives it, with or without its plus, in E.164. Empty if it is none: withheld, a name."""
    with contextlib.suppress(phonenumbers.NumberParseException):
        parsed = phonenumbers.parse(number if number.startswith("+") else f"+{number}")
        if phonenumbers.is_possible_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return ""
