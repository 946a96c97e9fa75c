"""What staff read when something in the phone's setup cannot work, and at which field."""

from datetime import date, time, timedelta

import pytest
from django.utils import timezone

from clinic.models import Clinic, Closure, OpeningInterval
from phone.building import clinic_with_setup
from phone.models import Menu, MenuOption, PhoneSettings, Wording
from phone.validation import problems_of, publish_date_problems
from tests.phone.clinics import Action, a_clinic, an_option

pytestmark = pytest.mark.django_db


def complaints(clinic: Clinic) -> list[tuple[str, str]]:
    """The field and the sentence of each problem."""
    return [(problem.field, problem.sentence) for problem in problems_of(clinic_with_setup(clinic.pk))]


def the_complaint(clinic: Clinic) -> tuple[str, str]:
    [complaint] = complaints(clinic)
    return complaint


@pytest.fixture
def clinic() -> Clinic:
    return a_clinic()


@pytest.fixture
def menu(clinic) -> Menu:
    return clinic.menus.get()


@pytest.fixture
def settings_row(clinic) -> PhoneSettings:
    return clinic.phone_settings


def change(row, **fields):
    type(row).objects.filter(pk=row.pk).update(**fields)


def test_a_complete_clinic_has_nothing_to_put_right(clinic):
    assert complaints(clinic) == []


def test_two_options_on_one_key(clinic, menu):
    an_option(menu, "1", "visits", Action.OFFICE_HOURS)
    assert the_complaint(clinic) == (
        "key",
        "Menu “Main menu”, key 1: Key 1 is used twice: for “appointments” and for “visits”. "
        "Give one of them another.",
    )


def test_an_option_that_is_switched_off_may_hold_anything(clinic, menu):
    an_option(menu, "1", "later", Action.SUBMENU, enabled=False)
    assert complaints(clinic) == []


@pytest.mark.parametrize(
    ("key", "action", "sentence"),
    [
        ("0", Action.OFFICE_HOURS, "Key 0 is kept for reaching a person"),
        ("#", Action.OFFICE_HOURS, "Key # ends an entry"),
        ("*", Action.OFFICE_HOURS, "Key * repeats what was said"),
        ("9", Action.OFFICE_HOURS, "Key 9 switches to Español from the greeting on"),
    ],
)
def test_keys_that_mean_something_else(clinic, menu, key, action, sentence):
    an_option(menu, key, "hours", action)
    field, complaint = the_complaint(clinic)
    assert field == "key"
    assert sentence in complaint


@pytest.mark.parametrize(
    ("key", "action", "language"),
    [("0", Action.PERSON, ""), ("*", Action.REPEAT, ""), ("9", Action.LANGUAGE, "es")],
)
def test_those_keys_with_their_own_meaning(clinic, menu, key, action, language):
    an_option(menu, key, "it", action, language=language)
    assert complaints(clinic) == []


@pytest.mark.parametrize(
    ("action", "fields", "field", "sentence"),
    [
        (Action.SAY, {}, "message", "Write the message in English and Español."),
        (Action.SAY, {"message": {"en": "Here."}}, "message", "Write the message in Español."),
        (Action.SUBMENU, {}, "target_menu", "Choose the menu that this option leads to."),
        (Action.LANGUAGE, {}, "language", "Choose one of the clinic's languages to switch to."),
    ],
)
def test_an_option_without_what_its_action_needs(clinic, menu, action, fields, field, sentence):
    an_option(menu, "3", "more", action, **fields)
    assert the_complaint(clinic) == (field, f"Menu “Main menu”, key 3: {sentence}")


def test_an_option_that_leads_to_another_clinics_menu(clinic, menu):
    other = a_clinic(slug="hill", number="+15550110").menus.get()
    an_option(menu, "3", "more", Action.SUBMENU, target_menu=other)
    field, sentence = the_complaint(clinic)
    assert (field, "belongs to another clinic" in sentence) == ("target_menu", True)


def test_a_label_and_an_introduction_missing_in_a_language(clinic, menu):
    change(menu, intro={"en": "Welcome."})
    change(MenuOption.objects.get(key="1"), label={"en": "appointments", "es": " "})
    assert complaints(clinic) == [
        ("intro", "Write the introduction of “Main menu” in Español."),
        ("label", "Menu “Main menu”, key 1: Write this option in Español."),
    ]


def test_a_menu_nobody_can_reach(clinic):
    spare = Menu.objects.create(clinic=clinic, name="Spare")
    an_option(spare, "1", "hours", Action.OFFICE_HOURS)
    field, sentence = the_complaint(clinic)
    assert field == "name"
    assert sentence.startswith("Nobody can reach the menu “Spare”.")


def test_a_menu_without_options(clinic, menu):
    empty = Menu.objects.create(clinic=clinic, name="Empty")
    an_option(menu, "3", "more", Action.SUBMENU, target_menu=empty)
    assert the_complaint(clinic) == ("options", "The menu “Empty” has no options.")


