"""Everything a call needs, frozen, and the pure decisions on it. No ORM, no clock, no randomness.

A `PhonePlan` is what `PlanVersion.content` holds as JSON: `PhonePlan.model_validate(row.content)`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from clinic.hours import Frozen, Schedule

Action = Literal[
    "say",
    "office_hours",
    "receptionist",
    "appointment",
    "callback",
    "person",
    "urgent",
    "submenu",
    "repeat",
    "back",
    "language",
    "hang_up",
]


class ClinicFacts(Frozen):
    """What callers may be told of the clinic. `office_number` is E.164, or empty."""

    name: str
    languages: tuple[str, ...]
    address: str = ""
    office_number: str = ""
    receptionist_facts: str = ""


class ConsentRules(Frozen):
    """The clinic's consent policy (`phone.models.PhoneSettings` explains each choice)."""

    policy: Literal["ask", "notice", "off"] = "ask"
    input: Literal["keypad_and_voice", "keypad_only"] = "keypad_and_voice"
    covers_recording: bool = True
    covers_transcript: bool = True
    covers_outside_processing: bool = True
    on_refusal: Literal["hang_up", "continue_unrecorded"] = "continue_unrecorded"
    early_answer_permits_recording: bool = False


class KeypadRules(Frozen):
    """Timings in seconds, lengths in digits, limits in attempts. Source: VoiceXML 2.0 Appendix D."""

    first_key_timeout: float = 8.0
    inter_digit_timeout: float = 3.0
    id_first_key_timeout: float = 20.0
    id_inter_digit_timeout: float = 5.0
    id_min_digits: int = 4
    id_max_digits: int = 8
    terminator: str = "#"
    clear_key: str = "*"
    invalid_limit: int = 3
    no_input_limit: int = 3
    too_short_limit: int = 3


class MenuOption(Frozen):
    """One choice. Texts are by language; `phrases` are other words callers use for it."""

    key: str
    label: dict[str, str]
    phrases: dict[str, tuple[str, ...]] = {}
    action: Action
    identify_first: bool = False
    topic: str = ""
    message: dict[str, str] = {}
    target_menu: str = ""
    language: str = ""


class Menu(Frozen):
    """A list of choices, in the order in which they are spoken. `name` is its id within the plan."""

    name: str
    intro: dict[str, str] = {}
    options: tuple[MenuOption, ...] = ()

    def match_key(self, keys: str) -> MenuOption | None:
        """The option that `keys` choose, or None."""
        return next((option for option in self.options if option.key == keys), None)


class PhonePlan(Frozen):
    """One clinic's phone, frozen. `wording` and `phrases` are language → key → text, complete."""

    clinic: ClinicFacts
    schedule: Schedule
    consent: ConsentRules = ConsentRules()
    keypad: KeypadRules = KeypadRules()
    menus: tuple[Menu, ...] = ()
    main_menu: str = ""
    closed_menu: str = ""
    wording: dict[str, dict[str, str]] = {}
    phrases: dict[str, dict[str, tuple[str, ...]]] = {}
    max_call_seconds: int = 1800
    calls_at_once: int = 20

    def menu(self, name: str) -> Menu:
        """The menu called `name`. Raises KeyError when the plan has none."""
        for menu in self.menus:
            if menu.name == name:
                return menu
        raise KeyError(name)
