"""What a Range header asks for, as RFC 9110 has it."""

from __future__ import annotations

import pytest

from phone.byte_ranges import ByteRange, RangeNotSatisfiable, parse_range


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-499", 0, 499),
        ("bytes=500-999", 500, 999),
        ("bytes=9500-", 9500, 9999),
        ("bytes=0-", 0, 9999),
        ("bytes=-500", 9500, 9999),
        ("bytes=-99999", 0, 9999),
        ("bytes=9999-99999", 9999, 9999),
        ("Bytes=0-0", 0, 0),
    ],
)
def test_one_range_is_served(header: str, first: int, last: int) -> None:
    assert parse_range(header, 10_000) == ByteRange(first, last, 10_000)


@pytest.mark.parametrize(
    "header",
    ["", "bytes=-", "bytes=5-4", "bytes=a-b", "seconds=0-5", "bytes=0-1,5-6", "bytes=0 - 5", "bytes=٠-٥"],
)
def test_anything_else_gets_all_of_it(header: str) -> None:
    assert parse_range(header, 10_000) is None


@pytest.mark.parametrize("header", ["bytes=10000-", "bytes=10000-20000", "bytes=-0"])
def test_bytes_that_do_not_exist_are_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 10_000)


def test_nothing_has_no_ranges() -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=0-", 0)
