"""The keypad's rules, in the order of docs/keypad.md: one entry, the whole call's keys, and questions with time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent_worker.keypad import (
    CallerInput,
    Collector,
    Control,
    EntryRules,
    KeypadListener,
    Pressed,
    Verdict,
    Words,
)
from agent_worker.lines.base import KeyPress
from agent_worker.question import Question
from agent_worker.simulated_time import run_simulated
from phone.wording.utterance import plain
from tests.agent_worker.asking import Asker, Caller, ask, converse, press_all

DIGITS = EntryRules(first_key_timeout=20, inter_digit_timeout=5, min_digits=4, max_digits=8)
ID = replace(DIGITS, empty_allowed=True)
FIXED = replace(DIGITS, max_digits=4)
MENU = EntryRules(first_key_timeout=8, inter_digit_timeout=3, choices=frozenset("12"))
LONG_MENU = replace(MENU, choices=frozenset({"1", "12", "123", "3"}))
ALL_KEYS_MENU = replace(MENU, choices=frozenset("0*#ABCD"))

Result = Verdict | Control | None


def entered(rules: EntryRules, keys: str) -> tuple[Result, str]:
    """What the first of `keys` that decides something decides, and the keys that are left after it."""
    collector = Collector(rules)
    for position, key in enumerate(keys):
        if (result := collector.press(key)) is not None:
            return result, keys[position + 1 :]
    return None, ""


def accepted(keys: str, *, full: bool = False) -> Verdict:
    return Verdict("accepted", keys, full)


# One entry of digits


@pytest.mark.parametrize(
    ("rules", "keys", "result", "left"),
    [
        pytest.param(FIXED, "4821", accepted("4821", full=True), "", id="the last digit that fits completes"),
        pytest.param(FIXED, "482155", accepted("4821", full=True), "55", id="what is too much is left over"),
        pytest.param(ID, "4821#", accepted("4821"), "", id="the terminator completes"),
        pytest.param(ID, "0042#", accepted("0042"), "", id="leading zeros are kept"),
        pytest.param(ID, "482", None, "", id="too few digits wait"),
        pytest.param(ID, "482#", Verdict("too_short", "482"), "", id="too few and the terminator"),
        pytest.param(ID, "#", accepted(""), "", id="nothing and the terminator: none"),
        pytest.param(DIGITS, "#", Verdict("too_short", ""), "", id="nothing, where something is needed"),
        pytest.param(ID, "48*", "cleared", "", id="the clear key clears"),
        pytest.param(ID, "0#", "person", "", id="0 alone asks for a person"),
        pytest.param(ID, "00#", Verdict("too_short", "00"), "", id="two zeros do not"),
        pytest.param(ID, "0", None, "", id="0 may begin an ID, so it waits"),
        pytest.param(replace(ID, min_digits=1), "0#", accepted("0"), "", id="0 where it is an entry"),
        pytest.param(ID, "48A1", Verdict("invalid", "48A", full=True), "1", id="a letter is no digit"),
        pytest.param(
            replace(ID, terminator="*", clear_key="#"), "4#4821*", "cleared", "4821*", id="own keys"
        ),
        pytest.param(replace(ID, terminator="D"), "4821D", accepted("4821"), "", id="any key may terminate"),
    ],
)
def test_digits(rules: EntryRules, keys: str, result: Result, left: str) -> None:
    assert entered(rules, keys) == (result, left)


def test_digits_go_on_after_a_clear() -> None:
    collector = Collector(ID)
    for key in "99*":
        collector.press(key)

    assert [collector.press(key) for key in "4821#"] == [None, None, None, None, accepted("4821")]


@pytest.mark.parametrize(
    ("rules", "keys", "result"),
    [
        pytest.param(ID, "", Verdict("no_input", ""), id="nothing at all"),
        pytest.param(ID, "4821", accepted("4821"), id="enough digits"),
        pytest.param(ID, "48", Verdict("too_short", "48"), id="too few"),
        pytest.param(ID, "0", "person", id="0 alone"),
        pytest.param(MENU, "", Verdict("no_input", ""), id="no choice"),
        pytest.param(LONG_MENU, "12", accepted("12"), id="a choice that could go on"),
        pytest.param(replace(LONG_MENU, choices=frozenset({"12"})), "1", Verdict("invalid", "1"), id="half"),
    ],
)
def test_a_pause_decides_with_what_is_there(rules: EntryRules, keys: str, result: Result) -> None:
    collector = Collector(rules)
    for key in keys:
        assert collector.press(key) is None

    assert collector.time_out() == result


# One choice


@pytest.mark.parametrize(
    ("rules", "keys", "result", "left"),
    [
        pytest.param(MENU, "1", accepted("1", full=True), "", id="a choice is taken at once"),
        pytest.param(MENU, "21", accepted("2", full=True), "1", id="the next key is left over"),
        pytest.param(MENU, "7", Verdict("invalid", "7", full=True), "", id="no choice"),
        pytest.param(MENU, "#", Verdict("invalid", "#", full=True), "", id="nothing to terminate"),
        pytest.param(MENU, "*", "repeat", "", id="the question again"),
        pytest.param(MENU, "0", "person", "", id="a person"),
        pytest.param(ALL_KEYS_MENU, "0", accepted("0", full=True), "", id="0 as a choice"),
        pytest.param(ALL_KEYS_MENU, "*", accepted("*", full=True), "", id="* as a choice"),
        pytest.param(ALL_KEYS_MENU, "#", accepted("#", full=True), "", id="# as a choice"),
        pytest.param(ALL_KEYS_MENU, "D", accepted("D", full=True), "", id="D as a choice"),
        pytest.param(LONG_MENU, "3", accepted("3", full=True), "", id="no longer one begins with it"),
        pytest.param(LONG_MENU, "1", None, "", id="a longer one may follow"),
        pytest.param(LONG_MENU, "12#", accepted("12"), "", id="the terminator takes the shorter one"),
        pytest.param(LONG_MENU, "123", accepted("123", full=True), "", id="the longest"),
        pytest.param(LONG_MENU, "14", Verdict("invalid", "14", full=True), "", id="no choice goes on so"),
    ],
)
def test_choices(rules: EntryRules, keys: str, result: Result, left: str) -> None:
    assert entered(rules, keys) == (result, left)


# The keys of a whole call


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Ear:
    """Somebody who asks, and writes down what they hear."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def hear(self, given: CallerInput) -> None:
        self.heard.append(given.key if isinstance(given, Pressed) else given.text)

    def leave(self) -> None:
        """Nothing to leave."""


