"""What is wrong with a clinic's phone setup, in sentences that staff understand, each at its row and field.

The functions for one row serve the admin's forms, where the save happens; `problems_of` looks at everything,
for the plan page and before publishing. None of them saves, and none minds rows that are half filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from django.utils import timezone

from clinic import hours
from clinic.languages import LANGUAGES, text_in
from clinic.models import Clinic, OpeningInterval
from phone.building import schedule_of, settings_of
from phone.directory import directory_problems, option_person_problems, person_problems
from phone.models import Menu, MenuOption, PhoneSettings, Wording
from phone.plan import LANGUAGE_KEYS
from phone.problems import Problem, text_problems
from phone.wording import WORDING_KEYS, placeholders

Action = MenuOption.Action
GOES_ROUND = {Action.SUBMENU, Action.REPEAT, Action.BACK, Action.LANGUAGE}
"""Actions that lead to a menu again. Every other one gets the caller something, or ends the call."""

MAY_BE_LEFT_OUT = {
    "emergency",
    "closed_now",
    "language_switched",
    "menu_closed_intro",
    "menu_person",
    "menu_person_voice",
    "help_limit",
    "id_found",
    "id_none",
    "id_given_up",
    "person_offer_request",
    "transfer_connecting",
    "urgent_intro",
    "request_saved",
    "receptionist_intro",
    "receptionist_anything_else",
    "goodbye",
}
"""Sentences that a clinic may leave unsaid; without any other one, callers would not know what to do."""

MUST_STAY = {"key", "label", "choices", "digits", "number"}
"""Placeholders that a sentence must keep where the product's own has them."""


def problems_of(clinic: Clinic, now: datetime | None = None) -> list[Problem]:
    """Everything that is wrong with the clinic's rows, what blocks first. Give it `clinic_with_setup(…)`."""
    settings = settings_of(clinic)
    problems = [
        *_clinic_problems(clinic),
        *_menu_choice_problems(clinic, settings, now or timezone.now()),
        *settings_problems(settings),
        *person_problems(settings, clinic),
        *directory_problems(clinic),
        *(problem for menu in clinic.menus.all() for problem in _menu_problems(menu, clinic, settings)),
        *_graph_problems(clinic, settings),
        *(
            problem
            for wording in clinic.wordings.all()
            for problem in wording_problems(wording, clinic, settings)
        ),
    ]
    return sorted(problems, key=lambda problem: not problem.blocks)


def option_problems(
    option: MenuOption, languages: Sequence[str], settings: PhoneSettings
) -> Iterator[Problem]:
    """What is wrong with one option by itself. Nothing, when it is switched off."""
    if not option.enabled:
        return
    yield from text_problems(option, "label", option.label, languages, "this option")
    if option.key == "0" and option.action != Action.PERSON:
        yield Problem(
            "Key 0 is kept for reaching a person, in every menu. Choose another key, or let it reach "
            "a person.",
            option,
            "key",
        )
    if option.key == settings.terminator:
        yield Problem(
            f"Key {option.key} ends an entry, such as a patient ID. Choose another key.", option, "key"
        )
    if option.key == settings.clear_key and option.action != Action.REPEAT:
        yield Problem(
            f"Key {option.key} repeats what was said and clears an entry. Choose another key.", option, "key"
        )
    greeting_language = dict(zip(LANGUAGE_KEYS, languages[1:], strict=False)).get(option.key)
    if greeting_language and (option.action, option.language) != (Action.LANGUAGE, greeting_language):
        yield Problem(
            f"Key {option.key} switches to {LANGUAGES[greeting_language]} from the greeting on. Choose another "
            "key, or let it switch to that language.",
            option,
            "key",
        )
    if option.action == Action.SAY:
        yield from text_problems(option, "message", option.message, languages, "the message")
    if option.action == Action.SUBMENU and option.target_menu_id is None:
        yield Problem("Choose the menu that this option leads to.", option, "target_menu")
    if option.action == Action.LANGUAGE and option.language not in languages:
        yield Problem("Choose one of the clinic's languages to switch to.", option, "language")


