"""Consent as evidence: the record says exactly what happened, nobody changes it, and a file of it proves itself."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction
from django.test import Client
from django.urls import reverse

import phone.admin.calls  # noqa: F401
from clinic import crypto
from clinic.append_only import guards
from clinic.evidence import broken_seals
from clinic.models import AccessRecord, Clinic
from clinic.roles import Role
from clinic.signed_json import encoded
from phone.models import Call, ConsentRecord, PlanVersion, Recording
from tests.phone.keeping import NOW, NUMBER, SHA256, SOUND, decide, member_of, record_sound
from tests.phone.office import make_call, make_clinic, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return make_clinic()


@pytest.fixture
def call(clinic: Clinic) -> Call:
    version = PlanVersion.objects.create(clinic=clinic, number=7, content={}, content_hash="f" * 64)
    return make_call(clinic, NOW, plan_version=version, origin="phone", caller_number=NUMBER)


@pytest.fixture
def manager(client: Client) -> Client:
    client.force_login(member_of(Role.MANAGER))
    return client


def page(office: Client, call: Call) -> str:
    response = office.get(reverse("admin:phone_call_evidence", args=[call.pk]))
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def download(office: Client, call: Call) -> dict[str, Any]:
    response = office.get(reverse("admin:phone_call_evidence_file", args=[call.pk]))
    assert response["Content-Type"] == "application/json"
    assert response["Content-Disposition"] == f'attachment; filename="consent-{call.pk}.json"'
    return json.loads(response.content)


def verify(tmp_path: Path, content: object, *options: str) -> str:
    """What `verify_export` says of a file; its complaints, where it has any."""
    file = tmp_path / "evidence.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    out = StringIO()
    try:
        call_command("verify_export", str(file), *options, stdout=out, stderr=out)
    except CommandError as error:
        return f"{out.getvalue()}{error}"
    return out.getvalue()


class TestTheRecord:
    def test_names_the_version_of_the_plan_and_the_key(self, call: Call) -> None:
        record = decide(call)
        assert (record.plan_number, record.plan_hash, record.answer) == (7, "f" * 64, "1")
        assert not list(broken_seals(ConsentRecord.objects.all()))

    def test_of_a_call_without_a_plan_names_none(self, clinic: Clinic) -> None:
        record = decide(make_call(clinic, NOW))
        assert (record.plan_number, record.plan_hash) == (None, "")

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("decision", "refused"),
            ("covers_recording", False),
            ("wording", "Other?"),
            ("plan_number", 8),
            ("seal", ""),
        ],
    )
    def test_is_not_changed_by_anybody(self, call: Call, column: str, value: object) -> None:
        decide(call)
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            models.QuerySet(ConsentRecord).update(**{column: value})
        assert ConsentRecord.objects.get().decision == "given"

    @pytest.mark.parametrize(
        ("column", "value"), [("sha256", "0" * 64), ("started_at", NOW), ("consent", None)]
    )
    def test_keeps_its_recording_once_the_sound_is_known(
        self, call: Call, column: str, value: object
    ) -> None:
        decide(call)
        recording = record_sound(call, sha256="")
        Recording.objects.update(sha256="ab" * 32, size=30, seconds=3)
        with pytest.raises(IntegrityError, match="What proves this recording"), transaction.atomic():
            Recording.objects.update(**{column: value})
        Recording.objects.update(state=Recording.State.DELETED, file="")
        recording.refresh_from_db()
        assert recording.sha256 == "ab" * 32


class TestThePage:
    def test_tells_a_person_everything_that_proves_the_decision(self, manager: Client, call: Call) -> None:
        decide(call)
        record_sound(call)
        text = page(manager, call)
        for words in (
            "Checked just now:", "Decision 1: Given", "By key: 1", "Mon 23 Nov 2026, 12:00:04 (0:04.0 into the call)",
            "(0:02.0 into the call)", "May we record this call?", "First recorded sample",
            "(0:05.0 into the call)", "12.5 s", SHA256, "f" * 64,
        ):  # fmt: skip
            assert words in text, words
        assert AccessRecord.objects.get().model == "phone.consentrecord"

    def test_shows_that_consent_was_taken_back(self, manager: Client, call: Call) -> None:
        decide(call)
        decide(call, "withdrawn", seconds=20, how="voice", answer="no")
        text = page(manager, call)
        assert "Decision 2: Withdrawn" in text
        assert "By words: words that mean no" in text
        assert download(manager, call)["parts"]["decision 2"]["decision"] == "withdrawn"

    def test_warns_of_a_record_that_is_not_as_it_was_written(self, manager: Client, call: Call) -> None:
        decide(call, "refused")
        [guard] = [each for each in guards() if each.table == "phone_consentrecord"]
        with connection.cursor() as cursor:
            cursor.execute(guard.drop(connection))
        models.QuerySet(ConsentRecord).update(decision="given")
        text = page(manager, call)
        assert "Not as it was written" in text
        assert "Checked just now" not in text
        assert download(manager, call)["parts"]["decision 1"]["as_it_was_written"] is False

    def test_says_so_where_nothing_was_decided(self, manager: Client, call: Call) -> None:
        assert "No decision was written" in page(manager, call)

    @pytest.mark.parametrize("name", ["evidence", "evidence_file"])
    def test_is_for_those_who_may(self, client: Client, call: Call, name: str) -> None:
        address = reverse(f"admin:phone_call_{name}", args=[call.pk])
        assert client.get(address).status_code == 302
        client.force_login(make_staff("rita", "view_call"))
        assert client.get(address).status_code == 403
        assert not AccessRecord.objects.exists()

    def test_lets_a_receptionist_see_and_take_nothing_out(self, client: Client, call: Call) -> None:
        decide(call)
        client.force_login(member_of(Role.RECEPTIONIST))
        assert "Download" not in page(client, call)
        assert client.get(reverse("admin:phone_call_evidence_file", args=[call.pk])).status_code == 403

    def test_of_no_call_is_not_there(self, manager: Client, call: Call) -> None:
        unknown = reverse("admin:phone_call_evidence", args=["00000000-0000-0000-0000-000000000000"])
        assert manager.get(unknown).status_code == 404


class TestTheFile:
    @pytest.fixture
    def content(self, manager: Client, call: Call) -> dict[str, Any]:
        decide(call)
        record_sound(call)
        return download(manager, call)

    def test_is_true(self, tmp_path: Path, content: dict[str, Any]) -> None:
        assert "True: made at" in verify(tmp_path, content)
        assert content["parts"]["recording 1"]["first_sample_at"] == (NOW + timedelta(seconds=5)).isoformat()
        assert content["parts"]["recording 1"]["decision"] == content["parts"]["decision 1"]["id"]
        assert content["parts"]["call"]["plan_number"] == 7

    def test_is_true_elsewhere_with_the_public_key(
        self, tmp_path: Path, content: dict[str, Any], settings: Any
    ) -> None:
        key = encoded(crypto.public_key())
        settings.DEMO, settings.CLINIC_KEY_FILE = False, tmp_path / "none.json"
        assert "True" in verify(tmp_path, content, f"--public-key={key}")
        assert "--public-key" in verify(tmp_path, content)
        assert "another key signed it" in verify(tmp_path, content, f"--public-key={encoded(bytes(32))}")
        assert "another key signed it" in verify(tmp_path, content, "--public-key=nonsense")

    def test_says_which_part_was_changed(self, tmp_path: Path, content: dict[str, Any]) -> None:
        content["parts"]["recording 1"]["first_sample_at"] = NOW.isoformat()
        said = verify(tmp_path, content)
        assert "“recording 1” was changed." in said
        assert "decision 1" not in said

    def test_shows_other_words_under_the_same_hash(self, tmp_path: Path, content: dict[str, Any]) -> None:
        content["parts"]["decision 1"]["wording"] = "May we sell this call?"
        assert "The wording of “decision 1” is not that of its hash." in verify(tmp_path, content)

    def test_knows_its_sound(self, tmp_path: Path, manager: Client, call: Call) -> None:
        sound = tmp_path / "sound.ogg"
        decide(call)
        record_sound(call)
        content = download(manager, call)
        sound.write_bytes(SOUND)
        assert "True" in verify(tmp_path, content, f"--recording={sound}")
        sound.write_bytes(SOUND + b" not")
        assert "none of the recordings" in verify(tmp_path, content, f"--recording={sound}")

    @pytest.mark.parametrize("content", ["", "no JSON", "{}"])
    def test_that_is_none_is_refused_in_a_sentence(self, tmp_path: Path, content: str) -> None:
        assert "This is no signed document" in verify(tmp_path, content)

    def test_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="No such file"):
            call_command("verify_export", str(tmp_path / "nothing.json"))

    def test_taken_out_is_in_the_access_log(self, content: dict[str, Any], call: Call) -> None:
        trace = AccessRecord.objects.get()
        assert (trace.action, trace.model, trace.object_id) == ("export", "phone.consentrecord", str(call.pk))

    def test_needs_a_signing_key_and_says_so(
        self, manager: Client, call: Call, settings: Any, tmp_path: Path
    ) -> None:
        decide(call)
        crypto.ensure_key_file()
        old = json.loads(crypto.key_file().read_text())
        del old["signing"]
        settings.DEMO, settings.CLINIC_KEY_FILE = False, tmp_path / "old.json"
        settings.CLINIC_KEY_FILE.write_text(json.dumps(old))
        settings.SECURE_SSL_REDIRECT = False
        assert "make_keys" in page(manager, call)
        response = manager.get(reverse("admin:phone_call_evidence_file", args=[call.pk]))
        assert response.status_code == 302
        assert not AccessRecord.objects.filter(action="export").exists()
