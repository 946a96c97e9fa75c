"""Every text that a plan can say without knowing the clock or the caller, so that its audio can be ready."""

from __future__ import annotations

from collections.abc import Iterator

from phone.plan import PhonePlan
from phone.wording.prompts import (
    briefing,
    label,
    menu_prompt,
    option_message,
    person_name,
    phone_number,
    say_offer,
)
from phone.wording.texts import FIXED_PLACEHOLDERS, WORDING_KEYS, digit_clips, placeholders, say, template
from phone.wording.times import time_of_day, week
from phone.wording.utterance import Sensitive, Utterance, plain

_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_READ_BACK = frozenset({"digits", "number"})


def fixed_utterances(plan: PhonePlan) -> Iterator[tuple[str, str]]:
    """Each (language, text of a part) once, of everything that needs neither clock nor caller."""
    seen: set[tuple[str, str]] = set()
    for language in plan.clinic.languages:
        for utterance in _utterances(plan, language):
            parts = (part for part in utterance.parts if not part.sensitive and _UNKNOWN not in part.text)
            seen.update((part.language, part.text) for part in parts)
        seen.update((language, text) for text in digit_clips(language))
    yield from sorted(seen)


def _utterances(plan: PhonePlan, language: str) -> Iterator[Utterance]:
    for key in WORDING_KEYS:
        yield from _without_values(plan, key, language)
    for keys in (True, False):
        for key, other in plan.language_offers(language).items():
            yield say_offer(plan, key, other, keys=keys)
        for menu in plan.menus:
            yield menu_prompt(plan, menu, language, keys=keys)
    for menu in plan.menus:
        for option in menu.options:
            yield option_message(plan, option, language)
    for closure in plan.schedule.closures:
        yield plain(closure.message.get(language, ""), language)
    yield from _facts(plan, language)
    yield from _transfers(plan, language)
    yield from _hours(plan, language)


def _without_values(plan: PhonePlan, key: str, language: str) -> Iterator[Utterance]:
    """The parts of a sentence that stay the same whatever is filled in."""
    names = placeholders(template(plan, key, language)) - {"clinic"}
    if names & FIXED_PLACEHOLDERS:
        return
    values: dict[str, str | Sensitive] = dict.fromkeys(names, _UNKNOWN)
    if not key.startswith("person_"):
        values |= {name: Sensitive("0") for name in names & _READ_BACK}
    yield say(plan, key, language, **values)


def _facts(plan: PhonePlan, language: str) -> Iterator[Utterance]:
    if plan.clinic.office_number:
        number = phone_number(language, plan.clinic.office_number)
        yield say(plan, "person_number", language, number=number)
    if plan.clinic.address:
        yield say(plan, "address", language, address=plan.clinic.address)


def _transfers(plan: PhonePlan, language: str) -> Iterator[Utterance]:
    """What callers hear while somebody is fetched, and what that person hears."""
    for entry in plan.directory:
        person = person_name(plan, entry, language)
        for key in WORDING_KEYS:
            if "person" in placeholders(template(plan, key, language)):
                yield say(plan, key, language, person=person)
    yield briefing(plan, language, "")
    for menu in plan.menus:
        for option in menu.options:
            yield briefing(plan, language, label(plan, option, language))


def _hours(plan: PhonePlan, language: str) -> Iterator[Utterance]:
    """The week, and the sentences about now for each time at which the clinic opens or closes."""
    yield week(plan, language)
    for interval in plan.schedule.week:
        opens = time_of_day(plan, language, interval.opens)
        closes = time_of_day(plan, language, interval.closes)
        yield say(plan, "hours_open_now", language, time=closes)
        yield say(plan, "hours_opens_today", language, time=opens)
        yield say(plan, "hours_opens_tomorrow", language, time=opens)
