"""Everything the phone keeps: what callers hear (`setup`), whom they reach (`directory`), what happened on calls
(`calls`, `recordings`) and on test calls (`line_checks`), how long that stays (`retention`), what staff vouch for.
"""

from phone.models.calls import Call, CallEvent, ConsentRecord, KeypadEntry, Request
from phone.models.directory import DirectoryEntry
from phone.models.line_checks import LineCheck
from phone.models.readiness import Confirmation
from phone.models.recordings import Recording
from phone.models.retention import Deletion, LegalHold, RetentionRules
from phone.models.setup import Menu, MenuOption, PhoneLine, PhoneSettings, PlanVersion, Wording

__all__ = [
    "Call",
    "CallEvent",
    "Confirmation",
    "ConsentRecord",
    "Deletion",
    "DirectoryEntry",
    "KeypadEntry",
    "LegalHold",
    "LineCheck",
    "Menu",
    "MenuOption",
    "PhoneLine",
    "PhoneSettings",
    "PlanVersion",
    "Recording",
    "Request",
    "RetentionRules",
    "Wording",
]