def pressing(listener: KeypadListener, keys: str) -> None:
    for key in keys:
        listener.press(KeyPress(key))


def early(listener: KeypadListener) -> str:
    keys = ""
    while (given := listener.next_early()) is not None:
        keys += given.key if isinstance(given, Pressed) else given.text
    return keys


def test_whoever_asks_hears_every_key_in_order() -> None:
    listener, ear = KeypadListener(Clock()), Ear()
    listener.attach(ear)

    pressing(listener, "1#2*0ABCD")

    assert "".join(ear.heard) == "1#2*0ABCD"


@pytest.mark.parametrize("key", ["", "E", "a", "12", "٣", "①", "\n", "F" * 1000])
def test_what_is_no_key_is_dropped(key: str) -> None:
    listener, ear = KeypadListener(Clock()), Ear()
    listener.attach(ear)

    listener.press(KeyPress(key))

    assert ear.heard == []
    assert not listener.has_early


def test_a_press_that_is_delivered_again_counts_once() -> None:
    listener, ear = KeypadListener(Clock()), Ear()
    listener.attach(ear)

    for press in ("a", "a", "b", "a", "b"):
        listener.press(KeyPress("4", id=press))

    assert ear.heard == ["4", "4"]


def test_a_press_without_an_id_is_always_another_press() -> None:
    listener, ear = KeypadListener(Clock()), Ear()
    listener.attach(ear)

    pressing(listener, "44")

    assert ear.heard == ["4", "4"]


def test_early_keys_wait_in_order_and_are_delivered_once() -> None:
    listener, ear = KeypadListener(Clock()), Ear()
    pressing(listener, "48")
    listener.words("twenty one", typed=True)
    listener.attach(ear)

    assert early(listener) == "48twenty one"
    assert ear.heard == []
    assert listener.next_early() is None

    pressing(listener, "#")
    assert ear.heard == ["#"]


def test_early_keys_are_forgotten_after_an_error() -> None:
    listener = KeypadListener(Clock())
    pressing(listener, "99")

    listener.flush()

    assert not listener.has_early


def test_who_has_stopped_asking_hears_nothing_more() -> None:
    listener, first, second = KeypadListener(Clock()), Ear(), Ear()
    listener.attach(first)
    listener.attach(second)
    listener.detach(first)

    pressing(listener, "1")
    listener.detach(second)
    pressing(listener, "2")

    assert (first.heard, second.heard) == ([], ["1"])
    assert early(listener) == "2"


def test_empty_words_are_dropped() -> None:
    listener = KeypadListener(Clock())

    listener.words("  ", typed=True)

    assert not listener.has_early