def same_key_problems(options: Iterable[MenuOption]) -> Iterator[Problem]:
    """The options that share a key with an earlier one of the same menu."""
    taken: dict[str, MenuOption] = {}
    for option in options:
        if not option.enabled or not option.key:
            continue
        if option.key in taken:
            first, second = (_option_name(each) for each in (taken[option.key], option))
            yield Problem(
                f"Key {option.key} is used twice: for {first} and for {second}. Give one of them another.",
                option,
                "key",
            )
        taken.setdefault(option.key, option)


def settings_problems(settings: PhoneSettings) -> Iterator[Problem]:
    """What is wrong with the phone settings by themselves. The date to publish at is not looked at."""
    if settings.id_min_digits < 1:
        yield Problem("An ID has at least one digit.", settings, "id_min_digits")
    if settings.id_min_digits > settings.id_max_digits:
        yield Problem(
            f"The most digits of an ID ({settings.id_max_digits}) cannot be fewer than the fewest "
            f"({settings.id_min_digits}).",
            settings,
            "id_max_digits",
        )
    for field in ("terminator", "clear_key"):
        key = getattr(settings, field)
        if key.isdigit():
            yield Problem(
                f"Key {key} is needed for entering numbers. Choose a key that is no digit, such as # or *.",
                settings,
                field,
            )
    if settings.terminator == settings.clear_key:
        yield Problem(
            f"Key {settings.clear_key} cannot both end an entry and clear it. Choose two keys.",
            settings,
            "clear_key",
        )


def publish_date_problems(settings: PhoneSettings, now: datetime) -> Iterator[Problem]:
    """A date to publish at that is missing, or gone by at `now` (aware)."""
    if settings.publish_mode != PhoneSettings.PublishMode.AT:
        return
    if settings.publish_at is None:
        yield Problem("Choose when the changes shall go live.", settings, "publish_at")
    elif settings.publish_at <= now:
        yield Problem("This moment has gone by. Choose a later one.", settings, "publish_at")


def wording_problems(wording: Wording, clinic: Clinic, settings: PhoneSettings) -> Iterator[Problem]:
    """What is wrong with one sentence of the clinic's own."""
    key = WORDING_KEYS.get(wording.key)
    if key is None:
        yield Problem(f"Callers never hear a sentence called “{wording.key}”. Delete it.", wording, "key")
        return
    if any(text_in(wording.text, language) for language in clinic.languages):
        yield from text_problems(wording, "text", wording.text, clinic.languages, "this sentence")
        for language in clinic.languages:
            yield from _placeholder_problems(wording, language)
    elif wording.key not in MAY_BE_LEFT_OUT:
        yield Problem(
            "Callers need this sentence. Write your own, or delete this entry to have the usual one said.",
            wording,
            "text",
        )
    elif wording.key == "emergency" and not settings.no_emergency_sentence:
        yield Problem(
            "Callers would not hear what to do in an emergency. Write the sentence, or confirm in the phone "
            "settings that callers hear no emergency sentence.",
            wording,
            "text",
        )


def _placeholder_problems(wording: Wording, language: str) -> Iterator[Problem]:
    key = WORDING_KEYS[wording.key]
    text = text_in(wording.text, language)
    if not text:
        return
    unknown = sorted(placeholders(text) - key.placeholders)
    stray = re.search(r"[{}]", re.sub(r"\{\w+\}", "", text))
    if unknown or stray:
        named = f"{{{unknown[0]}}}" if unknown else "A curly bracket"
        yield Problem(
            f"{named} means nothing in this sentence ({LANGUAGES[language]}). It may hold "
            f"{_in_braces(key.placeholders)}.",
            wording,
            "text",
        )
    missing = key.placeholders & MUST_STAY - placeholders(text)
    if missing:
        yield Problem(
            f"Callers need {_in_braces(missing)} in this sentence ({LANGUAGES[language]}).", wording, "text"
        )


def _clinic_problems(clinic: Clinic) -> Iterator[Problem]:
    if not clinic.languages:
        yield Problem("Choose at least one language.", clinic, "languages")
    if not clinic.office_number:
        yield Problem(
            "Callers who want a person hear no number: the clinic has none for its office. They can still "
            "leave a request.",
            clinic,
            "office_number",
            blocks=False,
        )
    for first, second in hours.overlaps(schedule_of(clinic).week):
        yield Problem(
            f"The opening times {_stretch(first)} and {_stretch(second)} overlap.",
            clinic,
            "opening_intervals",
        )
    for closure in clinic.closures.all():
        if any(closure.message.values()):
            yield from text_problems(
                closure, "message", closure.message, clinic.languages, f"the message for “{closure.name}”"
            )


