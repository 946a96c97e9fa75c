"""One caller is erased: nothing of theirs is left anywhere, and what proves how they were treated still holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import phone.admin.retention  # noqa: F401
from clinic.crypto import decrypt
from clinic.models import AccessRecord, Clinic, IdentityAttempt, Patient
from clinic.patients import caller_hash, patient_id_hash, patient_set_id
from clinic.roles import Role
from phone.erasure import Caller, footprint
from phone.models import (
    Call,
    CallEvent,
    ConsentRecord,
    Deletion,
    DirectoryEntry,
    KeypadEntry,
    Recording,
    Request,
)
from phone.services import CallerIsOnTheLine, call_hold, caller_erase
from phone.services import erasure as service
from tests.phone.keeping import (
    NOW,
    NUMBER,
    SHA256,
    SOUND,
    WORDS,
    a_full_call,
    days_ago,
    member_of,
    sounds_on_disk,
)
from tests.phone.office import add_event, make_call, make_clinic, make_request

pytestmark = pytest.mark.django_db

NAME = "Ana Torres"
OTHERS_NUMBER, OTHERS_NAME, OTHERS_ID = "+12025550188", "Otto Weber", "9930"
CALL_BACK = "+13125550177"
SPELLINGS = (
    NUMBER,
    NUMBER[2:],
    "202-555-0147",
    "(202) 555-0147",
    "202 555 0147",
    "202.555.0147",
    CALL_BACK,
    CALL_BACK[2:],
)


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def clinic() -> Clinic:
    return make_clinic()


def a_patient(clinic: Clinic, name: str = NAME, raw_id: str = "4821", phone: str = NUMBER) -> Patient:
    patient = Patient(clinic=clinic, name=name, phone=phone)
    patient_set_id(patient, raw_id)
    patient.save()
    return patient


def everything(clinic: Clinic, client: Client) -> Patient:
    """A patient who was entered and renamed in the office, and has called three times; and another one."""
    client.force_login(member_of(Role.MANAGER))
    fields = {"clinic": clinic.pk, "phone": NUMBER, "language": "en", "active": "on"}
    client.post(reverse("admin:clinic_patient_add"), fields | {"name": NAME, "patient_id": "4821"})
    patient = Patient.objects.get()
    client.post(reverse("admin:clinic_patient_change", args=[patient.pk]), fields | {"name": f"{NAME} Ruiz"})
    client.get(reverse("admin:clinic_patient_change", args=[patient.pk]))
    for days in (1, 40):
        a_full_call(clinic, days_ago(days), patient=patient)
    # They hung up before they gave an ID, and left another number.
    unknown = a_full_call(clinic, days_ago(2))
    make_request(unknown, number=CALL_BACK, note=WORDS)
    for call in Call.objects.all():
        client.get(reverse("admin:phone_call_change", args=[call.pk]))
        client.get(reverse("admin:phone_call_evidence", args=[call.pk]))
    other = a_patient(clinic, OTHERS_NAME, OTHERS_ID, OTHERS_NUMBER)
    a_full_call(clinic, days_ago(3), number=OTHERS_NUMBER, raw_id=OTHERS_ID, patient=other)
    return patient


def cells() -> Iterator[tuple[str, str, Any]]:
    """Every value of every row of every table."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for column, value in zip(columns, row, strict=True):
                    yield table, column, bytes(value) if isinstance(value, memoryview) else value


def traces(secrets: tuple[str, ...], data_dir: Path) -> set[str]:
    """Where one of `secrets` is found: in a column of the database, in a file, or in a file's name."""
    found = set()
    for table, column, value in cells():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if any(secret in text for secret in secrets):
            found.add(f"{table}.{column}")
    for path in data_dir.rglob("*"):
        text = f"{path}" + (path.read_bytes().decode("latin-1") if path.is_file() else "")
        if any(secret in text for secret in secrets):
            found.add(str(path))
    return found


def secrets_of(clinic: Clinic) -> tuple[str, ...]:
    """All that would tell of the caller, hashes of their number and ID included."""
    hashes = (caller_hash(clinic.pk, NUMBER), patient_id_hash(clinic.pk, "4821"))
    return (*SPELLINGS, NAME, "Torres", "torres", WORDS, SOUND.decode(), *hashes)


def erase(patient: Patient, **fields: Any) -> Any:
    caller = Caller(**({"numbers": (NUMBER,), "patient": patient, "cards": (patient,)} | fields))
    return caller_erase(caller=caller, username="mia", now=NOW)