@pytest.mark.parametrize(
    ("after", "keys", "heard"),
    [
        pytest.param(1.9, "#", "", id="in time"),
        pytest.param(2.1, "#", "#", id="too late"),
        pytest.param(0.1, "##", "#", id="one only"),
        pytest.param(0.1, "5#", "5#", id="the very next key only"),
        pytest.param(0.1, "*", "*", id="no other key"),
    ],
)
def test_the_late_terminator(after: float, keys: str, heard: str) -> None:
    clock, ear = Clock(), Ear()
    listener = KeypadListener(clock)
    listener.attach(ear)
    listener.swallow_late("#", pressed_at=0.0, seconds=2.0)

    clock.now = after
    pressing(listener, keys)

    assert "".join(ear.heard) == heard


def test_a_late_terminator_that_came_already_is_swallowed_as_well() -> None:
    listener = KeypadListener(Clock())
    pressing(listener, "#4821#")

    listener.swallow_late("#", pressed_at=0.0, seconds=2.0)

    assert early(listener) == "4821#"


def test_a_late_terminator_silences_nobody() -> None:
    listener = KeypadListener(Clock())
    silenced: list[CallerInput] = []
    listener.on_early = silenced.append
    listener.swallow_late("#", pressed_at=0.0, seconds=2.0)

    pressing(listener, "#")
    assert silenced == []

    pressing(listener, "1")
    assert [given.key for given in silenced if isinstance(given, Pressed)] == ["1"]


# Questions, with prompts of two seconds and time

LIMITS = {"invalid": 2, "too_short": 2, "no_input": 2}


def a_question(rules: EntryRules, name: str = "question", **fields: object) -> Question:
    return Question(
        **{"prompt": plain(name, "en"), "rules": rules, "understand": lambda text: None, "limits": LIMITS}
        | fields
    )


menu, patient_id, confirm = a_question(MENU), a_question(ID, sensitive=True), a_question(MENU)


def test_a_burst_runs_through_two_questions_without_a_prompt() -> None:
    caller = ask(menu, patient_id, presses=[(0.0, "1#1234#")])

    assert caller.entered == ["1", "1234"]
    assert caller.told("prompt") == []
    assert len(caller.told("key")) == 6


def test_keys_pressed_before_a_question_begins_are_used_by_it() -> None:
    caller = ask(menu, patient_id, confirm, presses=[(0.0, "2"), (1.0, "48"), (1.5, "21#1")])

    assert caller.entered == ["2", "4821", "1"]
    assert len(caller.told("prompt")) == 1


def test_one_key_is_decided_at_the_moment_it_is_pressed() -> None:
    caller = ask(menu, presses=[(1.0, "1")])

    assert caller.when("key") == caller.when("entry") == [1.0]


def test_the_first_key_silences_the_prompt() -> None:
    caller = ask(patient_id, presses=[(0.5, "4"), (0.7, "821#")])

    assert caller.when("silenced") == [0.5]
    assert caller.entered == ["4821"]
    assert not caller.answers[0].heard_to_end


def test_a_prompt_that_was_heard_is_not_silenced() -> None:
    caller = ask(menu, presses=[(2.5, "1")])

    assert caller.told("silenced") == []
    assert caller.answers[0].heard_to_end


def test_keys_during_a_prompt_that_must_be_heard_are_held_until_its_end() -> None:
    must_hear = replace(patient_id, must_hear=True)

    caller = ask(must_hear, presses=[(0.0, "4"), (0.5, "82"), (1.0, "1#")])

    assert caller.entered == ["4821"]
    assert caller.told("silenced") == []
    assert caller.when("key") == [2.0] * 5
    assert caller.answers[0].heard_to_end


def test_the_first_key_time_begins_when_the_prompt_ends() -> None:
    caller = ask(menu)

    assert caller.when("entry") == [10.0, 20.0]
    assert caller.entered == ["no_input"]


def test_the_time_between_digits_begins_anew_with_each() -> None:
    caller = ask(patient_id, presses=[(1.0, "4"), (5.5, "8"), (10.0, "2"), (14.5, "1")])

    assert caller.when("entry") == [19.5]
    assert caller.entered == ["4821"]


def test_after_a_clear_there_is_the_time_of_a_first_key_again() -> None:
    caller = ask(patient_id, presses=[(1.0, "99*"), (20.0, "4821#")])

    assert caller.entered == ["4821"]
    assert len(caller.told("entry")) == 1


def test_a_star_outside_digits_asks_again_and_counts_as_no_attempt() -> None:
    caller = ask(menu, presses=[(1.0, "*"), (2.0, "*"), (2.5, "*"), (3.0, "1")])

    assert caller.when("prompt") == [0.0, 1.0, 2.0, 2.5]
    assert [entry["attempt"] for entry in caller.told("entry")] == [1]


def test_errors_are_counted_apart() -> None:
    caller = ask(patient_id, presses=[(1.0, "48#"), (2.0, "A"), (5.0, "4821#")])

    assert [entry["outcome"] for entry in caller.told("entry")] == ["too_short", "invalid", "accepted"]
    assert caller.entered == ["4821"]


