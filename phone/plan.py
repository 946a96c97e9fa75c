"""Everything a call needs, frozen, and the pure decisions on it. No ORM, no clock, no randomness.

A `PhonePlan` is what `PlanVersion.content` holds as JSON: `PhonePlan.model_validate(row.content)`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from clinic import hours
from clinic.hours import Frozen, Schedule
from phone import phrases as words
from phone.numbers import NumberRefused, callable_number, region_of

LANGUAGE_KEYS = "98765432"
"""The keys that switch the language, for the second language, the third, and so on."""

Action = Literal[
    "say",
    "office_hours",
    "receptionist",
    "appointment",
    "callback",
    "voicemail",
    "person",
    "urgent",
    "submenu",
    "repeat",
    "back",
    "language",
    "stop_recording",
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
    person: str = ""


class Menu(Frozen):
    """A list of choices, in the order in which they are spoken. `name` is its id within the plan."""

    name: str
    intro: dict[str, str] = {}
    options: tuple[MenuOption, ...] = ()

    def offered(self, *, recorded: bool) -> Menu:
        """The menu as it is said: only callers who are recorded hear of an end to it. Its key always works."""
        if recorded:
            return self
        said = tuple(option for option in self.options if option.action != "stop_recording")
        return self.model_copy(update={"options": said})

    def match_key(self, keys: str) -> MenuOption | None:
        """The option that `keys` choose, or None."""
        return next((option for option in self.options if option.key == keys), None)

    def match_speech(
        self, text: str, language: str, phrases: Mapping[str, tuple[str, ...]] | None = None
    ) -> MenuOption | None:
        """The option that `text`, spoken or typed in `language`, chooses; None when none or several fit.

        Counted are the option's label, the words that staff gave it, the words of `phrases` for its action
        (a plan's `phrases[language]`; the product's own by default), and its key said as a number.
        """
        table = words.default_phrases(language) if phrases is None else phrases
        names = {
            position: words.OptionWords(
                key=option.key,
                label=option.label.get(language, ""),
                own=option.phrases.get(language, ()),
                action=table.get(f"action_{option.action}", ()),
            )
            for position, option in enumerate(self.options)
        }
        position = words.best_option(table, names, text, language)
        return None if position is None else self.options[position]


class DirectoryEntry(Frozen):
    """Somebody whom callers can be put through to. `name` is their id within the plan, `number` E.164.

    `spoken` is what callers hear them called, by language. They are rung for `ring_seconds` at most; with `manner` warm
    they are asked before the caller hears them.
    """

    name: str
    spoken: dict[str, str] = {}
    number: str
    manner: Literal["cold", "warm"] = "cold"
    ring_seconds: int = 25


class PhonePlan(Frozen):
    """One clinic's phone, frozen. `wording` and `phrases` are language → key → text, complete.

    `person` and `urgent_person` name entries of the directory; `own_numbers` are those of the clinic's lines (E.164).
    """

    clinic: ClinicFacts
    schedule: Schedule
    consent: ConsentRules = ConsentRules()
    keypad: KeypadRules = KeypadRules()
    menus: tuple[Menu, ...] = ()
    main_menu: str = ""
    closed_menu: str = ""
    directory: tuple[DirectoryEntry, ...] = ()
    person: str = ""
    urgent_person: str = ""
    own_numbers: tuple[str, ...] = ()
    wording: dict[str, dict[str, str]] = {}
    phrases: dict[str, dict[str, tuple[str, ...]]] = {}
    max_call_seconds: int = 1800
    voicemail_seconds: int = 180
    calls_at_once: int = 20

    def menu(self, name: str) -> Menu:
        """The menu called `name`. Raises KeyError when the plan has none."""
        for menu in self.menus:
            if menu.name == name:
                return menu
        raise KeyError(name)

    def entry(self, name: str) -> DirectoryEntry | None:
        """The person called `name` in the directory; None where there is none, or where their number is never called.

        Looked at here as well as when it was entered: a plan can be older than the rules.
        """
        entry = next((each for each in self.directory if each.name == name), None)
        if entry is None:
            return None
        home = region_of(self.clinic.office_number or next(iter(self.own_numbers), ""))
        try:
            number = callable_number(entry.number, region=home, own=self.own_numbers)
        except NumberRefused:
            return None
        return entry if number == entry.number else None

    def is_open(self, at: datetime) -> bool:
        """Whether the clinic is open at `at` (aware)."""
        return hours.is_open(self.schedule, at)

    def menu_at(self, at: datetime) -> Menu:
        """The menu that callers get at `at` (aware). Raises KeyError when the plan has none."""
        closed = bool(self.closed_menu) and not self.is_open(at)
        return self.menu(self.closed_menu if closed else self.main_menu)

    @property
    def language_keys(self) -> dict[str, str]:
        """Key → language, for callers who are greeted in the clinic's first language."""
        return self.language_offers(self.clinic.languages[0]) if self.clinic.languages else {}

    def language_offers(self, language: str) -> dict[str, str]:
        """Key → each other language, for callers who hear `language`: 9, then 8, 7 and so on."""
        others = [other for other in self.clinic.languages if other != language]
        return dict(zip(LANGUAGE_KEYS, others, strict=False))

    def content_hash(self) -> str:
        """SHA-256 (hex) of the plan's content: equal for equal plans, whatever order their JSON came in."""
        content = json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        return hashlib.sha256(content.encode()).hexdigest()
