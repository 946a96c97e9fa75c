"""What the plan decides: open or closed, which menu, which option, which language, and whether it changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from phone.phrases import default_phrases
from phone.plan import ClinicFacts, Menu, MenuOption, PhonePlan
from tests.phone.plans import APPOINTMENTS, MAIN, OFFICE_HOURS, a_plan, a_schedule, at

CLOSED = Menu(name="After hours", options=(OFFICE_HOURS,))


def an_option(key: str, label: str, action: str = "say", **fields: object) -> MenuOption:
    return MenuOption.model_validate({"key": key, "label": {"en": label}, "action": action, **fields})


def test_the_main_menu_is_offered_while_the_clinic_is_open():
    plan = a_plan(menus=(MAIN, CLOSED), closed_menu=CLOSED.name)
    assert plan.is_open(at("2026-11-23 16:59"))
    assert plan.menu_at(at("2026-11-23 16:59")) == MAIN


def test_the_closed_menu_is_offered_from_the_minute_the_clinic_closes():
    plan = a_plan(menus=(MAIN, CLOSED), closed_menu=CLOSED.name)
    assert not plan.is_open(at("2026-11-23 17:00"))
    assert plan.menu_at(at("2026-11-23 17:00")) == CLOSED


def test_a_clinic_without_a_closed_menu_offers_its_main_menu_at_night():
    assert a_plan().menu_at(at("2026-11-23 23:00")) == MAIN


def test_a_plan_without_its_menu_says_so():
    with pytest.raises(KeyError):
        a_plan(main_menu="gone").menu_at(at("2026-11-23 12:00"))


@pytest.mark.parametrize(
    ("languages", "greeted_in", "offers"),
    [
        (("en",), "en", {}),
        (("en", "es"), "en", {"9": "es"}),
        (("en", "es"), "es", {"9": "en"}),
        (("es", "en"), "es", {"9": "en"}),
        (("en", "es", "fr"), "en", {"9": "es", "8": "fr"}),
        (("en", "es", "fr"), "fr", {"9": "en", "8": "es"}),
    ],
)
def test_every_other_language_has_a_key(languages, greeted_in, offers):
    plan = PhonePlan(clinic=ClinicFacts(name="C", languages=languages), schedule=a_schedule())
    assert plan.language_offers(greeted_in) == offers


def test_language_keys_are_the_offers_of_the_first_greeting():
    assert a_plan().language_keys == {"9": "es"}


def test_a_plan_survives_its_way_through_the_database():
    plan = a_plan()
    stored = json.loads(json.dumps(plan.model_dump(mode="json")))
    again = PhonePlan.model_validate(stored)
    assert again == plan
    assert again.content_hash() == plan.content_hash()


def test_the_hash_does_not_depend_on_the_order_of_texts():
    turned = APPOINTMENTS.model_copy(update={"label": {"es": "citas", "en": "appointments"}})
    menu = MAIN.model_copy(update={"options": (turned, OFFICE_HOURS)})
    assert a_plan(menus=(menu,)).content_hash() == a_plan().content_hash()


def test_the_hash_changes_with_one_word_and_with_the_order_of_options():
    renamed = APPOINTMENTS.model_copy(update={"label": {"en": "an appointment", "es": "citas"}})
    menus = [
        MAIN.model_copy(update={"options": (renamed, OFFICE_HOURS)}),
        MAIN.model_copy(update={"options": (OFFICE_HOURS, APPOINTMENTS)}),
        MAIN,
    ]
    assert len({a_plan(menus=(menu,)).content_hash() for menu in menus}) == 3


def test_a_plan_cannot_be_changed():
    with pytest.raises(ValidationError):
        a_plan().main_menu = "another"


def test_a_key_chooses_its_option():
    assert MAIN.match_key("2") == OFFICE_HOURS
    assert MAIN.match_key("7") is None
    assert MAIN.match_key("") is None


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("appointments", "1"),
        ("Appointment", "1"),
        ("I'd like to make an appointment, please", "1"),
        ("what are your hours?", "2"),
        ("office hours", "2"),
        ("When do you close today?", "2"),
        ("the office", "2"),
        ("one", "1"),
        ("press two", "2"),
        ("option 1", "1"),
        ("2", "2"),
        ("I don't want an appointment, I want your hours", "2"),
        ("not the office hours", None),
        ("hours and appointments", None),
        ("three", None),
        ("I have one cat", None),
        ("what a lovely day", None),
        ("", None),
        ("?!", None),
    ],
)
def test_words_choose_an_option(said, key):
    chosen = MAIN.match_speech(said, "en")
    assert (chosen.key if chosen else None) == key


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("quiero una cita", "1"),
        ("citas", "1"),
        ("¿cuál es su horario?", "2"),
        ("a que hora abren", "2"),
        ("la opción dos", "2"),
        ("no quiero una cita", None),
    ],
)
def test_spanish_words_choose_an_option(said, key):
    chosen = MAIN.match_speech(said, "es")
    assert (chosen.key if chosen else None) == key


def test_staff_can_teach_an_option_other_words():
    option = an_option("3", "billing", phrases={"en": ("my invoice", "pay a bill")})
    menu = Menu(name="m", options=(APPOINTMENTS, option))
    assert menu.match_speech("I got a question about my invoice", "en") == option
    assert menu.match_speech("can I pay a bill here", "en") == option


def test_the_longest_match_wins():
    new, change = an_option("1", "an appointment"), an_option("2", "change an appointment")
    menu = Menu(name="m", options=(new, change))
    assert menu.match_speech("I want to change an appointment", "en") == change
    assert menu.match_speech("I want an appointment", "en") == new


def test_words_that_name_two_options_equally_well_choose_none():
    menu = Menu(name="m", options=(an_option("1", "dental cleaning"), an_option("2", "dental implants")))
    assert menu.match_speech("something dental", "en") is None
    assert menu.match_speech("cleaning", "en") == menu.options[0]


def test_what_staff_wrote_comes_before_what_an_action_is_usually_called():
    request = an_option("1", "request a visit", action="appointment")
    talk = an_option("2", "appointments", action="receptionist")
    menu = Menu(name="m", options=(request, talk))
    assert menu.match_speech("appointment", "en") == talk


def test_a_published_plan_keeps_the_phrases_it_was_published_with():
    phrases = {**default_phrases("en"), "action_office_hours": ("is anybody there",)}
    assert MAIN.match_speech("is anybody there", "en", phrases) == OFFICE_HOURS
    assert MAIN.match_speech("when do you close", "en", phrases) is None


@given(st.text())
def test_no_text_breaks_a_menu(said):
    for language in ("en", "es"):
        assert MAIN.match_speech(said, language) in (None, APPOINTMENTS, OFFICE_HOURS)
