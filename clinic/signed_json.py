"""Documents that prove where they come from, and say which part of them was changed.

A document is JSON with three names. `parts` is what it says, piece by piece. `statement` names the kind of document,
the moment it was made and the SHA-256 of each part. `signature` is Ed25519 (RFC 8032) over the statement. Parts and
statement are hashed and signed in one spelling (`clinic.evidence.canonical_json`), so that a document may be indented
and ordered anew without harm.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from clinic import crypto
from clinic.evidence import canonical_json

ALGORITHM = "Ed25519"


class NotADocument(ValueError):
    """It is no signed document at all. The message is a sentence."""


class Signature(BaseModel):
    """`public_key` and `value` in base64."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    algorithm: str
    public_key: str
    value: str


class Statement(BaseModel):
    """What is signed. `parts` is the SHA-256 of each part, in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    made_at: str
    parts: dict[str, str]


class SignedDocument(BaseModel):
    """The whole document."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    parts: dict[str, Any]
    statement: Statement
    signature: Signature

    def problems(self, public_key: bytes) -> list[str]:
        """What is not as whoever holds `public_key` signed it, in sentences; empty when all of it is."""
        found = []
        statement = canonical_json(self.statement.model_dump()).encode()
        if not crypto.is_signed_by(public_key, decoded(self.signature.value), statement):
            found.append("The signature does not fit: the statement was changed, or another key signed it.")
        signed = self.statement.parts
        found += [f"“{name}” is missing." for name in signed if name not in self.parts]
        found += [f"“{name}” was added." for name in self.parts if name not in signed]
        found += [
            f"“{name}” was changed."
            for name, part in self.parts.items()
            if name in signed and digest(part) != signed[name]
        ]
        return found


def signed_document(kind: str, parts: Mapping[str, Any], *, made_at: datetime) -> SignedDocument:
    """`parts`, signed by this system. No part may hold a number with a fraction. Raises crypto.KeysUnavailable."""
    statement = Statement(
        kind=kind, made_at=made_at.isoformat(), parts={name: digest(part) for name, part in parts.items()}
    )
    value = crypto.sign(canonical_json(statement.model_dump()).encode())
    signature = Signature(algorithm=ALGORITHM, public_key=encoded(crypto.public_key()), value=encoded(value))
    return SignedDocument(parts=dict(parts), statement=statement, signature=signature)


def read_document(text: str | bytes) -> SignedDocument:
    """The document that `text` is. Raises NotADocument."""
    try:
        return SignedDocument.model_validate(json.loads(text, object_pairs_hook=_once))
    except (ValueError, ValidationError, RecursionError):
        raise NotADocument("This is no signed document, or it was damaged.") from None


def digest(part: object) -> str:
    """The SHA-256 of a part's one spelling, in hex."""
    return hashlib.sha256(canonical_json(part).encode()).hexdigest()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """What base64 `text` holds; nothing where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A name that stands twice could show one thing to a reader and another to the check.
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError
    return dict(pairs)
