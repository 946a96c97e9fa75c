"""Which telephone numbers the system may ever call. Pure; the numbering plans are libphonenumber's."""

from __future__ import annotations

from collections.abc import Iterable

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType, shortnumberinfo

DEFAULT_REGION = "US"

CALLABLE = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.VOIP,
        PhoneNumberType.UAN,
    }
)
"""What costs no more than a call does. Personal numbers are left out: in some countries they cost like premium ones."""


class NumberRefused(ValueError):
    """This number is never called. The message is a sentence for whoever entered it."""


def region_of(number: str) -> str:
    """The region (ISO 3166) of an E.164 `number`; the United States where it tells none."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or DEFAULT_REGION
    except phonenumbers.NumberParseException:
        return DEFAULT_REGION


def callable_number(typed: str, *, region: str, own: Iterable[str]) -> str:
    """`typed`, as it is written in `region` (ISO 3166) or in E.164, as an E.164 number that may be called.

    Raises NumberRefused for what is no number, for emergency, premium-rate and foreign numbers, and for `own`, the
    numbers (E.164) that lead back to this system.
    """
    shown = typed.strip()
    if shortnumberinfo.connects_to_emergency_number(_dialled(shown), region):
        raise NumberRefused(f"{shown} is an emergency number. A call is never handed to one.")
    try:
        number = phonenumbers.parse(shown, region)
    except phonenumbers.NumberParseException:
        raise NumberRefused(f"“{shown}” is no telephone number.") from None
    national = phonenumbers.national_significant_number(number)
    if shortnumberinfo.is_emergency_number(national, region):
        raise NumberRefused(f"{shown} is an emergency number. A call is never handed to one.")
    if not phonenumbers.is_valid_number(number) or number.extension:
        raise NumberRefused(f"“{shown}” is no telephone number that can be called.")
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if e164 in own:
        raise NumberRefused(f"{shown} is one of your own phone lines: callers would be led back to the menu.")
    _check_cost(number, shown, region)
    return e164


def _check_cost(number: PhoneNumber, shown: str, region: str) -> None:
    where = phonenumbers.region_code_for_number(number)
    if where != region:
        raise NumberRefused(f"{shown} is a number abroad. Only numbers in your own country are called.")
    if phonenumbers.number_type(number) not in CALLABLE:
        raise NumberRefused(f"{shown} is a number at a special rate. Such numbers are never called.")


def _dialled(typed: str) -> str:
    """The keys of what was typed, such as 911 of “9-1-1”."""
    return "".join(character for character in typed if character.isdecimal())
