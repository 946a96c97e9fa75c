"""What changed between two plans, in the words of those who edit them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import time
from typing import TypeVar

from django.db.models import Model
from django.utils.formats import date_format, time_format

from clinic.hours import Closure, Interval, Schedule, SpecialInterval
from clinic.languages import LANGUAGES
from clinic.models import Clinic, OpeningInterval
from phone.models import DirectoryEntry, PhoneSettings
from phone.models import MenuOption as MenuOptionRow
from phone.plan import Menu, MenuOption, PhonePlan
from phone.wording import WORDING_KEYS

T = TypeVar("T")
NOTHING = "nothing"
CHOICES = {
    "consent_policy": PhoneSettings.Consent.choices,
    "consent_input": PhoneSettings.ConsentInput.choices,
    "on_refusal": PhoneSettings.Refusal.choices,
}
Texts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that callers meet differently: where, and what it was before and is after."""

    where: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.where}: {self.before} → {self.after}"


def compare(old: PhonePlan, new: PhonePlan) -> list[Difference]:
    """What differs for callers from `old` to `new`, in the order of a call. Empty when nothing does."""
    return [
        *_clinic(old, new),
        *_schedule(old.schedule, new.schedule),
        *_settings(old, new),
        *_directory(old, new),
        *_menus(old, new),
        *_wording(old, new),
    ]


def wording_name(key: str) -> str:
    """A wording key as staff read it: `id_read_back` is “id read back”."""
    return key.replace("_", " ")


def _clinic(old: PhonePlan, new: PhonePlan) -> Iterator[Difference]:
    for field in ("name", "address", "office_number"):
        label = _capital(_name(Clinic, field))
        yield from _changed(label, getattr(old.clinic, field), getattr(new.clinic, field), _quoted)
    yield from _changed("Languages", old.clinic.languages, new.clinic.languages, _languages)
    yield from _changed(
        "What the receptionist may tell",
        old.clinic.receptionist_facts,
        new.clinic.receptionist_facts,
        _quoted,
    )


def _schedule(old: Schedule, new: Schedule) -> Iterator[Difference]:
    yield from _changed("Time zone", old.zone, new.zone, str)
    for weekday in OpeningInterval.Weekday:
        yield from _changed(f"Opening hours, {weekday.label}", _day(old, weekday), _day(new, weekday), str)
    before, after = _by_name(old.closures), _by_name(new.closures)
    for name in _names(before, after):
        yield from _changed(f"Closed days, {name}", before.get(name, ()), after.get(name, ()), _closures)


def _settings(old: PhonePlan, new: PhonePlan) -> Iterator[Difference]:
    for field in type(old.consent).model_fields:
        row_field = {"policy": "consent_policy", "input": "consent_input"}.get(field, field)
        yield from _setting(row_field, getattr(old.consent, field), getattr(new.consent, field))
    for field in type(old.keypad).model_fields:
        yield from _setting(field, getattr(old.keypad, field), getattr(new.keypad, field))
    for field in (
        "max_call_seconds",
        "voicemail_seconds",
        "calls_at_once",
        "main_menu",
        "closed_menu",
        "person",
        "urgent_person",
    ):
        yield from _setting(field, getattr(old, field), getattr(new, field))


def _setting(field: str, before: object, after: object) -> Iterator[Difference]:
    choices = dict(CHOICES.get(field, ()))

    def shown(value: object) -> str:
        if isinstance(value, bool):
            return _yes_or_no(value)
        return str(choices.get(str(value), value)) or NOTHING

    yield from _changed(f"Phone settings, {_name(PhoneSettings, field)}", before, after, shown)


def _directory(old: PhonePlan, new: PhonePlan) -> Iterator[Difference]:
    before = {entry.name: entry for entry in old.directory}
    after = {entry.name: entry for entry in new.directory}
    for name in _names(before, after):
        where = f"Directory, {name}"
        if name not in after:
            yield Difference(where, before[name].number, "removed")
        elif name not in before:
            yield Difference(where, "new", after[name].number)
        else:
            was, is_ = before[name], after[name]
            yield from _texts(f"{where}, what callers hear", was.spoken, is_.spoken)
            yield from _changed(f"{where}, number", was.number, is_.number, str)
            yield from _changed(f"{where}, how calls are put through", was.manner, is_.manner, _manner)
            yield from _changed(f"{where}, seconds to ring", was.ring_seconds, is_.ring_seconds, str)


def _manner(manner: str) -> str:
    return str(DirectoryEntry.Manner(manner).label)


def _menus(old: PhonePlan, new: PhonePlan) -> Iterator[Difference]:
    before = {menu.name: menu for menu in old.menus}
    after = {menu.name: menu for menu in new.menus}
    for name in _names(before, after):
        where = f"Menu “{name}”"
        if name not in after:
            yield Difference(where, _options(before[name]), "removed")
        elif name not in before:
            yield Difference(where, "new", _options(after[name]))
        else:
            yield from _menu(where, before[name], after[name])


