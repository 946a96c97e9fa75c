"""A thousand random entries, typed as people type, through the real question and through the plain reference."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent_worker.keypad import EntryRules
from agent_worker.question import Question
from agent_worker.simulated_time import run_simulated
from phone.wording.utterance import plain
from tests.agent_worker.asking import Asker, Caller, converse, press_all
from tests.agent_worker.reference_collector import Ask, Press, Reference

KEYS = "0123456789*#ABCD"
STEPS = (
    Ask("menu", 8.0, 3.0, frozenset({"1", "2", "12", "A", "3"}), languages={"9": "es"}, late_terminator=0.4),
    Ask("patient_id", 20.0, 5.0, fewest=4, most=8, refused="77", limit=2),
    Ask("confirm", 8.0, 3.0, frozenset({"1", "2"}), must_hear=True, limit=2, late_terminator=0.4),
    Ask("pin", 8.0, 3.0, fewest=4, most=4),
    Ask("stars", 8.0, 3.0, frozenset({"*", "#", "0", "10", "101"}), late_terminator=0.4),
)

GAPS = (0.0, 0.0, 0.0, 0.12, 0.25, 0.39, 0.41, 1.0, 1.9, 2.1, 2.9, 3.1, 4.9, 5.1, 7.9, 8.1, 10.5, 19.9, 22.5)
"""Seconds from one group of keys to the next: on both sides of every limit there is. 0 is one burst."""

TICK = 0.00037
"""Added to each gap, so that no key ever comes at the very moment at which a time is over."""

groups = st.one_of(
    st.text(KEYS, min_size=1, max_size=10),
    st.sampled_from(
        ["1#1234#", "1", "2#", "4821#", "12345678#", "*4821", "0#", "00#", "#", "1#", "12", "101"]
    ),
)
one_group = st.tuples(st.sampled_from(GAPS), groups).map(lambda group: [group])
slow_terminator = st.tuples(
    st.sampled_from(GAPS), st.sampled_from(["1", "3", "9", "0", "4821", "12345678"]), st.sampled_from(GAPS)
).map(lambda typed: [typed[:2], (typed[2], "#")])
scripts = st.lists(st.one_of(one_group, one_group, slow_terminator), min_size=1, max_size=10).map(
    lambda pieces: list(itertools.chain.from_iterable(pieces))
)


def timed(script: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """The groups with the moments at which they are pressed; groups without a gap between are one burst."""
    bursts: list[tuple[float, str]] = []
    now = 0.0
    for gap, keys in script:
        if gap == 0.0 and bursts:
            when, before = bursts.pop()
            bursts.append((when, before + keys))
            continue
        now += gap + TICK if gap else 0.0
        bursts.append((now, keys))
    return bursts


def as_question(ask: Ask) -> Question:
    rules = EntryRules(
        first_key_timeout=ask.first_key,
        inter_digit_timeout=ask.inter_digit,
        choices=ask.choices,
        min_digits=ask.fewest,
        max_digits=ask.most,
        empty_allowed=True,
    )
    return Question(
        prompt=plain(ask.step, "en"),
        rules=rules,
        understand=lambda text: None,
        valid=lambda keys: not (ask.refused and keys.startswith(ask.refused)),
        limits=dict.fromkeys(("invalid", "too_short", "no_input"), ask.limit),
        languages=ask.languages,
        must_hear=ask.must_hear,
    )


def really_asked(bursts: list[tuple[float, str]], prompt: float) -> Caller:
    """What the real questions make of it, until no key is left when one is answered."""

    async def call() -> Caller:
        caller = Caller()

        async def talk(asker: Asker) -> None:
            for ask in itertools.cycle(STEPS):
                asker.conversation.progress.step = ask.step
                caller.answers.append(await asker.ask(as_question(ask)))
                if not caller.left_to_press and not asker.conversation.listener.has_early:
                    return

        press_all(caller, bursts)
        await converse(talk, caller=caller, prompt_seconds=prompt)
        return caller

    return run_simulated(call)


def steps() -> Iterator[Ask]:
    return itertools.cycle(STEPS)


class Entries:
    """How many entries all examples together have made."""

    count = 0


def check(script: list[tuple[float, str]], prompt: float) -> None:
    bursts = timed(script)
    presses = [Press(key, when) for when, keys in bursts for key in keys]
    wanted = Reference(presses, prompt=prompt).run(steps())

    caller = really_asked(bursts, prompt)

    entries = [(e["t"], e["step"], e["outcome"], e["digits"], e["attempt"]) for e in caller.told("entry")]
    assert [entry[1:] for entry in entries] == [
        (entry.step, entry.outcome, entry.keys, entry.attempt) for entry in wanted.entries
    ]
    assert [entry[0] for entry in entries] == pytest.approx([entry.at for entry in wanted.entries], abs=0.002)
    assert caller.entered == wanted.answers
    assert [(e["step"], e["key"]) for e in caller.told("key")] == wanted.used
    assert len(wanted.used) + wanted.swallowed + wanted.forgotten == len(presses)
    Entries.count += len(entries)


@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(script=scripts, prompt=st.sampled_from([0.3, 2.5]))
@example(script=[(0.0, "1#1234#")], prompt=2.5)
@example(script=[(0.12, "2"), (0.25, "#"), (0.0, "4821#1")], prompt=2.5)
@example(script=[(0.12, "3"), (0.39, "#"), (1.0, "12345678"), (1.9, "#")], prompt=2.5)
@example(script=[(0.12, "3"), (0.41, "#"), (1.0, "1"), (3.1, "1234"), (2.1, "#")], prompt=2.5)
def random_entries(script: list[tuple[float, str]], prompt: float) -> None:
    check(script, prompt)


def test_a_thousand_random_entries_become_what_the_rules_say() -> None:
    random_entries()

    assert Entries.count >= 1000
