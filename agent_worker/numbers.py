"""Telephone numbers as callers key them."""

from __future__ import annotations

import phonenumbers


def international(digits: str, region: str) -> str:
    """The E.164 form of `digits` dialled in `region` (ISO 3166), or an empty string if it cannot be a number."""
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return ""
    # A local number without its area code is "possible" too, but nobody can call it from elsewhere.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