def _menu(where: str, old: Menu, new: Menu) -> Iterator[Difference]:
    yield from _texts(f"{where}, introduction", old.intro, new.intro)
    before = {option.key: option for option in old.options}
    after = {option.key: option for option in new.options}
    for key in _names(before, after):
        option = f"{where}, key {key}"
        if key not in after:
            yield Difference(option, _option(before[key]), "removed")
        elif key not in before:
            yield Difference(option, "new", _option(after[key]))
        else:
            yield from _menu_option(option, before[key], after[key])
    stayed = [key for key in before if key in after], [key for key in after if key in before]
    yield from _changed(f"{where}, order of the keys", *stayed, ", ".join)


def _menu_option(where: str, old: MenuOption, new: MenuOption) -> Iterator[Difference]:
    yield from _texts(f"{where}, label", old.label, new.label)
    phrases = [{lang: ", ".join(words) for lang, words in option.phrases.items()} for option in (old, new)]
    yield from _texts(f"{where}, phrases", *phrases)
    yield from _changed(f"{where}, what happens", old.action, new.action, _action)
    yield from _changed(
        f"{where}, asks for the patient ID", old.identify_first, new.identify_first, _yes_or_no
    )
    yield from _changed(f"{where}, topic", old.topic, new.topic, _quoted)
    yield from _texts(f"{where}, message", old.message, new.message)
    yield from _changed(f"{where}, leads to menu", old.target_menu, new.target_menu, _quoted)
    yield from _changed(f"{where}, language", old.language, new.language, _language)
    yield from _changed(f"{where}, person", old.person, new.person, _quoted)


def _wording(old: PhonePlan, new: PhonePlan) -> Iterator[Difference]:
    # A language that came or went is one difference, not one for each of its sentences.
    languages = [language for language in old.wording if language in new.wording]
    for key in WORDING_KEYS:
        yield from _texts(
            f"Wording, {wording_name(key)}",
            {language: old.wording[language].get(key, "") for language in languages},
            {language: new.wording[language].get(key, "") for language in languages},
        )


def _texts(where: str, old: Texts, new: Texts) -> Iterator[Difference]:
    for language in _names(old, new):
        place = f"{where} ({_language(language)})"
        yield from _changed(place, old.get(language, ""), new.get(language, ""), _quoted)


def _changed(where: str, old: T, new: T, shown: Callable[[T], str]) -> Iterator[Difference]:
    if old != new:
        yield Difference(where, shown(old), shown(new))


def _names(old: dict[str, T], new: dict[str, T]) -> list[str]:
    return [*old, *(name for name in new if name not in old)]


def _by_name(closures: tuple[Closure, ...]) -> dict[str, tuple[Closure, ...]]:
    named: dict[str, tuple[Closure, ...]] = {}
    for closure in closures:
        named[closure.name] = (*named.get(closure.name, ()), closure)
    return named


def _closures(closures: tuple[Closure, ...]) -> str:
    return "; ".join(_closure(closure) for closure in closures) or NOTHING


def _closure(closure: Closure) -> str:
    days = date_format(closure.starts_on)
    if closure.ends_on != closure.starts_on:
        days = f"{days} to {date_format(closure.ends_on)}"
    parts = [days, "every year" if closure.yearly else "", _times(closure.hours) or "closed"]
    parts += [f"{_language(language)}: {_quoted(text)}" for language, text in closure.message.items()]
    return ", ".join(part for part in parts if part)


def _day(schedule: Schedule, weekday: int) -> str:
    return _times(interval for interval in schedule.week if interval.weekday == weekday) or "closed"


def _times(intervals: Iterable[Interval | SpecialInterval]) -> str:
    return ", ".join(f"{_time(interval.opens)} to {_time(interval.closes)}" for interval in intervals)


def _time(moment: time) -> str:
    return time_format(moment, "g:i A")


def _options(menu: Menu) -> str:
    return "; ".join(f"{option.key}: {_option(option)}" for option in menu.options) or "no options"


def _option(option: MenuOption) -> str:
    return _quoted(next(iter(option.label.values()), _action(option.action)))


def _action(action: str) -> str:
    return str(MenuOptionRow.Action(action).label)


def _languages(languages: Iterable[str]) -> str:
    return ", ".join(_language(language) for language in languages) or NOTHING


def _language(language: str) -> str:
    return LANGUAGES.get(language, language) or NOTHING


def _quoted(text: str) -> str:
    return f"“{text}”" if text else NOTHING


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _name(model: type[Model], field: str) -> str:
    return str(getattr(model._meta.get_field(field), "verbose_name", field))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