class TestOneCaller:
    def test_leaves_no_trace_and_the_evidence_stands(
        self, client: Client, clinic: Clinic, tmp_path: Path
    ) -> None:
        patient = everything(clinic, client)
        secrets = secrets_of(clinic)
        there = traces(secrets, tmp_path)
        assert there >= {
            "clinic_patient.name", "clinic_patient.phone", "clinic_patient.id_hmac", "phone_call.caller_number",
            "phone_call.room", "phone_callevent.data", "phone_request.number", "phone_request.note",
            "clinic_identityattempt.caller_hmac", "clinic_identityattempt.id_hmac", "django_admin_log.object_repr",
        }, "the search finds what is there"  # fmt: skip
        assert any(name.endswith(".ogg") for name in there)
        kept = [
            list(model._default_manager.order_by("pk").values()) for model in (ConsentRecord, AccessRecord)
        ]
        assert all(kept)

        erased = erase(patient)

        assert (erased.calls, erased.requests, erased.cards, erased.sounds_left) == (3, 4, 1, 0)
        # Only the other patient's call still has these words and this sound.
        left = traces((*SPELLINGS, NAME, "Torres", "torres"), tmp_path)
        assert left == set()
        mine = Call.objects.exclude(caller_number=OTHERS_NUMBER)
        assert mine.count() == 3
        Call.objects.filter(caller_number=OTHERS_NUMBER).get()
        for rows in (CallEvent, KeypadEntry, Request):
            assert not rows._default_manager.filter(call__in=mine).exists()
        assert not any(decrypts_to("4821", value) for _, column, value in cells() if "ciphertext" in column)
        assert kept == [
            list(model._default_manager.order_by("pk").values()) for model in (ConsentRecord, AccessRecord)
        ]
        out = StringIO()
        call_command("verify_evidence", stdout=out, stderr=out)
        assert "All evidence is as it was written." in out.getvalue()

    def test_leaves_no_word_and_no_sound_where_nobody_else_called(
        self, client: Client, clinic: Clinic, tmp_path: Path
    ) -> None:
        patient = everything(clinic, client)
        other = Patient.objects.get(name=OTHERS_NAME)
        secrets = secrets_of(clinic)
        erase(patient)
        erase(other, numbers=(OTHERS_NUMBER,))
        assert traces((*secrets, OTHERS_NAME, OTHERS_NUMBER, OTHERS_NUMBER[2:]), tmp_path) == set()
        assert not [value for _, column, value in cells() if column.endswith("_ciphertext") and value]
        assert not sounds_on_disk()
        assert not IdentityAttempt.objects.exists()

    def test_leaves_other_callers_alone(self, client: Client, clinic: Clinic) -> None:
        patient = everything(clinic, client)
        other = Call.objects.get(caller_number=OTHERS_NUMBER)
        before = snapshot(other)
        erase(patient)
        assert snapshot(other) == before
        assert len(sounds_on_disk()) == 2
        assert Patient.objects.get().name == OTHERS_NAME
        assert IdentityAttempt.objects.count() == 1

    def test_is_proven_by_rows_that_name_nobody(self, client: Client, clinic: Clinic) -> None:
        erase(everything(clinic, client))
        proofs = Deletion.objects.all()
        assert {proof.why for proof in proofs} == {"erasure"}
        assert {proof.username for proof in proofs} == {"mia"}
        by_what = {what: sum(p.count for p in proofs if p.what == what) for what in Deletion.What.values}
        assert by_what == {
            "recording": 3, "voicemail": 3, "timeline": 15, "numbers": 3, "requests": 4, "attempts": 3, "patient": 1,
            "names": 2, "words": 0, "line_checks": 0,
        }  # fmt: skip
        assert {proof.sha256 for proof in proofs.filter(what="recording")} == {SHA256}

    def test_by_number_alone_keeps_the_patients_card_unless_it_is_chosen(
        self, client: Client, clinic: Clinic
    ) -> None:
        patient = everything(clinic, client)
        caller_erase(caller=Caller(numbers=(NUMBER,)), username="mia", now=NOW)
        patient.refresh_from_db()
        assert patient.name == f"{NAME} Ruiz"
        assert not Call.objects.filter(caller_number=NUMBER).exists()
        caller_erase(caller=Caller(numbers=(NUMBER,), cards=(patient,)), username="mia", now=NOW)
        assert not Patient.objects.filter(pk=patient.pk).exists()

    def test_who_shares_a_telephone_keeps_their_calls(self, clinic: Clinic) -> None:
        ana, otto = a_patient(clinic), a_patient(clinic, OTHERS_NAME, OTHERS_ID, NUMBER)
        anas, ottos = (
            a_full_call(clinic, days_ago(1), patient=ana),
            a_full_call(clinic, days_ago(2), patient=otto),
        )
        erase(ana)
        anas.refresh_from_db()
        ottos.refresh_from_db()
        assert str(anas.caller_number) == ""
        assert (str(ottos.caller_number), ottos.patient) == (NUMBER, otto)
        assert ottos.requests.exists()

    def test_names_of_patients_whose_cards_went_before_go_too(self, client: Client, clinic: Clinic) -> None:
        patient = everything(clinic, client)
        client.post(reverse("admin:clinic_patient_delete", args=[patient.pk]), {"post": "yes"})
        assert LogEntry.objects.filter(object_repr__contains="Torres").exists()
        other = Patient.objects.get()
        caller_erase(
            caller=Caller(numbers=(OTHERS_NUMBER,), patient=other, cards=(other,)), username="mia", now=NOW
        )
        assert not LogEntry.objects.filter(object_repr__contains="Torres").exists()