def test_at_its_limit_an_error_ends_the_question() -> None:
    caller = ask(menu, presses=[(1.0, "7"), (2.0, "8")])

    assert caller.entered == ["invalid"]
    assert caller.answers[0].kind == "gave_up"
    assert caller.answers[0].attempts == 3


def test_what_was_typed_ahead_is_forgotten_after_an_error() -> None:
    caller = ask(menu, confirm, presses=[(0.0, "711"), (1.0, "2"), (1.5, "1")])

    assert caller.entered == ["2", "1"]


def test_a_language_key_goes_on_in_that_language() -> None:
    caller = ask(replace(menu, languages={"9": "es"}), confirm, presses=[(1.0, "9"), (1.2, "#"), (2.0, "1")])

    assert caller.answers[0].kind == "language"
    assert caller.answers[0].keys == "es"
    assert caller.entered[1] == "1"


def test_the_terminator_after_a_wrong_key_is_no_second_error() -> None:
    caller = ask(menu, presses=[(1.0, "7"), (1.2, "#"), (3.0, "1")])

    assert [entry["outcome"] for entry in caller.told("entry")] == ["invalid", "accepted"]


def test_a_terminator_of_its_own_at_the_patient_id_means_none() -> None:
    caller = ask(menu, patient_id, presses=[(1.0, "1"), (1.5, "#")])

    assert caller.entered == ["1", ""]
    assert caller.answers[1].sealed is None


def test_a_refused_entry_is_invalid() -> None:
    picky = replace(patient_id, valid=lambda keys: keys != "9999")

    caller = ask(picky, presses=[(1.0, "9999#"), (2.0, "4821#")])

    assert [entry["outcome"] for entry in caller.told("entry")] == ["invalid", "accepted"]


def test_sensitive_digits_are_only_in_the_sealed_answer() -> None:
    caller = ask(patient_id, presses=[(1.0, "4821#")])

    assert "4821" not in repr(caller.answers)
    assert caller.answers[0].keys == "••••"
    assert {event["key"] for event in caller.told("key")} == {"•"}


def test_words_nobody_understands_are_an_invalid_answer() -> None:
    caller = ask(menu, says=[(1.0, "mumble"), (2.0, "mumble")])

    assert caller.entered == ["invalid"]
    assert {entry["source"] for entry in caller.told("entry")} == {"voice"}


async def never(text: str) -> str | None:
    await asyncio.Event().wait()
    return None


def test_a_model_that_never_answers_leaves_the_keys_working() -> None:
    stalled = replace(menu, decide=never)

    caller = ask(stalled, patient_id, says=[(1.0, "the thing I told you about")], presses=[(9.0, "14821#")])

    assert caller.entered == ["1", "4821"]
    assert caller.when("entry") == [9.0, 9.0]


async def slowly(text: str) -> str | None:
    await asyncio.sleep(2.0)
    return "9999"


def test_what_a_model_answers_after_a_key_does_not_count() -> None:
    slow = replace(patient_id, sensitive=False, decide=slowly)

    caller = ask(slow, says=[(1.0, "the usual one")], presses=[(2.0, "48"), (4.0, "21#")])

    assert caller.entered == ["4821"]


def test_a_prompt_cut_by_something_else_still_starts_the_clock() -> None:
    async def call() -> Caller:
        caller = Caller()

        async def talk(asker: Asker) -> None:
            asyncio.get_running_loop().call_later(1.0, asker.conversation.session.interrupt)
            press_all(caller, [(15.0, "1")])
            caller.answers.append(await asker.ask(menu))

        await converse(talk, caller=caller)
        return caller

    caller = run_simulated(call)

    assert caller.when("entry") == [9.0, 15.0]


def test_keys_of_any_kind_and_number_never_break_a_question() -> None:
    async def call() -> Caller:
        caller = Caller()

        async def talk(asker: Asker) -> None:
            while caller.left_to_press or asker.conversation.listener.has_early:
                caller.answers.append(await asker.ask(menu))
            press_all(caller, [(1.0, "4821#")])
            caller.answers.append(await asker.ask(patient_id))

        press_all(caller, [(1.0, "#*0" * 50), (2.0, "ABCD" * 50), (3.0, "7" * 100)])
        await converse(talk, caller=caller)
        return caller

    assert run_simulated(call).entered[-1] == "4821"


def test_words_wait_for_the_next_question_as_keys_do() -> None:
    listener = KeypadListener(Clock())
    listener.words("yes", typed=False)

    given = listener.next_early()

    assert isinstance(given, Words)
    assert (given.text, given.typed) == ("yes", False)
