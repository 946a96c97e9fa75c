"""Patients: entered, found, imported and taken out. Their IDs are shown as dots."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from import_export.admin import ImportExportModelAdmin
from import_export.formats.base_formats import CSV, XLSX
from import_export.forms import ConfirmImportForm
from import_export.results import Result, RowResult
from unfold.admin import ModelAdmin
from unfold.contrib.import_export.forms import ExportForm, ImportForm
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from clinic.access import RecordsAccess
from clinic.admin.rows import ClinicRowAdmin, ClinicRowForm, staff_user
from clinic.models import Clinic, Patient
from clinic.patient_table import EncryptedUpload, PatientsIn, PatientsOut
from clinic.patients import (
    patient_id_hash,
    patient_id_masked,
    patient_id_problem,
    patient_is_locked,
    patient_set_id,
    patient_unlock,
)

SHORTEST_PHONE_SEARCH = 4
"""Digits of a telephone number that are worth searching for."""


class PatientForm(ClinicRowForm):
    patient_id = forms.CharField(
        label="Patient ID",
        required=False,
        max_length=64,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )

    class Meta:
        model = Patient
        fields = ["clinic", "name", "phone", "language", "active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "patient_id" in self.fields:
            self.fields["patient_id"].label = "New patient ID"
            self.fields["patient_id"].help_text = "Empty: the ID stays as it is."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        raw_id = cleaned.get("patient_id", "")
        clinic = cleaned.get("clinic") or (self.instance.clinic if self.instance.pk else None)
        if "patient_id" in self.errors or clinic is None or (self.instance.pk and not raw_id):
            return cleaned
        problem = patient_id_problem(raw_id)
        same_id = Patient.objects.filter(clinic=clinic, id_hmac=patient_id_hash(clinic.pk, raw_id))
        if not problem and same_id.exclude(pk=self.instance.pk).exists():
            problem = "Another patient has this ID."
        if problem:
            self.add_error("patient_id", problem)
        else:
            self.instance.clinic = clinic
            patient_set_id(self.instance, raw_id)
        return cleaned


class PatientImportForm(ImportForm):
    clinic = forms.ModelChoiceField(Clinic.objects.all(), widget=UnfoldAdminSelectWidget, empty_label=None)
    field_order = ["clinic", "resource", "import_file", "format"]


class PatientConfirmForm(ConfirmImportForm):
    clinic = forms.ModelChoiceField(Clinic.objects.all(), widget=forms.HiddenInput)


@admin.register(Patient)
class PatientAdmin(RecordsAccess, ClinicRowAdmin, ModelAdmin, ImportExportModelAdmin):
    form = PatientForm
    list_display = ["name", "masked_id", "phone", "language", "active"]
    list_filter = ["active", "language"]
    search_fields = ["name"]
    search_help_text = "A name, a telephone number, or a whole patient ID."
    readonly_fields = ["masked_id", "identification"]
    actions = ["unlock"]

    import_form_class = PatientImportForm
    confirm_form_class = PatientConfirmForm
    export_form_class = ExportForm
    import_template_name = "admin/clinic/patient_import.html"
    tmp_storage_class = EncryptedUpload
    formats = [CSV, XLSX]
    import_formats = export_formats = formats

    def get_fields(self, request: HttpRequest, obj: Patient | None = None) -> list[str]:
        new = ["clinic", "name", "patient_id", "phone", "language", "active"]
        return [*new[:2], "masked_id", *new[2:], "identification"] if obj else new

    @display(description="Patient ID")
    def masked_id(self, patient: Patient) -> str:
        return patient_id_masked(patient)

    @display(description="On the phone")
    def identification(self, patient: Patient) -> str:
        """Whether callers can identify themselves with this ID now."""
        if not patient.active:
            return "Not recognised: inactive."
        if patient_is_locked(patient, timezone.now()):
            return "Locked for now: there were too many attempts. “Unlock” in the list of patients ends it."
        return "Callers who enter this ID are recognised."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Patient], search_term: str
    ) -> tuple[QuerySet[Patient], bool]:
        found, may_have_duplicates = super().get_search_results(request, queryset, search_term)
        if search_term and not patient_id_problem(search_term):
            hashes = [patient_id_hash(pk, search_term) for pk in Clinic.objects.values_list("pk", flat=True)]
            found |= queryset.filter(id_hmac__in=hashes)
        digits = "".join(each for each in search_term if each.isdecimal())
        if len(digits) >= SHORTEST_PHONE_SEARCH:
            found |= queryset.filter(phone__contains=digits)
        return found, may_have_duplicates

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("clinic.change_identityattempt")

    @admin.action(description="Unlock the IDs of these patients", permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[Patient]) -> None:
        for patient in queryset:
            patient_unlock(patient=patient, by=staff_user(request), at=timezone.now())
        messages.success(request, "Callers can give these IDs again.")

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("clinic.export_patient")

    def get_import_resource_classes(self, request: HttpRequest) -> list[type[PatientsIn]]:
        return [PatientsIn]

    def get_export_resource_classes(self, request: HttpRequest) -> list[type[PatientsOut]]:
        return [PatientsOut]

    def get_import_resource_kwargs(
        self, request: HttpRequest, *, form: forms.Form | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        chosen = form.cleaned_data.get("clinic") if form and form.is_bound and form.is_valid() else None
        return {"clinic": chosen}

    def get_confirm_form_initial(
        self, request: HttpRequest, import_form: PatientImportForm | None
    ) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_confirm_form_initial(request, import_form)
        return initial | ({"clinic": import_form.cleaned_data["clinic"]} if import_form else {})

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        response: Any = super().import_action(request, **kwargs)
        result: Result | None = response.context_data.get("result")
        if result and not result.has_errors() and result.has_validation_errors() and result.valid_rows():
            # The library offers to go on only with a faultless file; the good rows need not wait for the others.
            response.context_data["confirm_form"] = self.create_confirm_form(
                request, import_form=response.context_data["form"]
            )
        return response

    def add_data_read_fail_error_to_form(self, form: forms.Form, error: Exception) -> None:
        form.add_error(
            "import_file",
            "This file cannot be read. Save it as “CSV UTF-8” or as an Excel workbook (.xlsx), and choose that format.",
        )

    def add_success_message(self, result: Result, request: HttpRequest) -> None:
        totals = result.totals
        sentence = (
            f"{totals[RowResult.IMPORT_TYPE_NEW]} patients were added, "
            f"{totals[RowResult.IMPORT_TYPE_UPDATE]} changed, "
            f"{totals[RowResult.IMPORT_TYPE_SKIP]} were as they are already."
        )
        if left_out := totals[RowResult.IMPORT_TYPE_INVALID]:
            sentence += f" {left_out} lines were left out, as the preview said."
        messages.success(request, sentence)