def decrypts_to(digits: str, value: Any) -> bool:
    """Whether a ciphertext of an entry still gives the digits."""
    try:
        return decrypt(value, "k1", "digits") == digits and bool(value)
    except Exception:
        return False


def snapshot(call: Call) -> list[Any]:
    related = [call.events, call.entries, call.consents, call.recordings, call.requests]
    return [list(rows.order_by("pk").values()) for rows in related] + [
        Call.objects.filter(pk=call.pk).values().get()
    ]


class TestWhatStandsInTheWay:
    def test_a_held_call_stays_whole_and_its_patients_card_with_it(self, clinic: Clinic) -> None:
        patient = a_patient(clinic)
        held, free = a_full_call(clinic, days_ago(1), patient=patient), a_full_call(clinic, days_ago(2))
        call_hold(call=held, username="mia", why="a letter", now=NOW)
        held.refresh_from_db()
        before = snapshot(held)
        erased = erase(patient)
        assert (erased.calls, erased.held, erased.cards, erased.cards_kept) == (1, 1, 0, 1)
        assert snapshot(held) == before
        assert not free.events.exists()
        assert len(sounds_on_disk()) == 2

    @pytest.mark.parametrize(
        "fields",
        [
            {"outcome": "", "ended_at": None},
            {"ended_at": NOW - timedelta(minutes=1)},
            # A person has taken it, and they still talk.
            {"outcome": "transferred", "ended_at": None},
        ],
    )
    def test_a_call_that_may_still_report_something_stops_it(
        self, clinic: Clinic, fields: dict[str, Any]
    ) -> None:
        patient = a_patient(clinic)
        a_full_call(clinic, days_ago(1), patient=patient)
        make_call(clinic, NOW - timedelta(minutes=3), caller_number=NUMBER, **fields)
        with pytest.raises(CallerIsOnTheLine):
            erase(patient)
        assert not Deletion.objects.exists()
        assert Call.objects.filter(caller_number=NUMBER).count() == 2

    def test_whom_they_were_put_through_to_goes_and_the_directory_stays(self, clinic: Clinic) -> None:
        desk = DirectoryEntry.objects.create(clinic=clinic, name="Front desk", number="+12125550143")
        call = a_full_call(clinic, days_ago(1), outcome="transferred", served="person")
        add_event(call, "transfer", step="transfer", to=desk.name, manner="warm", answer="joined")
        caller_erase(caller=Caller(numbers=(NUMBER,)), username="mia", now=NOW)
        assert not CallEvent.objects.exists()
        call.refresh_from_db()
        assert (call.caller_number, call.room) == ("", "")
        assert DirectoryEntry.objects.get() == desk

    def test_an_interruption_leaves_everything_as_it_was(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        patient = a_patient(clinic)
        call = a_full_call(clinic, days_ago(1), patient=patient)
        before = snapshot(call)

        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(service, "_cards", interrupted)
        with pytest.raises(KeyboardInterrupt):
            erase(patient)
        assert snapshot(call) == before
        assert IdentityAttempt.objects.exists()
        assert not Deletion.objects.exists()

    def test_a_storage_that_is_away_is_asked_again(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        patient = a_patient(clinic)
        a_full_call(clinic, days_ago(1), patient=patient)

        def away(name: str) -> None:
            raise OSError("unreachable")

        with monkeypatch.context() as broken:
            broken.setattr(default_storage, "delete", away)
            assert erase(patient).sounds_left == 2
        assert Recording.objects.filter(state="deleting", delete_because="erasure", delete_by="mia").exists()
        assert service.recordings_delete(now=NOW).deleted == {"recording": 1, "voicemail": 1}
        assert not sounds_on_disk()
        assert Deletion.objects.get(what="recording").username == "mia"


class TestThePage:
    ERASE = "admin:phone_retentionrules_erase"

    @pytest.fixture
    def manager(self, client: Client) -> Client:
        client.force_login(member_of(Role.MANAGER))
        return client

    @staticmethod
    def text(response: Any) -> str:
        assert response.status_code == 200
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", response.content.decode()))

    def test_says_what_goes_and_what_stays_before_anything_happens(
        self, manager: Client, clinic: Clinic
    ) -> None:
        a_full_call(clinic, days_ago(1))
        make_request(a_full_call(clinic, days_ago(2)), number=NUMBER)
        a_patient(clinic)
        text = self.text(manager.post(reverse(self.ERASE), {"number": "(202) 555-0147"}))
        for words in (
            "2 calls:", "4 recordings", "3 requests, whole", "1 still open", "2 patient ID attempts",
            f"Delete the card of {NAME}", "The consent records", "Back-ups", "Erase for good",
        ):  # fmt: skip
            assert words in text, words
        assert not Deletion.objects.exists()

    def test_erases_when_it_is_sure(self, manager: Client, clinic: Clinic) -> None:
        patient = a_patient(clinic)
        a_full_call(clinic, days_ago(1), patient=patient)
        fields = {
            "patient": patient.pk,
            "looked": "yes",
            "chosen": NUMBER,
            "card": patient.pk,
            "erase": "yes",
        }
        assert "Tick that you are sure" in self.text(manager.post(reverse(self.ERASE), fields))
        assert Patient.objects.exists()
        done = self.text(manager.post(reverse(self.ERASE), fields | {"sure": "yes"}, follow=True))
        assert "Erased: 1 call, 1 request, 1 card." in done
        assert not Patient.objects.exists()
        assert not Call.objects.exclude(caller_number="").exists()
        assert set(Deletion.objects.values_list("username", flat=True)) == {"manager"}

    def test_leaves_a_number_out_whose_tick_was_taken_away(self, manager: Client, clinic: Clinic) -> None:
        patient = a_patient(clinic)
        a_full_call(clinic, days_ago(1))
        fields = {"patient": patient.pk, "looked": "yes", "erase": "yes", "sure": "yes"}
        manager.post(reverse(self.ERASE), fields)
        assert Call.objects.filter(caller_number=NUMBER).exists()

    def test_is_reached_from_a_patient_and_from_a_call_without_a_number_in_the_address(
        self, manager: Client, clinic: Clinic
    ) -> None:
        patient = a_patient(clinic)
        call = a_full_call(clinic, days_ago(1), patient=patient)
        of_patient = f"{reverse(self.ERASE)}?patient={patient.pk}"
        of_call = f"{reverse(self.ERASE)}?call={call.pk}"
        assert (
            of_patient
            in manager.get(reverse("admin:clinic_patient_change", args=[patient.pk])).content.decode()
        )
        page = manager.get(reverse("admin:phone_call_change", args=[call.pk])).content.decode()
        assert of_call in page
        assert of_patient in page
        assert NAME in self.text(manager.get(of_patient))
        assert NUMBER in self.text(manager.get(of_call))

    def test_asks_to_wait_while_they_are_on_the_line(self, manager: Client, clinic: Clinic) -> None:
        make_call(clinic, timezone.now(), caller_number=NUMBER, outcome="", ended_at=None)
        fields = {"number": NUMBER, "looked": "yes", "chosen": NUMBER}
        assert "Try again in five minutes" in self.text(manager.post(reverse(self.ERASE), fields))
        erasing = manager.post(reverse(self.ERASE), fields | {"erase": "yes", "sure": "yes"})
        assert "Try again in five minutes" in self.text(erasing)
        assert Call.objects.filter(caller_number=NUMBER).exists()

    @pytest.mark.parametrize("number", ["", "no number", "12", "+" + "9" * 60])
    def test_refuses_what_is_no_number_in_a_sentence(self, manager: Client, number: str) -> None:
        text = self.text(manager.post(reverse(self.ERASE), {"number": number}))
        assert "Erase whom?" in text
        assert "number" in text

    @pytest.mark.parametrize("role", [Role.RECEPTIONIST, Role.AUDITOR])
    def test_is_for_those_who_may(self, client: Client, clinic: Clinic, role: Role) -> None:
        patient = a_patient(clinic)
        client.force_login(member_of(role))
        assert client.get(reverse(self.ERASE)).status_code == 403
        page = client.get(reverse("admin:clinic_patient_change", args=[patient.pk])).content.decode()
        assert "Erase this patient" not in page


def test_a_footprint_of_nobody_is_empty() -> None:
    assert footprint(Caller(numbers=("+12025550199",)), NOW).empty


@pytest.mark.django_db(transaction=True)
def test_what_is_deleted_is_not_left_in_the_file_of_the_database(clinic: Clinic) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL overwrites its files when it vacuums: docs/operations.md says so")

    def in_file() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return NAME.encode() in Path(connection.settings_dict["NAME"]).read_bytes()

    patient = a_patient(clinic)
    assert in_file()
    erase(patient)
    assert not in_file()
