"""Everything the phone keeps: what callers hear (`setup`), whom they reach (`directory`), what happened on calls
(`calls`, `recordings`), what staff vouch for.
"""

from phone.models.calls import Call, CallEvent, ConsentRecord, KeypadEntry, Request
from phone.models.directory import DirectoryEntry
from phone.models.readiness import Confirmation
from phone.models.recordings import Recording
from phone.models.setup import Menu, MenuOption, PhoneLine, PhoneSettings, PlanVersion, Wording

__all__ = [
    "Call",
    "CallEvent",
    "Confirmation",
    "ConsentRecord",
    "DirectoryEntry",
    "KeypadEntry",
    "Menu",
    "MenuOption",
    "PhoneLine",
    "PhoneSettings",
    "PlanVersion",
    "Recording",
    "Request",
    "Wording",
]
