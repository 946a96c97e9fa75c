"""What a line check finds: one fault at a time, anywhere, and it is the key that suffered it that is named."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from phone.line_check import (
    DOUBLED_SECONDS,
    MOVED_SECONDS,
    SEQUENCE,
    SLOW_SECONDS,
    SPACINGS,
    Finding,
    Press,
    Trouble,
    compare,
    schedule,
)
from phone.models.setup import KEYS

FAST = (0.5, 0.2, 0.1)

PLACES = st.integers(0, 3 * len(SEQUENCE) - 1)
LATENCIES = st.floats(0.0, 0.3)

SAME_MOMENT = 0.8
"""Of two arrivals of one key within these seconds, nobody can say which press was which."""


@st.composite
def good_lines(draw: st.DrawFn) -> tuple[list[Press], list[Press]]:
    """What is sent, and what arrives on a line that does nothing wrong."""
    sent = list(schedule(draw(st.sampled_from([SPACINGS, FAST]))))
    latency = draw(LATENCIES)
    jitter = draw(st.lists(st.floats(0.0, 0.09), min_size=len(sent), max_size=len(sent)))
    return sent, [
        Press(press.key, press.at + latency + extra) for press, extra in zip(sent, jitter, strict=True)
    ]


def in_time(*presses: Press) -> list[Press]:
    return sorted(presses, key=lambda press: press.at)


def only(findings: tuple[Finding, ...]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def named(finding: Finding) -> tuple[str, int]:
    return finding.key, finding.round


def round_of(place: int) -> int:
    return place // len(SEQUENCE)


def test_all_twelve_keys_are_pressed_once_a_round_and_no_neighbours_share_a_tone() -> None:
    assert sorted(SEQUENCE) == sorted("0123456789*#")
    pad = ["123", "456", "789", "*0#"]
    where = {key: (row, column) for row, keys in enumerate(pad) for column, key in enumerate(keys)}
    for one, next_one in pairwise(SEQUENCE):
        assert where[one][0] != where[next_one][0]
        assert where[one][1] != where[next_one][1]


@settings(deadline=None)
@given(good_lines())
def test_a_line_that_does_nothing_wrong_passes_and_every_latency_is_measured(
    line: tuple[list[Press], list[Press]],
) -> None:
    sent, heard = line
    compared = compare(sent, heard)
    assert compared.findings == ()
    assert [arrival.key for arrival in compared.arrivals] == [press.key for press in sent]
    assert [arrival.latency for arrival in compared.arrivals] == [
        there.at - here.at for here, there in zip(sent, heard, strict=True)
    ]


@settings(deadline=None)
@given(good_lines(), PLACES)
def test_a_lost_key_is_named(line: tuple[list[Press], list[Press]], place: int) -> None:
    sent, heard = line
    compared = compare(sent, heard[:place] + heard[place + 1 :])
    found = only(compared.findings)
    assert (named(found), found.trouble) == ((sent[place].key, round_of(place)), Trouble.LOST)
    assert [arrival.latency is None for arrival in compared.arrivals].count(True) == 1
    assert compared.arrivals[place].latency is None


@settings(deadline=None)
@given(good_lines(), PLACES, st.floats(0.0, DOUBLED_SECONDS - 0.5))
def test_a_doubled_key_is_named_also_when_others_come_in_between(
    line: tuple[list[Press], list[Press]], place: int, later: float
) -> None:
    sent, heard = line
    again = Press(heard[place].key, heard[place].at + later)
    found = only(compare(sent, in_time(*heard, again)).findings)
    assert (named(found), found.trouble) == ((sent[place].key, round_of(place)), Trouble.DOUBLED)


@settings(deadline=None)
@given(good_lines(), PLACES.filter(lambda place: (place + 1) % len(SEQUENCE)), st.floats(0.001, 0.04))
def test_a_key_that_another_one_overtook_is_named(
    line: tuple[list[Press], list[Press]], place: int, later: float
) -> None:
    sent, heard = line
    overtaken = Press(heard[place].key, heard[place + 1].at + later)
    found = only(compare(sent, in_time(*heard[:place], *heard[place + 1 :], overtaken)).findings)
    assert named(found) == (sent[place].key, round_of(place))
    slow = overtaken.at - sent[place].at > SLOW_SECONDS
    assert found.trouble == (Trouble.SLOW if slow else Trouble.SWAPPED)
    assert found.after == sent[place + 1].key or heard[place + 2].at < overtaken.at


@settings(deadline=None)
@given(good_lines(), PLACES, st.floats(SLOW_SECONDS + 0.01, MOVED_SECONDS - 0.5))
def test_a_slow_key_is_named_and_not_those_that_overtook_it(
    line: tuple[list[Press], list[Press]], place: int, later: float
) -> None:
    sent, heard = line
    late = Press(heard[place].key, heard[place].at + later)
    others = heard[:place] + heard[place + 1 :]
    assume(not any(press.key == late.key and abs(press.at - late.at) < SAME_MOMENT for press in others))
    found = only(compare(sent, in_time(*others, late)).findings)
    assert (named(found), found.trouble) == ((sent[place].key, round_of(place)), Trouble.SLOW)
    assert found.latency == pytest.approx(late.at - sent[place].at)


@settings(deadline=None)
@given(good_lines(), PLACES, st.floats(0.0, 0.5), st.sampled_from(KEYS))
def test_a_key_that_nobody_pressed_is_named(
    line: tuple[list[Press], list[Press]], place: int, later: float, key: str
) -> None:
    sent, heard = line
    stranger = Press(key, heard[place].at + later)
    found = only(compare(sent, in_time(*heard, stranger)).findings)
    assert found.key == key
    same_key_near = any(
        press.key == key and abs(press.at - stranger.at) <= DOUBLED_SECONDS for press in heard
    )
    assert found.trouble == Trouble.FOREIGN or (found.trouble == Trouble.DOUBLED and same_key_near)


@settings(deadline=None)
@given(good_lines(), st.sets(PLACES, min_size=1))
def test_each_of_several_lost_keys_is_named_be_it_a_whole_round(
    line: tuple[list[Press], list[Press]], places: set[int]
) -> None:
    sent, heard = line
    found = compare(sent, [press for place, press in enumerate(heard) if place not in places]).findings
    assert {finding.trouble for finding in found} == {Trouble.LOST}
    assert sorted(finding.key for finding in found) == sorted(sent[place].key for place in places)


def test_a_round_that_is_missing_is_the_one_whose_time_it_was() -> None:
    sent = list(schedule(SPACINGS))
    heard = [Press(press.key, press.at + 0.1) for press in sent]
    size = len(SEQUENCE)
    for missing in range(3):
        left = heard[: missing * size] + heard[(missing + 1) * size :]
        assert {finding.round for finding in compare(sent, left).findings} == {missing}


def test_nothing_arrives() -> None:
    sent = list(schedule(SPACINGS))
    assert [finding.key for finding in compare(sent, []).findings] == list(SEQUENCE) * 3


def test_a_check_that_was_cut_off_is_compared_as_far_as_it_went() -> None:
    sent = list(schedule(SPACINGS))[:5]
    heard = [Press(press.key, press.at + 0.1) for press in sent]
    assert compare(sent, heard).findings == ()
    assert only(compare(sent, heard[:4]).findings).key == sent[4].key


def test_clocks_that_differ_a_little_make_no_trouble() -> None:
    sent = list(schedule(FAST))
    compared = compare(sent, [Press(press.key, press.at - 0.04) for press in sent])
    assert compared.findings == ()
    assert {arrival.latency for arrival in compared.arrivals} == {0.0}


@pytest.mark.parametrize(
    ("finding", "sentence"),
    [
        (Finding("5", 0, Trouble.LOST), "Key 5 did not arrive"),
        (Finding("#", 0, Trouble.DOUBLED), "Key # arrived twice"),
        (Finding("*", 0, Trouble.SWAPPED, 0.6, "3"), "Key * arrived after 3, which was pressed later"),
        (Finding("A", 0, Trouble.FOREIGN), "Key A arrived without being pressed"),
        (Finding("0", 0, Trouble.SLOW, 1.44), "Key 0 took 1.4 seconds"),
        (
            Finding("0", 0, Trouble.SLOW, 2.31, "6"),
            "Key 0 took 2.3 seconds, after 6, which was pressed later",
        ),
    ],
)
def test_a_finding_names_the_key_and_what_happened_to_it(finding: Finding, sentence: str) -> None:
    assert str(finding) == sentence
