"""Whole prompts, composed from the plan's sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import phonenumbers

from clinic import hours
from phone.plan import DirectoryEntry, Menu, MenuOption, PhonePlan
from phone.wording.texts import say
from phone.wording.times import spoken_list
from phone.wording.utterance import Utterance, joined, plain


def said_by_staff(texts: dict[str, str], plan: PhonePlan, language: str) -> Utterance:
    """What staff wrote in `language`; else, in its own language, what they wrote in the clinic's first one."""
    first = plan.clinic.languages[0]
    return plain(texts.get(language, ""), language) or plain(texts.get(first, ""), first)


def greeting(plan: PhonePlan, language: str, at: datetime, *, keys: bool) -> Utterance:
    """The emergency sentence, who this is, whether the office is closed, and the other languages."""
    return joined(
        (
            say(plan, "emergency", language),
            say(plan, "greeting", language),
            closed_notice(plan, language, at),
            *(
                say_offer(plan, key, other, keys=keys)
                for key, other in plan.language_offers(language).items()
            ),
        )
    )


def closed_notice(plan: PhonePlan, language: str, at: datetime) -> Utterance:
    """That the office is closed at `at`, in the day's own words if it has some; empty when open."""
    if plan.is_open(at):
        return Utterance()
    closure = hours.closure_at(plan.schedule, at)
    message = plain(closure.message.get(language, ""), language) if closure else Utterance()
    return message or say(plan, "closed_now", language)


def say_offer(plan: PhonePlan, key: str, language: str, *, keys: bool) -> Utterance:
    """The offer to go on in `language`, in that language."""
    offer = say(plan, "language_offer" if keys else "language_offer_voice", language, key=key)
    return offer.in_language(language)


def consent_question(plan: PhonePlan, language: str, *, keys: bool) -> Utterance:
    """The question, or the notice, that the clinic's policy wants; empty where nothing is ever recorded."""
    match plan.consent.policy:
        case "ask":
            return say(plan, "consent_question" if keys else "consent_question_voice", language)
        case "notice":
            return say(plan, "consent_notice", language)
        case "off":
            return Utterance()


def menu_prompt(plan: PhonePlan, menu: Menu, language: str, *, keys: bool) -> Utterance:
    """The menu's introduction, its options in order, and how to reach a person."""
    intro = said_by_staff(menu.intro, plan, language)
    if not intro and menu.name == plan.closed_menu != plan.main_menu:
        intro = say(plan, "menu_closed_intro", language)
    return intro + joined(_choices(plan, menu, language, keys))


def _choices(plan: PhonePlan, menu: Menu, language: str, keys: bool) -> Iterator[Utterance]:
    if keys:
        for option in menu.options:
            yield say(plan, "menu_option", language, label=label(plan, option, language), key=option.key)
        if menu.match_key("0") is None:
            yield say(plan, "menu_person", language)
        return
    if labels := [label(plan, option, language) for option in menu.options]:
        yield say(plan, "menu_choices_voice", language, choices=spoken_list(labels, language, style="or"))
    yield say(plan, "menu_person_voice", language)


def label(plan: PhonePlan, option: MenuOption, language: str) -> str:
    """The option's name as callers hear it."""
    return said_by_staff(option.label, plan, language).text


def person_name(plan: PhonePlan, entry: DirectoryEntry, language: str) -> str:
    """What callers hear this person called."""
    return said_by_staff(entry.spoken, plan, language).text or entry.name


def briefing(plan: PhonePlan, language: str, topic: str) -> Utterance:
    """What a person hears who is rung: for whom the call is, about what where that is known, and what to press."""
    if topic:
        return say(plan, "transfer_briefing_topic", language, topic=topic)
    return say(plan, "transfer_briefing", language)


def option_message(plan: PhonePlan, option: MenuOption, language: str) -> Utterance:
    """What an option of action `say` says."""
    return said_by_staff(option.message, plan, language)


def phone_number(language: str, e164: str) -> str:
    """A number as it is said in its own country, digit by digit: `5 5 5, 0 1 0, 1 2 3 4`.

    `e164` has its country code; anything else is said as it stands. Wrapped in `Sensitive`, the digits come
    from clips and are never shown.
    """
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        national = e164
    else:
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    groups = re.findall("[0-9]+", national)
    if len(groups) == 1:
        groups = _grouped(groups[0])
    return ", ".join(" ".join(group) for group in groups)


def _grouped(digits: str) -> list[str]:
    """Threes, and the last four together."""
    head, tail = digits[:-4], digits[-4:]
    return [*(head[start : start + 3] for start in range(0, len(head), 3)), tail]
