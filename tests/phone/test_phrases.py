"""What callers' words mean: answers, wishes, emergencies and spoken digits, in English and Spanish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phone import phrases
from phone.phrases import default_phrases
from tests.phone.plans import a_plan

EN, ES = default_phrases("en"), default_phrases("es")


def told(*sentences: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("said", sentences)


# Yes and no


@told(
    "yes",
    "Yes, please.",
    "yeah",
    "yep",
    "Sure, go ahead",
    "sure",
    "OK",
    "okay fine",
    "I consent",
    "I do consent",
    "yes I do",
    "I agree",
    "of course",
    "Go ahead.",
    "no problem",
    "I don't mind",
    "that's fine with me",
    "uh-huh",
    "Yes, you can record this call",
    "that's correct",
    "right",
    "yes, thank you very much",
    "YES!!!",
    "I guess that's okay",
    "no objections",
    "go for it",
    "yup, that's it",
    "I'm okay with that",
)
def test_a_yes(said):
    assert phrases.yes_or_no(EN, said) == "yes"


@told(
    "no",
    "No, thanks.",
    "no thank you",
    "nope",
    "nah",
    "I don't consent",
    "I don’t consent",
    "I do not agree",
    "I dont agree",
    "not yes",
    "absolutely not",
    "of course not",
    "I'd rather not",
    "I would prefer not to",
    "please don't record me",
    "I don't want to be recorded",
    "no recording please",
    "I refuse",
    "um, no",
    "I said no",
    "No. No!",
    "no I do not",
    "not really",
    "you may not",
    "I do not think so",
    "that's not right",
    "no, I don't agree to that",
    "it's not okay",
    "no, it's wrong",
    "you do not have my permission",
    "I never said yes",
    "I won't consent",
    "I do mind",
    "don't",
    "you can't",
)
def test_a_no(said):
    assert phrases.yes_or_no(EN, said) == "no"


@told(
    "",
    "   ",
    "yes no",
    "no yes",
    "no… yes",
    "yes and no",
    "yes or no?",
    "no, yes, I mean, yes",
    "yes, I don't consent",
    "I'm not sure",
    "I don't know",
    "maybe",
    "what?",
    "do you consent",
    "I can't hear you",
    "I don't understand the question",
    "right now I want a person",
    "okay but who is this",
    "fine weather today",
    "I have no idea",
    "I need an appointment",
    "hello?",
    "I want the record of my visit",
    "I am not feeling well",
    "if I say yes, what happens?",
    "can I say no?",
    "why not tell me why",
    "yes but don't record",
    "no, that's fine",
    "This call may be recorded. Do you consent? Press 1 for yes, or 2 for no.",
)
def test_neither_a_yes_nor_a_no(said):
    assert phrases.yes_or_no(EN, said) is None


@told(
    "sí",
    "Si.",
    "sí, por favor",
    "claro que sí",
    "por supuesto",
    "estoy de acuerdo",
    "acepto",
    "sí acepto",
    "no hay problema",
    "no me importa",
    "está bien",
    "bueno",
    "¡Cómo no!",
    "Sí, señorita",
)
def test_a_spanish_yes(said):
    assert phrases.yes_or_no(ES, said) == "yes"


@told(
    "no",
    "No, gracias",
    "no acepto",
    "no estoy de acuerdo",
    "claro que no",
    "prefiero que no",
    "no quiero",
    "pues no",
    "no doy mi consentimiento",
    "no me graben",
    "no, no quiero que me graben",
)
def test_a_spanish_no(said):
    assert phrases.yes_or_no(ES, said) == "no"


@told(
    "sí no",
    "no sí",
    "no, bueno, sí",
    "no sé",
    "no entiendo",
    "no estoy seguro",
    "¿está de acuerdo?",
    "quiero una cita",
    "¿mande?",
    "no la oigo",
)
def test_neither_a_spanish_yes_nor_a_no(said):
    assert phrases.yes_or_no(ES, said) is None


@given(st.sampled_from(EN["yes"]), st.sampled_from(["no", "nope", "no thanks", "I don't consent"]))
def test_a_yes_beside_a_no_is_undecided(yes, no):
    assert phrases.yes_or_no(EN, f"{yes}, {no}") is None
    assert phrases.yes_or_no(EN, f"{no}. {yes}") is None


@given(
    st.sampled_from(["consent", "agree", "accept"]), st.sampled_from(["don't", "do not", "can't", "won't"])
)
def test_a_negated_yes_is_never_a_yes(verb, negation):
    assert phrases.yes_or_no(EN, f"I {negation} really {verb} to that") == "no"


# What callers want


@told(
    "a person",
    "I want to talk to a real person, please",
    "representative!",
    "operator",
    "can I speak to someone",
    "help",
    "help me please",
    "is there a human being there",
    "zero",
)
def test_a_wish_for_a_person(said):
    assert phrases.wants_person(EN, said)


@told("appointments", "yes", "I don't want to talk to a person", "can you help me with an appointment", "")
def test_no_wish_for_a_person(said):
    assert not phrases.wants_person(EN, said)


@told("una persona", "quiero hablar con alguien", "ayuda", "con la recepcionista por favor", "operadora")
def test_a_wish_for_a_person_in_spanish(said):
    assert phrases.wants_person(ES, said)


@told(
    "I can't breathe",
    "she cannot breathe",
    "he's not breathing",
    "I have chest pain",
    "my husband has terrible chest pains",
    "I'm bleeding heavily",
    "the bleeding won't stop",
    "it is an emergency",
    "I think I'm having a heart attack",
    "my son passed out",
    "I'm not feeling well, I can't breathe",
    "I want to kill myself",
    "call 911",
)
def test_an_emergency(said):
    assert phrases.is_emergency(EN, said)


@told(
    "it's not an emergency",
    "this isn't a real emergency",
    "my gums bleed a little",
    "breathe",
    "appointments",
    "",
)
def test_no_emergency(said):
    assert not phrases.is_emergency(EN, said)


@told(
    "no puedo respirar",
    "me duele el pecho",
    "mi hijo no respira",
    "está sangrando mucho",
    "es una emergencia",
    "mi mamá se desmayó",
    "me estoy muriendo",
)
def test_an_emergency_in_spanish(said):
    assert phrases.is_emergency(ES, said)


@told("no es una emergencia", "me duele un poco la muela", "citas")
def test_no_emergency_in_spanish(said):
    assert not phrases.is_emergency(ES, said)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (EN, "repeat"),
        (EN, "Can you say that again?"),
        (EN, "pardon?"),
        (EN, "what?"),
        (EN, "sorry?"),
        (ES, "¿puede repetir?"),
        (ES, "otra vez"),
        (ES, "¿mande?"),
    ],
)
def test_a_wish_to_hear_it_again(table, said):
    assert phrases.wants_repeat(table, said)


@told("that's all", "no thanks", "nothing else", "goodbye", "no", "I'm done")
def test_nothing_more(said):
    assert phrases.wants_nothing_more(EN, said)


@told("no, what are your hours", "one more thing", "an appointment")
def test_something_more(said):
    assert not phrases.wants_nothing_more(EN, said)


@told(
    "I don't have one",
    "I don't have a patient ID",
    "none",
    "I forgot it",
    "I can't remember",
    "no",
    "I'm a new patient",
    "go on without it",
    "I don't know my number",
    "I do not",
)
def test_a_caller_without_an_id(said):
    assert phrases.has_none(EN, said)


@told("4821", "I have one", "my ID is four eight two one", "")
def test_a_caller_who_may_have_an_id(said):
    assert not phrases.has_none(EN, said)


@told("no tengo", "no lo sé", "se me olvidó", "soy paciente nuevo", "ninguno", "No me acuerdo.")
def test_a_caller_without_an_id_in_spanish(said):
    assert phrases.has_none(ES, said)


@pytest.mark.parametrize(
    ("table", "said", "part"),
    [
        (EN, "in the morning", "morning"),
        (EN, "Afternoon, please", "afternoon"),
        (EN, "any time", "any"),
        (EN, "it doesn't matter", "any"),
        (EN, "not in the morning", None),
        (EN, "morning or afternoon", None),
        (EN, "Tuesday", None),
        (ES, "por la mañana", "morning"),
        (ES, "en la tarde", "afternoon"),
        (ES, "a cualquier hora", "any"),
        (ES, "no importa", "any"),
    ],
)
def test_a_part_of_the_day(table, said, part):
    assert phrases.part_of_day(table, said) == part


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("español", "es"),
        ("Spanish, please", "es"),
        ("¿habla español?", "es"),
        ("English", "en"),
        ("inglés por favor", "en"),
        ("no hablo inglés", "es"),
        ("I don't speak Spanish", None),
        ("English or Spanish", None),
        ("French", None),
        ("appointments", None),
    ],
)
def test_a_wish_for_a_language(said, language):
    assert phrases.wants_language(a_plan(), said) == language


def test_a_language_that_the_clinic_does_not_offer_is_not_understood():
    assert phrases.wants_language(a_plan(languages=("en",)), "español") is None


# Digits


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("4821", "4821"),
        ("4 8 2 1", "4821"),
        ("48-21", "4821"),
        ("4821#", "4821"),
        ("four eight two one", "4821"),
        ("Four, eight, two, one.", "4821"),
        ("my ID is four eight two one", "4821"),
        ("it's 4 8 two one, thank you", "4821"),
        ("double four", "44"),
        ("triple zero seven", "0007"),
        ("oh four eight two", "0482"),
        ("zero zero four eight", "0048"),
        ("forty-eight twenty-one", "4821"),
        ("forty eight two one", "4821"),
        ("twenty twenty", "2020"),
        ("four eight nineteen", "4819"),
        ("four eight two one pound", "4821"),
        ("(212) 555-0123", "2125550123"),
        ("not 4821", None),
        ("four eight maybe two one", None),
        ("one hundred", None),
        ("I have no idea", None),
        ("my ID", None),
        ("4821a", None),
        ("٤٨٢١", None),
        ("", None),
    ],
)
def test_spoken_digits(said, digits):
    assert phrases.spoken_digits("en", said) == digits


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("cuatro ocho dos uno", "4821"),
        ("mi número es cuatro, ocho, dos, uno", "4821"),
        ("doble cuatro", "44"),
        ("cuarenta y ocho veintiuno", "4821"),
        ("cuarenta y ocho treinta y dos", "4832"),
        ("veintidós dieciséis", "2216"),
        ("cero cero siete", "007"),
        ("48 21", "4821"),
        ("no sé", None),
        ("quiero una cita", None),
    ],
)
def test_spoken_digits_in_spanish(said, digits):
    assert phrases.spoken_digits("es", said) == digits


@given(st.text("0123456789", min_size=1, max_size=12), st.sampled_from(["en", "es"]))
def test_digits_said_one_by_one_come_back_as_they_were(digits, language):
    words = [default_phrases(language)[f"digit_{digit}"][0] for digit in digits]
    assert phrases.spoken_digits(language, " ".join(words)) == digits
    assert phrases.spoken_digits(language, ", ".join(digits)) == digits


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("I DON'T!", "i do not"),
        ("can’t", "can not"),
        ("it's  fine ", "it is fine"),
        ("¿Habla español?", "habla espanol"),
        ("uh-huh", "uh huh"),
        ("o'clock", "oclock"),
        ("…", ""),
    ],
)
def test_words_are_compared_in_a_plain_form(text, normal):
    assert phrases.normalise(text) == normal


@given(st.text(), st.sampled_from([EN, ES]))
def test_no_text_breaks_the_understanding(text, table):
    phrases.yes_or_no(table, text)
    phrases.wants_person(table, text)
    phrases.is_emergency(table, text)
    phrases.part_of_day(table, text)
    phrases.spoken_digits("en", text)


def test_both_languages_know_the_same_kinds_of_phrases():
    def kinds(table):
        return {kind for kind in table if not kind.startswith("number_2")}

    assert kinds(EN) == kinds(ES)