def _menu_choice_problems(clinic: Clinic, settings: PhoneSettings, now: datetime) -> Iterator[Problem]:
    if settings.main_menu_id is None:
        yield Problem("Choose the main menu: the one that callers hear first.", settings, "main_menu")
    if settings.closed_menu_id is None:
        schedule = schedule_of(clinic)
        if schedule.closures or not hours.is_open(schedule, now) or hours.closes_at(schedule, now):
            yield Problem(
                "The clinic is closed at times. Choose the menu that callers hear then; it may be the "
                "main menu.",
                settings,
                "closed_menu",
            )


def _menu_problems(menu: Menu, clinic: Clinic, settings: PhoneSettings) -> Iterator[Problem]:
    options = [option for option in menu.options.all() if option.enabled]
    if not options:
        yield Problem(f"The menu “{menu.name}” has no options.", menu, "options")
    if any(menu.intro.values()):
        yield from text_problems(
            menu, "intro", menu.intro, clinic.languages, f"the introduction of “{menu.name}”"
        )
    of_clinic = {each.pk for each in clinic.menus.all()}
    for option in options:
        for problem in option_problems(option, clinic.languages, settings):
            yield _located(problem, menu)
        if option.target_menu_id and option.target_menu_id not in of_clinic:
            yield _located(Problem("This menu belongs to another clinic.", option, "target_menu"), menu)
        for problem in option_person_problems(option, clinic.pk):
            yield _located(problem, menu)
    for problem in same_key_problems(options):
        yield _located(problem, menu)


def _located(problem: Problem, menu: Menu) -> Problem:
    """The same problem, with a sentence that also makes sense away from the option's own form."""
    where = f"Menu “{menu.name}”"
    if isinstance(problem.row, MenuOption):
        where = f"{where}, key {problem.row.key}"
    return Problem(f"{where}: {problem.sentence}", problem.row, problem.field, problem.blocks)


def _graph_problems(clinic: Clinic, settings: PhoneSettings) -> Iterator[Problem]:
    """Menus that nobody can reach, and menus from which callers get nowhere but to menus."""
    menus = list(clinic.menus.all())
    options = {menu.pk: [option for option in menu.options.all() if option.enabled] for menu in menus}
    leads_to = {
        pk: {
            option.target_menu_id
            for option in row
            if option.action == Action.SUBMENU and option.target_menu_id
        }
        for pk, row in options.items()
    }
    reached = _closed_over({settings.main_menu_id, settings.closed_menu_id}, leads_to)
    comes_from = {pk: {other for other, targets in leads_to.items() if pk in targets} for pk in options}
    has_way_out = _closed_over(
        {pk for pk, row in options.items() if any(option.action not in GOES_ROUND for option in row)},
        comes_from,
    )
    for menu in menus:
        if menu.pk not in reached and (settings.main_menu_id or settings.closed_menu_id):
            yield Problem(
                f"Nobody can reach the menu “{menu.name}”. Let an option of another menu lead to it, or "
                "delete it.",
                menu,
                "name",
            )
        elif menu.pk not in has_way_out and options[menu.pk]:
            yield Problem(
                f"Callers in the menu “{menu.name}” go round in circles: no option gets them anything. Add "
                "one that does, such as reaching a person.",
                menu,
                "options",
            )


def _closed_over(start: set[int | None], leads_to: dict[int, set[int]]) -> set[int]:
    """Everything that can be got to from `start`, `start` included."""
    reached: set[int] = set()
    waiting = [pk for pk in start if pk in leads_to]
    while waiting:
        pk = waiting.pop()
        if pk not in reached:
            reached.add(pk)
            waiting.extend(target for target in leads_to[pk] if target in leads_to)
    return reached


def _option_name(option: MenuOption) -> str:
    label = next((text for text in option.label.values() if text), "")
    return f"“{label}”" if label else f"“{option.get_action_display()}”"


def _stretch(interval: hours.Interval) -> str:
    day = OpeningInterval.Weekday(interval.weekday).label
    return f"{day} {interval.opens:%H:%M}–{interval.closes:%H:%M}"


def _in_braces(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))
