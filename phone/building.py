"""From rows to a plan: what staff edited, read in a few queries and frozen."""

from __future__ import annotations

from collections.abc import Iterable

from clinic import hours
from clinic.languages import text_in
from clinic.models import Clinic, Closure
from phone import plan
from phone.directory import own_numbers
from phone.models import DirectoryEntry, Menu, MenuOption, PhoneSettings
from phone.wording import default_phrases, default_wording


def clinic_with_setup(clinic_id: int) -> Clinic:
    """The clinic with every row that makes its plan, in nine queries. Raises Clinic.DoesNotExist."""
    return (
        Clinic.objects.select_related("phone_settings__person", "phone_settings__urgent_person")
        .prefetch_related(
            "opening_intervals",
            "closures__intervals",
            "menus__options__person",
            "wordings",
            "directory",
            "phone_lines",
        )
        .get(pk=clinic_id)
    )


def settings_of(clinic: Clinic) -> PhoneSettings:
    """The clinic's phone settings; a clinic that never saved any has the ones a new clinic starts with."""
    try:
        return clinic.phone_settings
    except PhoneSettings.DoesNotExist:
        return PhoneSettings(clinic=clinic)


def build_plan(clinic: Clinic) -> plan.PhonePlan:
    """The plan that the clinic's rows make, valid or not, without the open/closed switch, which acts at once.

    Give it `clinic_with_setup(…)`: an instance without its rows costs a query for each menu and closure.
    """
    settings = settings_of(clinic)
    names: dict[int | None, str] = {menu.pk: menu.name for menu in clinic.menus.all()}
    people: dict[int | None, str] = {
        entry.pk: entry.name for entry in clinic.directory.all() if entry.enabled
    }
    return plan.PhonePlan(
        clinic=plan.ClinicFacts(
            name=clinic.name,
            languages=tuple(clinic.languages),
            address=clinic.address,
            office_number=str(clinic.office_number or ""),
            receptionist_facts=settings.receptionist_facts,
        ),
        schedule=schedule_of(clinic),
        consent=_consent(settings),
        keypad=_keypad(settings),
        menus=tuple(_menu(menu, clinic.languages, names, people) for menu in clinic.menus.all()),
        main_menu=names.get(settings.main_menu_id, ""),
        closed_menu=names.get(settings.closed_menu_id, ""),
        directory=tuple(_entry(entry, clinic.languages) for entry in clinic.directory.all() if entry.enabled),
        person=people.get(settings.person_id, ""),
        urgent_person=people.get(settings.urgent_person_id, ""),
        own_numbers=own_numbers(clinic),
        wording=_wording(clinic),
        phrases={language: default_phrases(language) for language in clinic.languages},
        max_call_seconds=settings.max_call_seconds,
        voicemail_seconds=settings.voicemail_seconds,
        calls_at_once=settings.calls_at_once,
    )


def schedule_of(clinic: Clinic) -> hours.Schedule:
    """The clinic's timetable, without its switch."""
    return hours.Schedule(
        zone=clinic.time_zone,
        week=tuple(
            hours.Interval(weekday=interval.weekday, opens=interval.opens, closes=interval.closes)
            for interval in clinic.opening_intervals.all()
        ),
        closures=tuple(_closure(closure, clinic.languages) for closure in clinic.closures.all()),
    )


def _closure(closure: Closure, languages: Iterable[str]) -> hours.Closure:
    return hours.Closure(
        name=closure.name,
        starts_on=closure.starts_on,
        ends_on=closure.ends_on,
        yearly=closure.yearly,
        hours=tuple(
            hours.SpecialInterval(opens=interval.opens, closes=interval.closes)
            for interval in closure.intervals.all()
        ),
        message=_texts(closure.message, languages),
    )


def _consent(settings: PhoneSettings) -> plan.ConsentRules:
    return plan.ConsentRules(
        policy=settings.consent_policy,
        input=settings.consent_input,
        covers_recording=settings.covers_recording,
        covers_transcript=settings.covers_transcript,
        covers_outside_processing=settings.covers_outside_processing,
        on_refusal=settings.on_refusal,
        early_answer_permits_recording=settings.early_answer_permits_recording,
    )


def _keypad(settings: PhoneSettings) -> plan.KeypadRules:
    return plan.KeypadRules(**{rule: getattr(settings, rule) for rule in plan.KeypadRules.model_fields})


def _entry(entry: DirectoryEntry, languages: Iterable[str]) -> plan.DirectoryEntry:
    return plan.DirectoryEntry(
        name=entry.name,
        spoken=_texts(entry.spoken, languages),
        number=str(entry.number),
        manner=entry.manner,
        ring_seconds=entry.ring_seconds,
    )


Names = dict[int | None, str]


def _menu(menu: Menu, languages: Iterable[str], names: Names, people: Names) -> plan.Menu:
    return plan.Menu(
        name=menu.name,
        intro=_texts(menu.intro, languages),
        options=tuple(_option(row, languages, names, people) for row in menu.options.all() if row.enabled),
    )


def _option(option: MenuOption, languages: Iterable[str], names: Names, people: Names) -> plan.MenuOption:
    return plan.MenuOption(
        key=option.key,
        label=_texts(option.label, languages),
        phrases={
            language: tuple(phrase.strip() for phrase in text.split(",") if phrase.strip())
            for language, text in _texts(option.phrases, languages).items()
        },
        action=option.action,
        identify_first=option.identify_first,
        topic=option.topic,
        message=_texts(option.message, languages),
        target_menu=names.get(option.target_menu_id, ""),
        language=option.language,
        person=people.get(option.person_id, ""),
    )


def _wording(clinic: Clinic) -> dict[str, dict[str, str]]:
    wording = {language: dict(default_wording(language)) for language in clinic.languages}
    for row in clinic.wordings.all():
        texts = _texts(row.text, clinic.languages)
        # A sentence that is blank in every language is one that the clinic leaves unsaid.
        for language in texts or clinic.languages:
            wording[language][row.key] = texts.get(language, "")
    return wording


def _texts(texts: dict[str, str], languages: Iterable[str]) -> dict[str, str]:
    return {language: text_in(texts, language) for language in languages if text_in(texts, language)}
