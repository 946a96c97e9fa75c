"""Everything the phone keeps: what callers hear (`setup`) and what happened on calls (`calls`)."""

from phone.models.calls import Call, CallEvent, ConsentRecord, KeypadEntry, Request
from phone.models.setup import Menu, MenuOption, PhoneLine, PhoneSettings, PlanVersion, Wording

__all__ = [
    "Call",
    "CallEvent",
    "ConsentRecord",
    "KeypadEntry",
    "Menu",
    "MenuOption",
    "PhoneLine",
    "PhoneSettings",
    "PlanVersion",
    "Request",
    "Wording",
]