def test_menus_that_only_lead_to_each_other(clinic, menu):
    one = Menu.objects.create(clinic=clinic, name="One")
    two = Menu.objects.create(clinic=clinic, name="Two")
    an_option(menu, "3", "one", Action.SUBMENU, target_menu=one)
    an_option(one, "1", "two", Action.SUBMENU, target_menu=two)
    an_option(two, "1", "one", Action.SUBMENU, target_menu=one)
    an_option(two, "2", "again", Action.REPEAT)
    circles = [sentence for _, sentence in complaints(clinic)]
    assert len(circles) == 2
    assert all("go round in circles" in sentence for sentence in circles)
    an_option(two, "3", "hours", Action.OFFICE_HOURS)
    assert complaints(clinic) == []


def test_no_main_menu_and_no_menu_for_closed_hours(clinic, settings_row):
    change(settings_row, main_menu=None, closed_menu=None)
    assert [field for field, _ in complaints(clinic)] == ["main_menu", "closed_menu"]


def test_a_clinic_that_never_closes_needs_no_closed_menu(clinic, settings_row):
    change(settings_row, closed_menu=None)
    clinic.opening_intervals.all().delete()
    OpeningInterval.objects.bulk_create(
        OpeningInterval(clinic=clinic, weekday=day, opens=time(0), closes=time(0)) for day in range(7)
    )
    assert complaints(clinic) == []


def test_opening_times_that_overlap(clinic):
    OpeningInterval.objects.create(clinic=clinic, weekday=0, opens=time(16), closes=time(19))
    assert the_complaint(clinic) == (
        "opening_intervals",
        "The opening times Monday 08:00–17:00 and Monday 16:00–19:00 overlap.",
    )


def test_a_closures_message_missing_in_a_language(clinic):
    Closure.objects.create(
        clinic=clinic,
        name="Summer",
        starts_on=date(2026, 8, 1),
        ends_on=date(2026, 8, 5),
        message={"en": "We are away."},
    )
    assert the_complaint(clinic) == ("message", "Write the message for “Summer” in Español.")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"id_min_digits": 6, "id_max_digits": 4}, "id_max_digits"),
        ({"id_min_digits": 0}, "id_min_digits"),
        ({"terminator": "*"}, "clear_key"),
        ({"terminator": "5"}, "terminator"),
    ],
)
def test_settings_that_contradict_each_other(clinic, settings_row, fields, field):
    change(settings_row, **fields)
    assert the_complaint(clinic)[0] == field


@pytest.mark.parametrize(
    ("key", "text", "sentence"),
    [
        ("greeting", {"en": "Hello from {clinic}."}, "Write this sentence in Español."),
        (
            "goodbye",
            {"en": "Bye, {name}.", "es": "Adiós."},
            "{name} means nothing in this sentence (English).",
        ),
        ("goodbye", {"en": "Bye {.", "es": "Adiós."}, "A curly bracket means nothing"),
        (
            "menu_option",
            {"en": "{label}.", "es": "{label}, {key}."},
            "Callers need {key} in this sentence (English)",
        ),
        ("consent_question", {}, "Callers need this sentence."),
        ("no_such_sentence", {"en": "Hm.", "es": "Hm."}, "Callers never hear a sentence called"),
    ],
)
def test_sentences_that_cannot_be_said(clinic, key, text, sentence):
    Wording.objects.create(clinic=clinic, key=key, text=text)
    assert sentence in the_complaint(clinic)[1]


def test_a_courtesy_may_be_left_out(clinic):
    Wording.objects.create(clinic=clinic, key="id_found", text={})
    assert complaints(clinic) == []


def test_leaving_out_the_emergency_sentence_has_to_be_confirmed(clinic, settings_row):
    Wording.objects.create(clinic=clinic, key="emergency", text={})
    assert "what to do in an emergency" in the_complaint(clinic)[1]
    change(settings_row, no_emergency_sentence=True)
    assert complaints(clinic) == []


def test_a_missing_office_number_is_a_warning_only(clinic):
    change(clinic, office_number="")
    [problem] = problems_of(clinic_with_setup(clinic.pk))
    assert (problem.row, problem.field, problem.blocks) == (clinic, "office_number", False)


def test_a_clinic_that_was_just_made_is_told_what_to_do_first():
    clinic = Clinic.objects.create(name="New", slug="new")
    assert [field for field, _ in complaints(clinic)] == ["main_menu", "closed_menu", "office_number"]


@pytest.mark.parametrize(
    ("mode", "hours", "complains"),
    [("at", None, True), ("at", -1, True), ("at", 1, False), ("by_hand", None, False)],
)
def test_the_date_to_publish_at(settings_row, mode, hours, complains):
    now = timezone.now()
    settings_row.publish_mode = mode
    settings_row.publish_at = hours and now + timedelta(hours=hours)
    assert bool(list(publish_date_problems(settings_row, now))) is complains
