"""What callers hear: sentences with their values, greeting, consent, menus, read-back, and what can be ready."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.hours import Closure, Interval
from clinic.languages import LANGUAGES
from phone.plan import ConsentRules, Menu, MenuOption
from phone.wording import (
    WORDING_KEYS,
    Part,
    Sensitive,
    Utterance,
    WordingError,
    consent_question,
    default_wording,
    digit_words,
    due_at,
    fixed_utterances,
    greeting,
    menu_prompt,
    moment,
    office_hours,
    option_message,
    phone_number,
    placeholders,
    say,
)
from tests.phone.plans import APPOINTMENTS, MAIN, OFFICE_HOURS, a_plan, a_schedule, at

OPEN, CLOSED = at("2026-11-23 10:00"), at("2026-11-23 20:00")
DIGITS = st.text("0123456789", min_size=1, max_size=15)


# Utterances


def test_sensitive_digits_are_spoken_and_never_shown():
    utterance = say(a_plan(), "id_read_back", "en", digits=Sensitive("4821"))
    assert utterance.text == "You entered ••••. If that is right, press 1. To enter it again, press 2."
    assert utterance.spoken.startswith("You entered four eight two one. If that is right")


def test_each_sensitive_digit_is_a_part_of_its_own():
    utterance = say(a_plan(), "id_read_back", "es", digits=Sensitive("407"))
    assert [part.text for part in utterance.parts if part.sensitive] == ["cuatro", "cero", "siete."]


def test_a_number_is_read_back_in_groups():
    number = Sensitive(phone_number("en", "+12125550123"))
    utterance = say(a_plan(), "request_number_own", "en", number=number)
    assert utterance.text.startswith("Shall we call you at •••, •••, ••••? Press 1")
    assert "two one two, five five five, zero one two three?" in utterance.spoken


@given(DIGITS, st.sampled_from(["id_read_back", "request_number_own", "request_number_read_back"]))
def test_the_text_of_a_read_back_holds_none_of_its_digits(digits, key):
    for language in LANGUAGES:
        utterance = say(a_plan(), key, language, digits=Sensitive(digits), number=Sensitive(digits))
        template = default_wording(language)[key]
        assert sorted(re.findall("[0-9]", utterance.text)) == sorted(re.findall("[0-9]", template))
        assert utterance.text.count("•") == len(digits)
        assert not set(digit_words(language).values()) & set(re.findall(r"\w+", utterance.text))


@given(st.text(max_size=40))
def test_a_sensitive_part_shows_separators_only(text):
    assert set(Part(text, sensitive=True).masked) <= set("• .,?-") | {char for char in text if char.isspace()}


def test_a_sensitive_part_does_not_show_in_a_traceback_either():
    assert "4821" not in repr(Utterance((Part("4821", sensitive=True),)))


def test_utterances_add_up():
    both = Utterance((Part("Hello."),)) + Utterance((Part("Goodbye."),))
    assert both.text == both.spoken == "Hello. Goodbye."
    assert Utterance().empty
    assert not both.empty
    assert (Utterance() + Utterance()).text == ""


# Sentences


def test_the_clinics_name_fills_itself():
    assert say(a_plan(), "greeting", "en").text.startswith("Thank you for calling Bright Smile Dental.")


def test_the_clinics_own_words_come_first():
    plan = a_plan(wording={"en": {"goodbye": "See you soon at {clinic}."}})
    assert say(plan, "goodbye", "en").text == "See you soon at Bright Smile Dental."
    assert say(plan, "goodbye", "es").text == "Gracias por llamar. Adiós."


def test_a_plan_published_before_a_sentence_existed_says_the_products_own():
    plan = a_plan().model_copy(update={"wording": {}})
    assert say(plan, "goodbye", "es").text == "Gracias por llamar. Adiós."


def test_a_language_without_its_own_texts_hears_the_clinics_first_language():
    plan = a_plan(wording={"en": {"goodbye": "See you soon."}})
    assert say(plan, "goodbye", "fr").text == "See you soon."


def test_a_sentence_that_the_clinic_wants_unsaid_is_not_said():
    assert say(a_plan(wording={"en": {"emergency": ""}}), "emergency", "en").empty


def test_an_unknown_sentence_is_an_error_that_names_it():
    with pytest.raises(WordingError, match="grating"):
        say(a_plan(), "grating", "en")


def test_a_missing_value_is_an_error_that_names_sentence_and_placeholder():
    with pytest.raises(WordingError, match=r"'id_read_back' needs a value for \{digits\}"):
        say(a_plan(), "id_read_back", "en")


def test_a_value_in_braces_is_not_filled_in_again():
    assert say(a_plan(), "address", "en", address="{clinic}").text == "Our address is {clinic}."


def test_only_the_sentence_with_the_unknown_value_is_a_part_of_its_own():
    utterance = say(a_plan(), "request_promise_appointment", "en", due="Monday 10 AM")
    assert [part.text for part in utterance.parts] == [
        "This is a request, not a booking.",
        "We will call you by Monday 10 AM.",
    ]


def test_a_title_does_not_end_a_sentence():
    plan = a_plan(wording={"en": {"request_promise_callback": "Dr. Lee calls you by {due}. Goodbye."}})
    parts = [part.text for part in say(plan, "request_promise_callback", "en", due="noon").parts]
    assert parts == ["Dr. Lee calls you by noon.", "Goodbye."]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_sentence_with_the_same_placeholders(language):
    texts = default_wording(language)
    assert list(texts) == list(WORDING_KEYS)
    for key, text in texts.items():
        assert placeholders(text) | {"clinic"} == WORDING_KEYS[key].placeholders, key


def test_staff_can_read_what_each_sentence_is_for():
    for key in WORDING_KEYS.values():
        assert key.group
        assert key.description.endswith(".")


def test_the_greeting_the_consent_and_the_goodbye_keep_to_the_agreed_words():
    texts = default_wording("en")
    assert texts["emergency"] == "If this is a medical emergency, hang up and dial 911."
    assert texts["consent_refused_goodbye"] == "I understand. Goodbye."
    assert "not a booking" in texts["request_promise_appointment"]
    assert "booked" not in " ".join(texts.values())


# Prompts


def test_the_greeting_begins_with_the_emergency_sentence_and_offers_the_other_language():
    assert greeting(a_plan(), "en", OPEN, keys=True).text == (
        "If this is a medical emergency, hang up and dial 911. "
        "Thank you for calling Bright Smile Dental. I am an automated assistant. "
        "Para español, oprima 9."
    )


def test_the_offer_of_a_language_is_spoken_in_that_language():
    offer = greeting(a_plan(), "en", OPEN, keys=True).parts[-1]
    assert (offer.text, offer.language) == ("Para español, oprima 9.", "es")


def test_a_caller_without_keys_is_never_told_to_press_one():
    plan = a_plan()
    for language, press in (("en", "press"), ("es", "oprim")):
        prompts = [
            greeting(plan, language, OPEN, keys=False),
            consent_question(plan, language, keys=False),
            menu_prompt(plan, MAIN, language, keys=False),
        ]
        for prompt in prompts:
            assert press not in prompt.text.casefold()
        voice = {key: text for key, text in default_wording(language).items() if key.endswith("_voice")}
        assert not [key for key, text in voice.items() if press in text.casefold()]


def test_every_question_with_keys_has_a_form_without_them():
    texts = default_wording("en")
    pressing = {key for key, text in texts.items() if re.search(r"press|enter", text)}
    alone = {"menu_option", "id_read_back", "request_number_read_back"}
    # Without keys a message is sent as soon as its caller falls silent.
    alone |= {"voicemail_again", "voicemail_review"}
    # A person who is rung has a telephone of their own.
    alone |= {"transfer_briefing", "transfer_briefing_topic"}
    assert {key for key in pressing - alone if f"{key}_voice" not in texts} == set()
    assert {"id_read_back_voice", "request_number_read_back_voice", "menu_choices_voice"} <= texts.keys()


def test_the_greeting_says_that_the_office_is_closed():
    assert "Our office is closed right now." in greeting(a_plan(), "en", CLOSED, keys=True).text


def test_the_greeting_of_a_closed_day_has_the_days_own_words():
    thanksgiving = Closure(
        name="Thanksgiving",
        starts_on=date(2026, 11, 26),
        ends_on=date(2026, 11, 26),
        message={"en": "We are closed for Thanksgiving."},
    )
    plan = a_plan(schedule=a_schedule(closures=(thanksgiving,)))
    heard = greeting(plan, "en", at("2026-11-26 10:00"), keys=True).text
    assert "We are closed for Thanksgiving." in heard
    assert "closed right now" not in heard
    assert "closed" not in greeting(plan, "en", at("2026-11-25 10:00"), keys=True).text


@pytest.mark.parametrize(
    ("policy", "heard"),
    [
        ("ask", "This call may be recorded. Do you consent? Press 1 for yes, or 2 for no."),
        ("notice", "This call may be recorded."),
        ("off", ""),
    ],
)
def test_the_consent_question_follows_the_policy(policy, heard):
    plan = a_plan(consent=ConsentRules(policy=policy))
    assert consent_question(plan, "en", keys=True).text == heard


def test_the_options_make_the_menu_in_their_order():
    menu = Menu(name="m", intro={"en": "How can we help?"}, options=(OFFICE_HOURS, APPOINTMENTS))
    assert menu_prompt(a_plan(), menu, "en", keys=True).text == (
        "How can we help? For office hours, press 2. For appointments, press 1. To reach a person, press 0."
    )


def test_a_menu_for_the_ear_alone_names_its_choices():
    assert menu_prompt(a_plan(), MAIN, "en", keys=False).text == (
        "You can say: appointments or office hours. To reach a person, say: a person."
    )
    assert "citas o el horario" in menu_prompt(a_plan(), MAIN, "es", keys=False).text


def test_a_menu_whose_zero_means_something_else_does_not_promise_a_person_there():
    zero = MenuOption(key="0", label={"en": "the front desk"}, action="person")
    prompt = menu_prompt(a_plan(), Menu(name="m", options=(zero,)), "en", keys=True)
    assert prompt.text == "For the front desk, press 0."


def test_a_closed_menu_without_an_introduction_gets_one():
    closed = Menu(name="After hours", options=(OFFICE_HOURS,))
    plan = a_plan(menus=(MAIN, closed), closed_menu=closed.name)
    assert menu_prompt(plan, closed, "en", keys=True).text.startswith(
        "You can still choose one of these. For"
    )
    assert menu_prompt(plan, MAIN, "en", keys=True).text.startswith("For appointments")
    assert menu_prompt(a_plan(closed_menu=MAIN.name), MAIN, "en", keys=True).text.startswith(
        "For appointments"
    )


def test_a_message_without_a_translation_is_spoken_in_the_language_it_is_written_in():
    option = MenuOption(
        key="3", label={"en": "parking"}, action="say", message={"en": "Park behind the house."}
    )
    assert option_message(a_plan(), option, "es").parts == (Part("Park behind the house.", language="en"),)


def test_a_label_without_a_translation_is_said_as_it_is():
    option = MenuOption(key="3", label={"en": "parking"}, action="say")
    assert (
        "Para parking, oprima 3."
        in menu_prompt(a_plan(), Menu(name="m", options=(option,)), "es", keys=True).text
    )


@pytest.mark.parametrize(
    ("number", "spoken"),
    [
        ("+12125550123", "2 1 2, 5 5 5, 0 1 2 3"),
        ("+15550101234", "5 5 5, 0 1 0, 1 2 3 4"),
        ("+442079460958", "0 2 0, 7 9 4 6, 0 9 5 8"),
        ("+15550100", "5 5 5, 0 1 0 0"),
        ("911", "9 1 1"),
        ("anonymous", ""),
    ],
)
def test_a_phone_number_is_said_digit_by_digit_in_groups(number, spoken):
    assert phone_number("en", number) == spoken


# What can be rendered before the first call


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_needs_neither_clock_nor_caller_is_ready(language):
    say_it = MenuOption(
        key="3", label={"en": "parking"}, action="say", message={"en": "Park behind the house."}
    )
    menu = MAIN.model_copy(update={"options": (APPOINTMENTS, OFFICE_HOURS, say_it)})
    plan = a_plan(menus=(menu,))
    ready = set(fixed_utterances(plan))
    number = Sensitive(phone_number(language, "+12125550123"))
    prompts = [
        *(greeting(plan, language, when, keys=keys) for when in (OPEN, CLOSED) for keys in (True, False)),
        *(consent_question(plan, language, keys=keys) for keys in (True, False)),
        *(menu_prompt(plan, menu, language, keys=keys) for keys in (True, False)),
        *(office_hours(plan, language, when) for when in (OPEN, CLOSED, at("2026-11-23 07:00"))),
        say(plan, "id_question", language),
        say(plan, "id_read_back", language, digits=Sensitive("0123456789")),
        say(plan, "request_number_own", language, number=number),
        say(plan, "person_number", language, number=phone_number(language, "+12125550123")),
        say(plan, "address", language, address="12 Main Street"),
    ]
    for prompt in prompts:
        for part in prompt.parts:
            assert (part.language, part.text) in ready


@given(DIGITS)
def test_every_digit_of_a_read_back_has_its_clip(digits):
    plan = a_plan(wording={"en": {"id_read_back": "Is {digits} right, or {digits}! {digits}"}})
    clips = set(fixed_utterances(plan))
    for part in say(plan, "id_read_back", "en", digits=Sensitive(f"{digits}, {digits}")).parts:
        if part.sensitive:
            assert ("en", part.text) in clips


def test_each_text_is_rendered_once():
    texts = list(fixed_utterances(a_plan()))
    assert len(texts) == len(set(texts))


# By when the office calls


@pytest.mark.parametrize(
    ("called", "due", "said"),
    [
        ("2026-11-23 10:00", "2026-11-23 12:00", "today at noon"),
        ("2026-11-23 10:01", "2026-11-23 12:30", "today at 12:30 PM"),
        ("2026-11-23 16:00", "2026-11-24 09:00", "tomorrow at 9 AM"),
        ("2026-11-22 15:00", "2026-11-23 10:00", "tomorrow at 10 AM"),
        ("2026-11-21 15:00", "2026-11-23 10:00", "Monday 10 AM"),
        ("2026-11-20 16:30", "2026-11-23 09:30", "Monday 9:30 AM"),
    ],
)
def test_the_office_calls_within_two_hours_of_opening_time(called, due, said):
    plan = a_plan()
    promised = due_at(plan, at(called))
    assert promised == at(due)
    assert moment(plan, "en", promised, at(called)) == said


def test_a_clinic_that_never_opens_promises_no_time():
    never = a_schedule(closures=(Closure(name="c", starts_on=date(2000, 1, 1), ends_on=date(2099, 12, 31)),))
    assert due_at(a_plan(schedule=never), OPEN) is None


def test_a_moment_more_than_a_week_away_has_its_date():
    plan = a_plan()
    assert moment(plan, "en", at("2027-01-04 10:00"), OPEN) == "Monday, January 4 at 10 AM"
    assert moment(plan, "es", at("2027-01-04 10:00"), OPEN) == "el lunes 4 de enero a las 10 de la mañana"
    assert moment(plan, "en", at("2026-11-30 10:00"), OPEN) == "Monday, November 30 at 10 AM"


def test_a_short_interval_keeps_its_promise_on_the_half_hour():
    late = a_plan(
        schedule=a_schedule(Interval.model_validate({"weekday": 0, "opens": "08:10", "closes": "16:55"}))
    )
    assert due_at(late, at("2026-11-23 06:00")) == at("2026-11-23 10:30")
