"""Patients in the office: entered, found, imported, taken out, and every look at them on record."""

from __future__ import annotations

import html
import io
import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic import patients
from clinic.models import AccessRecord, Clinic, IdentityAttempt, Patient
from clinic.roles import Role

pytestmark = pytest.mark.django_db

LIST = "/admin/clinic/patient/"
ADD = "/admin/clinic/patient/add/"
IMPORT = "/admin/clinic/patient/import/"
CONFIRM = "/admin/clinic/patient/process_import/"
EXPORT = "/admin/clinic/patient/export/"
CSV, XLSX = "0", "1"


@pytest.fixture
def clinic() -> Clinic:
    return Clinic.objects.create(name="Bright Smile Dental", slug="bright-smile")


@pytest.fixture
def office(client: Client) -> Client:
    return log_in(client, Role.MANAGER)


def log_in(client: Client, role: Role) -> Client:
    user = User.objects.create_user(role.lower(), is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    return client


@pytest.fixture
def maria(clinic: Clinic) -> Patient:
    patient = Patient(clinic=clinic, name="Maria Lopez", phone="+12025550123", language="es")
    patients.patient_set_id(patient, "4821")
    patient.save()
    return patient


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def page_of(patient: Patient) -> str:
    return reverse("admin:clinic_patient_change", args=[patient.pk])


def entered(clinic: Clinic, **changes: str) -> dict[str, str]:
    patient = {
        "clinic": str(clinic.pk),
        "name": "Bob Stone",
        "patient_id": "0042",
        "language": "",
        "active": "on",
    }
    return patient | changes


class TestEntering:
    def test_a_new_patient_is_found_by_the_phone(self, office: Client, clinic: Clinic) -> None:
        answer = office.post(ADD, entered(clinic, patient_id="00-42"))
        assert answer.status_code == 302, answer.context["errors"]
        found = patients.identify(clinic.pk, "0042", "", datetime(2026, 11, 23, tzinfo=UTC))
        assert found.patient_id == Patient.objects.get(name="Bob Stone").pk

    @pytest.mark.parametrize(
        ("patient_id", "sentence"),
        [
            ("", "The patient ID is missing."),
            ("48A1", "A patient ID has digits only"),
            ("4821", "Another patient has this ID."),
            ("48 21", "Another patient has this ID."),
            ("1" * 40, "at most 32 digits"),
        ],
    )
    def test_what_is_wrong_with_an_id_is_said_beside_it(
        self, office: Client, clinic: Clinic, maria: Patient, patient_id: str, sentence: str
    ) -> None:
        answer = office.post(ADD, entered(clinic, patient_id=patient_id))
        [error] = answer.context["adminform"].form.errors["patient_id"]
        assert sentence in error
        assert not patient_id or patient_id not in error
        assert Patient.objects.count() == 1

    def test_the_id_stays_when_no_new_one_is_entered(
        self, office: Client, clinic: Clinic, maria: Patient
    ) -> None:
        office.post(page_of(maria), entered(clinic, name="Maria Lopez-Diaz", patient_id=""))
        maria.refresh_from_db()
        assert maria.name == "Maria Lopez-Diaz"
        assert patients.patient_id_revealed(maria) == "4821"

    def test_a_new_id_takes_the_old_ones_place(self, office: Client, clinic: Clinic, maria: Patient) -> None:
        office.post(page_of(maria), entered(clinic, patient_id="7777"))
        maria.refresh_from_db()
        assert patients.patient_id_revealed(maria) == "7777"
        assert "7777" not in str(LogEntry.objects.values())

    def test_pages_show_dots(self, office: Client, maria: Patient) -> None:
        for page in (LIST, page_of(maria)):
            assert "••••" in text_of(office.get(page))
            assert "4821" not in text_of(office.get(page))


class TestFinding:
    @pytest.mark.parametrize("term", ["lopez", "4821", "48-21", "(202) 555-0123", "555 0123", "2025550123"])
    def test_by_name_by_number_and_by_the_whole_id(self, office: Client, maria: Patient, term: str) -> None:
        assert "Maria Lopez" in text_of(office.get(LIST, {"q": term}))

    @pytest.mark.parametrize("term", ["482", "821", "48211", "stone"])
    def test_not_by_a_part_of_the_id(self, office: Client, maria: Patient, term: str) -> None:
        assert "Maria Lopez" not in text_of(office.get(LIST, {"q": term}))


class TestImporting:
    GOOD = (
        "Patient ID,Name,Phone,Language\n0042,Bob Stone,202-555-0188,en\n4821,Maria Lopez,+12025550123,es\n"
    )

    def upload(self, office: Client, clinic: Clinic, content: str | bytes, file_format: str = CSV) -> Any:
        raw = content.encode() if isinstance(content, str) else content
        file = SimpleUploadedFile("patients", raw)
        return office.post(IMPORT, {"clinic": clinic.pk, "format": file_format, "import_file": file})

    def confirm(self, office: Client, preview: Any) -> str:
        return text_of(
            office.post(
                CONFIRM, preview.context["confirm_form"].initial | self.clinic_of(preview), follow=True
            )
        )

    def clinic_of(self, preview: Any) -> dict[str, int]:
        return {"clinic": preview.context["confirm_form"].initial["clinic"].pk}

    def test_first_a_preview_then_the_patients(self, office: Client, clinic: Clinic) -> None:
        preview = self.upload(office, clinic, self.GOOD)
        assert "Bob Stone" in text_of(preview)
        assert "••••" in text_of(preview)
        assert "4821" not in text_of(preview)
        assert not Patient.objects.exists()
        assert "2 patients were added, 0 changed" in self.confirm(office, preview)
        bob = Patient.objects.get(name="Bob Stone")
        assert patients.patient_id_revealed(bob) == "0042"
        assert str(bob.phone) == "+12025550188"
        assert bob.active

    def test_a_known_id_changes_that_patient(self, office: Client, clinic: Clinic, maria: Patient) -> None:
        preview = self.upload(office, clinic, "id,name\n4821,Maria Lopez-Diaz\n")
        assert "0 patients were added, 1 changed" in self.confirm(office, preview)
        maria.refresh_from_db()
        assert (maria.name, str(maria.phone)) == ("Maria Lopez-Diaz", "+12025550123")

    def test_an_empty_cell_changes_nothing(self, office: Client, clinic: Clinic, maria: Patient) -> None:
        content = "patient_id,name,phone,language,active\n4821,,,,\n"
        assert "0 changed, 1 were as they are already" in self.confirm(
            office, self.upload(office, clinic, content)
        )

    def test_bad_lines_are_named_and_the_rest_goes_in(
        self, office: Client, clinic: Clinic, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        lines = ["patient_id,name,phone,language", "0042,Bob Stone,,en", "48x1,Ann,,", "0042,Bob Again,,"]
        lines += ["5555,,,", "6666,Eve,12,", "7777,Dan,,xx", ",Nobody,,"]
        preview = self.upload(office, clinic, "\n".join(lines))
        page = " ".join(text_of(preview).split())
        assert "6 of 7 lines cannot be imported; they are left out if you go on" in page
        assert "Line 3:</span> A patient ID has digits only" in page
        assert "Line 4:</span> This is the same ID as in line 2." in page
        assert "Line 5:</span> The name is missing." in page
        assert "Line 6:</span> The phone number entered is not valid." in page
        assert "Line 7:</span> The language should be one of en, es, or empty." in page
        assert "Line 8:</span> The patient ID is missing." in page
        assert "1 patients were added" in self.confirm(office, preview)
        assert [patient.name for patient in Patient.objects.all()] == ["Bob Stone"]
        for patient_id in ("0042", "48x1", "5555", "6666", "7777"):
            assert patient_id not in page
            assert patient_id not in caplog.text

    def test_a_file_without_the_needed_columns_is_refused_in_words(
        self, office: Client, clinic: Clinic
    ) -> None:
        preview = self.upload(office, clinic, "number,name\n1234,Bob\n")
        assert "The first line of the file has no column “patient_id”." in text_of(preview)
        assert "confirm_form" not in preview.context

    @pytest.mark.parametrize("file_format", [CSV, XLSX])
    def test_a_file_that_is_no_table_is_refused_in_words(
        self, office: Client, clinic: Clinic, file_format: str
    ) -> None:
        preview = self.upload(office, clinic, b"\xff\xfe\x00\x81", file_format)
        assert "This file cannot be read. Save it as" in text_of(preview)

    def test_a_spreadsheets_numbers_are_ids(self, office: Client, clinic: Clinic) -> None:
        book = openpyxl.Workbook()
        for row in (["Patient ID", "Name"], [4821, "Maria Lopez"], ["0042", "Bob Stone"]):
            book.active.append(row)
        file = io.BytesIO()
        book.save(file)
        self.confirm(office, self.upload(office, clinic, file.getvalue(), XLSX))
        assert {patients.patient_id_revealed(each) for each in Patient.objects.all()} == {"4821", "0042"}

    def test_the_file_waits_encrypted_and_is_gone_afterwards(
        self, office: Client, clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiting = tmp_path / "waiting"
        waiting.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(waiting))
        preview = self.upload(office, clinic, self.GOOD)
        [file] = waiting.iterdir()
        assert b"4821" not in file.read_bytes()
        assert b"Maria" not in file.read_bytes()
        self.confirm(office, preview)
        assert list(waiting.iterdir()) == []

    def test_an_auditor_imports_nothing(self, client: Client, clinic: Clinic) -> None:
        assert self.upload(log_in(client, Role.AUDITOR), clinic, self.GOOD).status_code == 403


class TestTakingOut:
    def test_an_export_holds_the_ids_and_is_on_record(self, office: Client, maria: Patient) -> None:
        answer = office.post(EXPORT, {"format": CSV})
        assert answer.content.decode().splitlines() == [
            "patient_id,name,phone,language,active",
            "4821,Maria Lopez,+12025550123,es,1",
        ]
        record = AccessRecord.objects.get(action="export")
        assert (record.username, record.model, record.count) == ("manager", "clinic.patient", 1)

    def test_what_was_taken_out_can_be_imported_again(
        self, office: Client, clinic: Clinic, maria: Patient
    ) -> None:
        file = office.post(EXPORT, {"format": CSV}).content
        preview = TestImporting().upload(office, clinic, file)
        assert "1 were as they are already" in TestImporting().confirm(office, preview)

    def test_a_formula_in_a_name_does_not_run(self, office: Client, maria: Patient) -> None:
        Patient.objects.update(name="=1+1")
        assert "=1+1" not in office.post(EXPORT, {"format": CSV}).content.decode()

    def test_a_receptionist_takes_nothing_out(self, client: Client, maria: Patient) -> None:
        assert log_in(client, Role.RECEPTIONIST).post(EXPORT, {"format": CSV}).status_code == 403
        assert not AccessRecord.objects.exists()


class TestTheAccessLog:
    def test_opening_a_patient_leaves_a_record(self, office: Client, maria: Patient) -> None:
        office.get(page_of(maria))
        record = AccessRecord.objects.get()
        assert (record.action, record.model, record.object_id) == ("view", "clinic.patient", str(maria.pk))
        assert (record.username, record.address) == ("manager", "127.0.0.1")

    def test_a_patient_that_does_not_exist_leaves_none(self, office: Client, clinic: Clinic) -> None:
        office.get(reverse("admin:clinic_patient_change", args=[99]))
        assert not AccessRecord.objects.exists()

    def test_nobody_writes_in_it(self, client: Client, maria: Patient) -> None:
        admin = log_in(client, Role.ADMINISTRATOR)
        admin.get(page_of(maria))
        record = AccessRecord.objects.get()
        page = reverse("admin:clinic_accessrecord_change", args=[record.pk])
        assert admin.get("/admin/clinic/accessrecord/").status_code == 200
        assert admin.get(page).status_code == 200
        assert admin.post(page, {"username": "nobody"}).status_code == 403
        assert admin.get("/admin/clinic/accessrecord/add/").status_code == 403
        assert admin.post(reverse("admin:clinic_accessrecord_delete", args=[record.pk])).status_code == 403


class TestUnlocking:
    LOCKED = "+12025550199"

    @pytest.fixture
    def locked(self, clinic: Clinic, maria: Patient) -> IdentityAttempt:
        for number in range(7):
            patients.identify(clinic.pk, f"900{number}", self.LOCKED, timezone.now())
        return IdentityAttempt.objects.get(outcome="locked")

    def outcome(self, clinic: Clinic) -> str:
        return patients.identify(clinic.pk, "4821", self.LOCKED, timezone.now()).outcome

    @pytest.mark.parametrize("action", ["unlock_selected", "unlock_clinics"])
    def test_a_receptionist_unlocks_from_the_list_of_attempts(
        self, client: Client, clinic: Clinic, locked: IdentityAttempt, action: str
    ) -> None:
        rita = log_in(client, Role.RECEPTIONIST)
        url = "/admin/clinic/identityattempt/"
        assert "Refused: locked" in text_of(rita.get(url))
        assert self.outcome(clinic) == "locked"
        rita.post(url, {"action": action, "_selected_action": [locked.pk]})
        assert self.outcome(clinic) == "identified"
        assert "by receptionist" in text_of(rita.get(url))

    def test_an_auditor_does_not(self, client: Client, clinic: Clinic, locked: IdentityAttempt) -> None:
        auditor = log_in(client, Role.AUDITOR)
        auditor.post(
            "/admin/clinic/identityattempt/", {"action": "unlock_selected", "_selected_action": [locked.pk]}
        )
        assert self.outcome(clinic) == "locked"

    def test_a_patients_id_is_unlocked_from_the_list_of_patients(
        self, office: Client, clinic: Clinic, maria: Patient
    ) -> None:
        for number in range(12):
            patients.identify(clinic.pk, "4821", f"+120255501{number:02}", timezone.now())
        assert "Locked for now" in text_of(office.get(page_of(maria)))
        office.post(LIST, {"action": "unlock", "_selected_action": [maria.pk]})
        assert "are recognised" in text_of(office.get(page_of(maria)))


class TestWhoSawWhat:
    def test_a_refused_change_shows_the_patient_and_leaves_a_record(
        self, office: Client, maria: Patient
    ) -> None:
        assert office.post(page_of(maria), {"name": ""}).status_code == 200
        assert AccessRecord.objects.get().object_id == str(maria.pk)

    def test_no_title_names_a_patient(self, office: Client, maria: Patient) -> None:
        for name in ("change", "history", "delete"):
            page = text_of(office.get(reverse(f"admin:clinic_patient_{name}", args=[maria.pk])))
            assert "Maria" not in page.partition("<title>")[2].partition("</title>")[0], name

    def test_times_are_on_the_clinics_clock(self, client: Client, clinic: Clinic) -> None:
        at = datetime(2026, 11, 23, 19, 5, tzinfo=UTC)
        AccessRecord.objects.create(at=at, username="rita", action="view", model="phone.call")
        auditor = log_in(client, Role.AUDITOR)
        assert "2:05 p.m." in text_of(auditor.get(reverse("admin:clinic_accessrecord_changelist")))
