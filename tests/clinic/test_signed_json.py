"""A signed document is true as a whole, or says which part of it is not."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic import crypto
from clinic.signed_json import NotADocument, encoded, read_document, signed_document

NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)


@pytest.fixture
def content() -> Any:
    parts = {
        "call": {"id": "7", "caller": "+1"},
        "decision 1": {"wording": "¿Podemos grabar?", "heard": True},
    }
    return signed_document("a test", parts, made_at=NOON).model_dump()


def problems(content: Any, **how: Any) -> list[str]:
    return read_document(json.dumps(content, **how)).problems(crypto.public_key())


def test_it_is_true_as_it_was_made_however_it_is_indented(content: Any) -> None:
    assert problems(content) == []
    assert problems(content, indent=4, sort_keys=True, ensure_ascii=False) == []


def test_a_part_that_was_changed_is_named_and_no_other(content: Any) -> None:
    content["parts"]["decision 1"]["heard"] = False
    assert problems(content) == ["“decision 1” was changed."]


def test_a_part_that_is_missing_or_was_added_is_named(content: Any) -> None:
    content["parts"]["decision 2"] = content["parts"].pop("decision 1")
    assert problems(content) == ["“decision 1” is missing.", "“decision 2” was added."]


@pytest.mark.parametrize("name", ["kind", "made_at"])
def test_the_statement_cannot_be_changed(content: Any, name: str) -> None:
    content["statement"][name] = "other"
    assert "The signature does not fit" in problems(content)[0]


def test_a_hash_that_was_changed_with_its_part_breaks_the_signature(content: Any) -> None:
    other = deepcopy(content)
    other["parts"]["call"]["id"] = "8"
    forged = signed_document("a test", other["parts"], made_at=NOON)
    other["statement"] = forged.statement.model_dump()
    assert len(problems(other)) == 1


def test_another_key_signs_for_nobody_here(content: Any, settings: Any, tmp_path: Any) -> None:
    settings.CLINIC_KEY_FILE = tmp_path / "others.json"
    assert "another key" in problems(content)[0]
    assert content["signature"]["public_key"] != encoded(crypto.public_key())


@pytest.mark.parametrize("value", ["", "?", "AAAA", "A" * 88])
def test_nonsense_for_a_signature_does_not_fit(content: Any, value: str) -> None:
    content["signature"]["value"] = value
    assert problems(content)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"parts": {}, "statement": 1, "signature": 2}', "[" * 100_000, b"\xff\x00"],
)
def test_what_is_no_document_is_refused(text: str | bytes) -> None:
    with pytest.raises(NotADocument):
        read_document(text)


def test_a_name_that_stands_twice_is_refused(content: Any) -> None:
    text = json.dumps(content).replace('"id": "7"', '"id": "8", "id": "7"')
    with pytest.raises(NotADocument):
        read_document(text)
