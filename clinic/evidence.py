"""Rows that are written once and prove it: nobody changes them, and each carries a seal over what it says.

Three fences, one behind the other. The models refuse (`Evidence`). The database refuses an UPDATE, whoever asks for it
(`clinic.append_only`). And a row that was changed all the same, by somebody who owns the database, no longer matches
its seal, which nobody makes without the key file (`Sealed`, `broken_seals`).
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, ClassVar, TypeVar

from django.apps import apps
from django.db import models

from clinic import crypto

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 2_000


class EvidenceIsFinal(TypeError):
    """Evidence is written once: it is never changed and never taken away."""


Row = TypeVar("Row", bound=models.Model)


class EvidenceQuerySet(models.QuerySet[Row]):
    """Rows that are only ever added."""

    def update(self, **fields: object) -> int:
        raise EvidenceIsFinal(f"A {self.model._meta.verbose_name} is never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise EvidenceIsFinal(f"A {self.model._meta.verbose_name} is never deleted by itself.")


class Evidence(models.Model):
    """A row that is added once and then stays as it is, until what it belongs to goes."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise EvidenceIsFinal(f"A {self._meta.verbose_name} is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise EvidenceIsFinal(f"A {self._meta.verbose_name} is never deleted by itself.")


class SealedQuerySet(EvidenceQuerySet[Row]):
    """Sealed rows: whichever way they are added, they get their seals."""

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        rows = list(objs)
        for row in rows:
            row.seal = seal_of(row)  # type: ignore[attr-defined]
        return super().bulk_create(rows, *args, **kwargs)


class Sealed(Evidence):
    """Evidence with a seal, which the database protects as well."""

    may_be_emptied: ClassVar[tuple[str, ...]] = ()
    """Fields outside the seal: references that the database empties when their row goes."""

    seal = models.CharField(
        max_length=64, blank=True, editable=False, help_text="A keyed hash over this row as it was added."
    )

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.seal = seal_of(self)
        super().save(*args, **kwargs)


def sealed_models() -> list[type[Sealed]]:
    """Every kind of sealed row."""
    return [model for model in apps.get_models() if issubclass(model, Sealed)]


def seal_of(row: models.Model) -> str:
    """The seal of `row` as it is now; empty, with an error in the log, where there are no keys.

    A row without a seal proves less than one with a seal, and more than none: so the keys do not stop it.
    """
    model = type(row)
    try:
        return seal_of_values(model, _values(row))
    except crypto.KeysUnavailable as unavailable:
        log.error("A %s has no seal: %s", model._meta.verbose_name, unavailable)
        return ""


def seal_of_values(model: type[models.Model], values: Mapping[str, object]) -> str:
    """The seal of a row of `model` with these values, by attribute name. Raises crypto.KeysUnavailable."""
    content = {field.attname: _plain(field, values[field.attname]) for field in sealed_fields(model)}
    return crypto.keyed_hash(canonical_json(content), f"seal:{model._meta.label_lower}")


def canonical_json(content: object) -> str:
    """One spelling of `content`: sorted names, no spaces, letters as they are. The subset of RFC 8785 without numbers
    that have a fraction.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sealed_fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """What a seal covers: all but itself, an id that the database gives, and what may be emptied."""
    outside = {"seal", *getattr(model, "may_be_emptied", ())}
    return [
        field
        for field in model._meta.concrete_fields
        if field.name not in outside and not isinstance(field, models.AutoField)
    ]


def _plain(field: models.Field[Any, Any], value: object) -> object:
    """A value as every database gives it back: moments in UTC, ids as 32 hex digits, addresses as their bytes."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    if isinstance(value, uuid.UUID):
        return value.hex
    if isinstance(field, models.GenericIPAddressField):
        return ip_address(str(value)).packed.hex() if value else None
    return value


def broken_seals(rows: models.QuerySet[Any]) -> Iterator[models.Model]:
    """Those of `rows` that do not say what they said when they were added, or that have no seal.

    Raises crypto.KeysUnavailable.
    """
    for row in rows.order_by("pk").iterator(chunk_size=ROWS_AT_ONCE):
        if row.seal != seal_of_values(rows.model, _values(row)):
            yield row


def _values(row: models.Model) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in sealed_fields(type(row))}
