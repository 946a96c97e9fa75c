"""Identifying callers: right, wrong and locked IDs, and what the database keeps of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from clinic import patients
from clinic.models import Clinic, IdentityAttempt, Patient
from clinic.patients import Identification, identify, normalise_id

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MARIA = "+12125550123"
BOB = "+12125550188"


@pytest.fixture
def clinic() -> Clinic:
    return Clinic.objects.create(name="Bright Smile Dental", slug="bright-smile")


def new_patient(clinic: Clinic, patient_id: str, **more: object) -> Patient:
    patient = Patient(clinic=clinic, name=f"Patient {patient_id}", **more)
    patients.patient_set_id(patient, patient_id)
    patient.save()
    return patient


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return new_patient(clinic, "4821")


@pytest.fixture
def manager() -> User:
    return User.objects.create_user("manager")


def tries_wrong_ids(clinic: Clinic, caller: str, times: int, at: datetime = MONDAY) -> Identification:
    return [identify(clinic.pk, f"9{number:03}", caller, at) for number in range(times)][-1]


class TestLookingUp:
    def test_the_right_id_finds_the_patient(self, clinic: Clinic, patient: Patient) -> None:
        assert identify(clinic.pk, "4821", MARIA, MONDAY) == Identification("identified", patient.pk)

    def test_a_wrong_one_finds_nobody(self, clinic: Clinic, patient: Patient) -> None:
        assert identify(clinic.pk, "4822", MARIA, MONDAY) == Identification("not_found")

    def test_leading_zeros_count_and_spaces_do_not(self, clinic: Clinic) -> None:
        zeros = new_patient(clinic, "0042")
        assert identify(clinic.pk, "00 42", MARIA, MONDAY).patient_id == zeros.pk
        assert identify(clinic.pk, "42", MARIA, MONDAY).outcome == "not_found"

    def test_another_clinics_patient_is_not_found(self, patient: Patient) -> None:
        other = Clinic.objects.create(name="Other", slug="other")
        assert identify(other.pk, "4821", MARIA, MONDAY).outcome == "not_found"

    def test_an_inactive_patient_is_not_found(self, clinic: Clinic, patient: Patient) -> None:
        Patient.objects.update(active=False)
        assert identify(clinic.pk, "4821", MARIA, MONDAY).outcome == "not_found"

    def test_right_wrong_and_locked_take_the_same_queries(
        self, clinic: Clinic, patient: Patient, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for patient_id in ("4821", "9999"):
            with django_assert_num_queries(3):
                identify(clinic.pk, patient_id, MARIA, MONDAY)
        tries_wrong_ids(clinic, MARIA, 6)
        with django_assert_num_queries(3):
            assert identify(clinic.pk, "4821", MARIA, MONDAY).outcome == "locked"

    def test_attempts_are_kept_without_number_or_id(self, clinic: Clinic, patient: Patient) -> None:
        identify(clinic.pk, "4821", MARIA, MONDAY)
        (kept,) = IdentityAttempt.objects.values()
        # By chance the digits may stand within a hash of 64 hex digits.
        kept = {
            name: None if name.endswith("_hmac") and len(value) == 64 else value
            for name, value in kept.items()
        }
        assert "4821" not in str(kept)
        assert MARIA not in str(kept)

    def test_a_database_that_is_away_identifies_nobody(self, clinic: Clinic, patient: Patient) -> None:
        away = mock.patch.object(IdentityAttempt.objects, "that_count", side_effect=OperationalError("gone"))
        with away, pytest.raises(patients.IdentificationUnavailable):
            identify(clinic.pk, "4821", MARIA, MONDAY)

    def test_an_attempt_that_cannot_be_kept_identifies_nobody(self, clinic: Clinic, patient: Patient) -> None:
        away = mock.patch.object(IdentityAttempt.objects, "create", side_effect=OperationalError("read-only"))
        with away, pytest.raises(patients.IdentificationUnavailable):
            identify(clinic.pk, "4821", MARIA, MONDAY)

    def test_lost_keys_identify_nobody(self, clinic: Clinic, settings: Settings) -> None:
        settings.DEMO = False
        with pytest.raises(patients.IdentificationUnavailable):
            identify(clinic.pk, "4821", MARIA, MONDAY)


class TestLocks:
    def test_many_wrong_ids_lock_their_caller(self, clinic: Clinic, patient: Patient) -> None:
        assert tries_wrong_ids(clinic, MARIA, 6).outcome == "not_found"
        assert identify(clinic.pk, "4821", MARIA, MONDAY) == Identification("locked")
        assert identify(clinic.pk, "4821", BOB, MONDAY).outcome == "identified"

    def test_right_ids_never_lock_their_caller(self, clinic: Clinic) -> None:
        for number in range(20):
            new_patient(clinic, f"7{number:03}")
        outcomes = {identify(clinic.pk, f"7{number:03}", MARIA, MONDAY).outcome for number in range(20)}
        assert outcomes == {"identified"}

    def test_withheld_numbers_share_no_lock(self, clinic: Clinic, patient: Patient) -> None:
        tries_wrong_ids(clinic, "", 30)
        assert identify(clinic.pk, "4821", "", MONDAY).outcome == "identified"

    @pytest.mark.parametrize("patient_id", ["4821", "9999"])
    def test_an_id_that_many_give_is_locked_whether_it_exists_or_not(
        self, clinic: Clinic, patient: Patient, patient_id: str
    ) -> None:
        for number in range(12):
            identify(clinic.pk, patient_id, f"+121255501{number:02}", MONDAY)
        assert identify(clinic.pk, patient_id, MARIA, MONDAY).outcome == "locked"

    def test_a_search_from_many_numbers_locks_the_clinic(self, clinic: Clinic, patient: Patient) -> None:
        for number in range(120):
            identify(clinic.pk, f"9{number:03}", f"+1212555{number:04}", MONDAY)
        assert identify(clinic.pk, "4821", MARIA, MONDAY).outcome == "locked"
        other = Clinic.objects.create(name="Other", slug="other")
        assert identify(other.pk, "1", MARIA, MONDAY).outcome == "not_found"

    def test_a_lock_ends_by_itself_and_being_refused_does_not_prolong_it(
        self, clinic: Clinic, patient: Patient
    ) -> None:
        tries_wrong_ids(clinic, MARIA, 6)
        for minutes in range(0, 60, 5):
            again = identify(clinic.pk, "4821", MARIA, MONDAY + timedelta(minutes=minutes))
            assert again.outcome == "locked"
        assert identify(clinic.pk, "4821", MARIA, MONDAY + timedelta(hours=1)).outcome == "identified"

    def test_the_window_slides(self, clinic: Clinic) -> None:
        tries_wrong_ids(clinic, MARIA, 3)
        tries_wrong_ids(clinic, MARIA, 3, at=MONDAY + timedelta(minutes=50))
        assert tries_wrong_ids(clinic, MARIA, 3, at=MONDAY + timedelta(minutes=61)).outcome == "not_found"

    def test_simulated_calls_neither_count_nor_are_refused(self, clinic: Clinic, patient: Patient) -> None:
        for _ in range(30):
            identify(clinic.pk, "9999", MARIA, MONDAY, count=False)
        assert not IdentityAttempt.objects.exists()
        tries_wrong_ids(clinic, MARIA, 7)
        assert identify(clinic.pk, "4821", MARIA, MONDAY, count=False).outcome == "identified"

    def test_staff_unlock_a_caller(self, clinic: Clinic, patient: Patient, manager: User) -> None:
        tries_wrong_ids(clinic, MARIA, 7)
        tries_wrong_ids(clinic, BOB, 7)
        refused = IdentityAttempt.objects.filter(outcome="locked").order_by("pk")[:1]
        patients.attempts_unlock(attempts=refused, by=manager, at=MONDAY)
        assert identify(clinic.pk, "4821", MARIA, MONDAY).outcome == "identified"
        assert identify(clinic.pk, "4821", BOB, MONDAY).outcome == "locked"

    def test_staff_unlock_a_patients_id(self, clinic: Clinic, patient: Patient, manager: User) -> None:
        for number in range(12):
            identify(clinic.pk, "4821", f"+121255501{number:02}", MONDAY)
        assert patients.patient_is_locked(patient, MONDAY)
        assert patients.patient_unlock(patient=patient, by=manager, at=MONDAY) == 12
        assert not patients.patient_is_locked(patient, MONDAY)
        assert identify(clinic.pk, "4821", MARIA, MONDAY).outcome == "identified"

    def test_staff_unlock_the_whole_clinic(self, clinic: Clinic, patient: Patient, manager: User) -> None:
        tries_wrong_ids(clinic, MARIA, 7)
        tries_wrong_ids(clinic, BOB, 7)
        patients.clinic_unlock(clinic_id=clinic.pk, by=manager, at=MONDAY)
        assert {identify(clinic.pk, "4821", each, MONDAY).outcome for each in (MARIA, BOB)} == {"identified"}
        assert IdentityAttempt.objects.filter(cleared_by=manager).count() == 14


class TestStoring:
    def test_the_row_holds_no_readable_id(self, patient: Patient) -> None:
        stored = Patient.objects.values().get()
        assert "4821" not in str({name: stored[name] for name in stored if name != "name"})
        patient.refresh_from_db()
        assert patients.patient_id_revealed(patient) == "4821"
        assert patients.patient_id_masked(patient) == "••••"

    def test_a_ciphertext_moved_to_another_row_is_not_read(self, clinic: Clinic, patient: Patient) -> None:
        other = new_patient(clinic, "1234")
        other.id_ciphertext = patient.id_ciphertext
        assert patients.patient_id_masked(other) == "?"

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (" 0042 ", "0042"),
            ("48-21", "4821"),
            ("48–21", "4821"),
            ("48\u00a021", "4821"),
            ("４８２１", "4821"),
        ],
    )
    def test_an_id_is_its_digits(self, raw: str, expected: str) -> None:
        assert normalise_id(raw) == expected
