"""Patients in and out as CSV or XLSX. On the way in, no message, preview or log shows a patient ID."""

from __future__ import annotations

import base64
from typing import Any

from django.core.exceptions import ValidationError
from import_export.fields import Field
from import_export.resources import ModelResource
from import_export.results import RowResult
from import_export.tmp_storages import TempFolderStorage
from import_export.widgets import BooleanWidget
from tablib import Dataset

from clinic import crypto
from clinic.languages import LANGUAGES
from clinic.models import Clinic, Patient
from clinic.patients import (
    normalise_id,
    patient_id_hash,
    patient_id_masked,
    patient_id_problem,
    patient_id_revealed,
    patient_set_id,
)

COLUMNS = ("patient_id", "name", "phone", "language", "active")
NEEDED = ("patient_id", "name")
MASK = "••••"


class PatientsOut(ModelResource):
    """The table that an export writes, IDs in full. Whoever gets it is in the access log."""

    patient_id = Field(column_name="patient_id", readonly=True)

    class Meta:
        model = Patient
        fields = export_order = COLUMNS

    def dehydrate_patient_id(self, patient: Patient) -> str:
        return patient_id_revealed(patient)


class MaskedId(Field):
    """The ID as a preview shows it. It is read from the file in `PatientsIn.import_instance`."""

    def export(self, instance: Patient, **kwargs: Any) -> str:
        return patient_id_masked(instance) if instance.id_key else ""


class PatientsIn(ModelResource):
    """The table that an import reads: a known ID changes that patient, a new one adds a patient to `clinic`.

    An empty cell changes nothing.
    """

    patient_id = MaskedId(column_name="patient_id", readonly=True)
    active = Field(attribute="active", column_name="active", widget=BooleanWidget())

    class Meta:
        model = Patient
        fields = import_order = export_order = COLUMNS
        import_id_fields = ("patient_id",)
        skip_unchanged = True
        clean_model_instances = True

    def __init__(self, *, clinic: Clinic | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clinic = clinic
        self.line_of_id: dict[str, int] = {}

    def before_import(self, dataset: Dataset, **kwargs: Any) -> None:
        headers = [_header(each) for each in dataset.headers or []]
        missing = [f"“{name}”" for name in NEEDED if name not in headers]
        if missing:
            raise ValidationError(
                f"The first line of the file has no column {' and no column '.join(missing)}."
            )
        dataset.headers = headers

    def get_instance(self, instance_loader: object, row: dict[str, Any]) -> Patient | None:
        return Patient.objects.filter(clinic=self._clinic, id_hmac=self._hash(row)).first()

    def import_field(self, field: Field, instance: Patient, row: dict[str, Any], **kwargs: Any) -> None:
        if str(row.get(field.column_name) or "").strip():
            super().import_field(field, instance, row, **kwargs)

    def import_instance(self, instance: Patient, row: dict[str, Any], **kwargs: Any) -> None:
        errors: dict[str, Any] = {}
        try:
            super().import_instance(instance, row, **kwargs)
        except ValidationError as invalid:
            errors = invalid.update_error_dict(errors)
        instance.clinic = self._clinic
        patient_id = _text(row["patient_id"])
        problem = patient_id_problem(patient_id) or self._named_before(row, kwargs["row_number"])
        if problem:
            errors["patient_id"] = problem
        elif not instance.id_key:
            patient_set_id(instance, patient_id)
        if not instance.name:
            errors["name"] = "The name is missing."
        if instance.language and instance.language not in LANGUAGES:
            errors["language"] = f"The language should be one of {', '.join(LANGUAGES)}, or empty."
        if errors:
            raise ValidationError(errors)

    def skip_row(
        self, instance: Patient, original: Patient, row: dict[str, Any], import_validation_errors: Any = None
    ) -> bool:
        # Only a patient who is there already can be as the file says.
        return bool(instance.pk and super().skip_row(instance, original, row, import_validation_errors))

    def import_row(self, row: dict[str, Any], instance_loader: object, **kwargs: Any) -> RowResult:
        try:
            return super().import_row(row, instance_loader, **kwargs)
        finally:
            # The row stays in the result, which is shown when something was wrong with it.
            row["patient_id"] = MASK

    def _named_before(self, row: dict[str, Any], number: int) -> str:
        first = self.line_of_id.setdefault(self._hash(row), number)
        # The file's first line holds the names of the columns.
        return f"This is the same ID as in line {first + 1}." if first != number else ""

    def _hash(self, row: dict[str, Any]) -> str:
        return patient_id_hash(self._clinic.pk, _text(row.get("patient_id")))

    @property
    def _clinic(self) -> Clinic:
        assert self.clinic, "needed as soon as there is a file"
        return self.clinic


class EncryptedUpload(TempFolderStorage):
    """Where a file waits between its preview and its import: encrypted, for it is full of patient IDs."""

    encoding: str | None
    CONTEXT = "patient-import"

    def save(self, data: bytes | str) -> None:
        raw = data.encode(self.encoding or "utf-8") if isinstance(data, str) else data
        ciphertext, key_id = crypto.encrypt(base64.b64encode(raw).decode(), self.CONTEXT)
        self.encoding = None
        with self._open(mode="wb") as file:
            file.write(f"{key_id}\n".encode() + ciphertext)

    def read(self) -> bytes | str:
        encoding = self.encoding or "utf-8-sig"
        self.encoding = None
        with self._open(mode="rb") as file:
            key_id, _, ciphertext = file.read().partition(b"\n")
        raw = base64.b64decode(crypto.decrypt(ciphertext, key_id.decode(), self.CONTEXT))
        return raw if self.read_mode == "rb" else raw.decode(encoding)


def _header(name: object) -> str:
    words = str(name or "").strip().casefold().replace("_", " ").replace("-", " ").split()
    return "patient_id" if words == ["id"] else "_".join(words)


def _text(cell: object) -> str:
    """A cell as text. Spreadsheets make whole numbers of what looks like one."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return normalise_id(str(cell if cell is not None else ""))
