"""What callers left goes when it was kept long enough: all of it, provably, also when a run is interrupted."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import IntegrityError, connection, connections, models, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import phone.admin.retention  # noqa: F401
from clinic.evidence import EvidenceIsFinal, broken_seals
from clinic.models import Clinic, IdentityAttempt
from clinic.roles import Role
from phone import tasks
from phone.models import (
    Call,
    CallEvent,
    ConsentRecord,
    Deletion,
    KeypadEntry,
    LegalHold,
    LineCheck,
    PhoneLine,
    Recording,
    Request,
    RetentionRules,
)
from phone.retention import dry_run
from phone.services import call_hold, call_let_go, recordings_delete, retention, retention_run
from tests.phone.keeping import (
    NOW,
    NUMBER,
    SHA256,
    WORDS,
    a_full_call,
    days_ago,
    decide,
    member_of,
    record_sound,
    sounds_on_disk,
)
from tests.phone.office import make_call, make_clinic, make_request

pytestmark = pytest.mark.django_db

KEEP_ALL: dict[str, Any] = dict.fromkeys(
    ("recordings", "withdrawn", "voicemails", "transcripts", "numbers", "timelines", "line_checks")
)


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def clinic() -> Clinic:
    return make_clinic()


def rules(clinic: Clinic, **days: int | None) -> RetentionRules:
    return RetentionRules.objects.create(clinic=clinic, **(KEEP_ALL | days))


def run() -> Counter[str]:
    """One run; what it deleted, by kind."""
    done = retention_run(now=NOW)
    assert not done.more
    assert not done.sounds_left
    assert not list(broken_seals(Deletion.objects.all()))
    return done.deleted


def deleted_of(call: Call) -> set[str]:
    return set(call.deletions.values_list("what", flat=True))


class TestEachRule:
    def test_without_rules_everything_is_kept(self, clinic: Clinic) -> None:
        a_full_call(clinic, days_ago(5000))
        assert not run()
        rules(clinic)
        assert not run()
        assert len(sounds_on_disk()) == 2

    def test_recordings_go_and_voicemails_stay(self, clinic: Clinic) -> None:
        call = a_full_call(clinic, days_ago(11))
        younger = a_full_call(clinic, days_ago(9))
        rules(clinic, recordings=10)
        assert run() == {"recording": 1}
        gone = call.recordings.get(kind="call")
        assert (gone.state, gone.file, gone.sha256) == ("deleted", "", SHA256)
        assert sounds_on_disk() == [name for name in sounds_on_disk() if not name.startswith(str(gone.pk))]
        assert len(sounds_on_disk()) == 3
        assert younger.recordings.get(kind="call").state == "stored"
        [proof] = Deletion.objects.all()
        assert (proof.call, proof.what, proof.why, proof.sha256, proof.at, proof.username) == (
            call, "recording", "retention", SHA256, NOW, "",
        )  # fmt: skip

    def test_voicemails_go_also_where_they_still_wait_for_storage(self, clinic: Clinic) -> None:
        call = a_full_call(clinic, days_ago(11))
        rules(clinic, voicemails=10)
        assert run() == {"voicemail": 1}
        assert sounds_on_disk() == [f"{call.recordings.get(kind='call').pk}.ogg"]

    def test_recordings_go_earlier_where_consent_was_taken_back(self, clinic: Clinic) -> None:
        call, other = a_full_call(clinic, days_ago(3)), a_full_call(clinic, days_ago(3))
        decide(call, "withdrawn", seconds=9)
        rules(clinic, withdrawn=2, recordings=90)
        run()
        assert call.deletions.get().why == "withdrawal"
        assert not other.deletions.exists()

    def test_words_go_and_steps_and_keys_stay(self, clinic: Clinic) -> None:
        call = a_full_call(clinic, days_ago(11))
        rules(clinic, transcripts=10)
        assert run() == {"words": 3}
        data = [(event.kind, event.data) for event in call.events.all()]
        assert data == [
            ("prompt", {"text": "For appointments, press 1.", "asks": True}),
            ("speech", {}),
            ("prompt", {"asks": True}),
            ("key", {"key": "1"}),
        ]
        assert call.requests.get().note == ""
        assert str(call.caller_number) == NUMBER

    def test_numbers_go_everywhere_and_the_call_stays(self, clinic: Clinic) -> None:
        call = a_full_call(clinic, days_ago(11))
        a_full_call(clinic, days_ago(9))
        rules(clinic, numbers=10)
        assert run() == {"numbers": 3, "attempts": 1}
        call.refresh_from_db()
        assert (str(call.caller_number), call.room, call.patient) == ("", "", None)
        assert call.outcome == "completed"
        assert str(call.requests.get().number) == ""
        assert call.requests.get().note == WORDS
        assert call.entries.get().digits_ciphertext is None
        assert call.entries.get().digits == "••••"
        assert IdentityAttempt.objects.count() == 1

    def test_timelines_go_and_consent_stays(self, clinic: Clinic) -> None:
        call = a_full_call(clinic, days_ago(11))
        rules(clinic, timelines=10)
        assert run() == {"timeline": 5}
        assert not call.events.exists()
        assert not call.entries.exists()
        assert call.consents.get().decision == "given"

    def test_line_checks_go_but_the_last_of_each_line_that_says_something(self, clinic: Clinic) -> None:
        State = LineCheck.State
        lines = [PhoneLine.objects.create(clinic=clinic, number=f"+1212555014{digit}") for digit in (2, 3)]
        for line, days, state in (
            (lines[0], 30, State.FAULTY),
            (lines[0], 20, State.PASSED),
            (lines[0], 11, State.PUT_OFF),
            (lines[0], 9, State.PUT_OFF),
            (lines[1], 12, State.FAILED),
            (lines[1], 5, State.PASSED),
        ):
            LineCheck.objects.create(line=line, state=state, started_at=days_ago(days))
        mine = rules(clinic, line_checks=10)
        due = {each.title: each.count for each in dry_run(mine, NOW)}
        assert due["line checks"] == 2
        assert run() == {"line_checks": 2}
        left = LineCheck.objects.order_by("started_at").values_list("state", flat=True)
        assert list(left) == [State.PASSED, State.PUT_OFF, State.PUT_OFF, State.PASSED]
        (proof,) = Deletion.objects.all()
        assert (proof.what, proof.count, proof.call) == ("line_checks", 2, None)
        assert run() == {}

    def test_an_open_request_keeps_what_the_office_needs_to_call(self, clinic: Clinic) -> None:
        call = make_call(clinic, days_ago(11), caller_number=NUMBER)
        request = make_request(call, number=NUMBER, note=WORDS)
        rules(clinic, transcripts=10, numbers=10)
        run()
        request.refresh_from_db()
        assert (str(request.number), request.note) == (NUMBER, WORDS)
        Request.objects.update(done_at=NOW)
        assert run() == {"words": 1, "numbers": 1}

    def test_a_call_that_runs_keeps_everything(self, clinic: Clinic) -> None:
        make_call(clinic, days_ago(11), caller_number=NUMBER, outcome="", ended_at=None)
        # A person has taken it, and they still talk.
        make_call(clinic, days_ago(11), caller_number=NUMBER, outcome="transferred", ended_at=None)
        rules(clinic, numbers=10)
        assert not run()

    def test_one_clinics_rules_leave_another_clinic_alone(self, clinic: Clinic) -> None:
        other = make_clinic(slug="other")
        a_full_call(clinic, days_ago(11))
        a_full_call(other, days_ago(11))
        rules(clinic, numbers=10, timelines=10)
        run()
        assert {deletion.clinic for deletion in Deletion.objects.all()} == {clinic}

    def test_a_second_run_finds_nothing(self, clinic: Clinic) -> None:
        a_full_call(clinic, days_ago(1000))
        RetentionRules.objects.create(clinic=clinic)
        assert set(run()) == {"recording", "voicemail", "words", "numbers", "attempts", "timeline"}
        proofs = Deletion.objects.count()
        assert not run()
        assert Deletion.objects.count() == proofs

    def test_more_calls_than_fit_into_one_step_all_go(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "CALLS_AT_ONCE", 2)
        for number in range(5):
            make_call(clinic, days_ago(20 + number // 2), caller_number=NUMBER)
        rules(clinic, numbers=10)
        assert run() == {"numbers": 5}

    def test_evidence_gives_way_to_nobody_else(self, clinic: Clinic) -> None:
        a_full_call(clinic, days_ago(11))
        for rows in (CallEvent.objects.all(), KeypadEntry.objects.all()):
            with pytest.raises(EvidenceIsFinal):
                rows.delete()
            with pytest.raises(EvidenceIsFinal):
                rows.update(step="menu")


class TestADryRun:
    def test_says_what_a_run_then_does(self, clinic: Clinic) -> None:
        a_full_call(clinic, days_ago(300))
        a_full_call(clinic, days_ago(200))
        mine = RetentionRules.objects.create(clinic=clinic, timelines=None)
        said = {due.title: (due.count, due.oldest) for due in dry_run(mine, NOW)}
        assert said == {
            "recorded calls": (2, days_ago(300)),
            "recorded calls after “stop recording”": (0, None),
            "voicemails": (2, days_ago(300)),
            "what was said": (2, days_ago(300)),
            "who called": (0, None),
            "timelines": (0, None),
            "patient ID attempts": (0, None),
            "line checks": (0, None),
        }
        assert not Deletion.objects.exists()
        assert run() == {"recording": 2, "voicemail": 2, "words": 6}
        assert {due.count for due in dry_run(mine, NOW)} == {0}


class Interrupted(Exception):
    pass


class TestAnInterruptedRun:
    def interrupt(self, monkeypatch: pytest.MonkeyPatch, name: str, *, at: int) -> None:
        """Let `retention.name` raise at its call number `at`, once."""
        real, calls = getattr(retention, name), iter(range(1, 1000))

        def interrupted(*args: Any, **options: Any) -> Any:
            if next(calls) == at:
                raise Interrupted
            return real(*args, **options)

        monkeypatch.setattr(retention, name, interrupted)

    @pytest.mark.parametrize("at", range(1, 6))
    def test_before_any_proof_is_written_is_completed_by_the_next(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, at: int
    ) -> None:
        for days in (800, 900):
            a_full_call(clinic, days_ago(days))
        RetentionRules.objects.create(clinic=clinic)
        monkeypatch.setattr(retention, "CALLS_AT_ONCE", 1)
        self.interrupt(monkeypatch, "deletions_add", at=at)
        with pytest.raises(Interrupted):
            retention_run(now=NOW)
        # What has no proof has not happened.
        words = sum(event.data != {} for event in CallEvent.objects.filter(kind="speech"))
        assert words + Deletion.objects.filter(what="words").count() == 2
        numbers = Call.objects.exclude(caller_number="").count()
        assert numbers + Deletion.objects.filter(what="numbers").count() == 2
        run()
        self.nothing_is_left()

    @pytest.mark.parametrize("at", [1, 2, 3, 4])
    def test_between_a_sound_and_its_row_is_completed_by_the_next(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, at: int
    ) -> None:
        for days in (800, 900):
            a_full_call(clinic, days_ago(days))
        RetentionRules.objects.create(clinic=clinic)
        self.interrupt(monkeypatch, "_recording_deleted", at=at)
        with pytest.raises(Interrupted):
            retention_run(now=NOW)
        assert Recording.objects.filter(state="deleting").exists()
        recordings_delete(now=NOW)
        self.nothing_is_left()

    def nothing_is_left(self) -> None:
        """Everything is gone, and there is one proof for each thing."""
        assert not sounds_on_disk()
        assert not CallEvent.objects.exists()
        assert not Call.objects.exclude(caller_number="", room="").exists()
        assert set(Recording.objects.values_list("state", flat=True)) == {"deleted"}
        proofs = Counter(Deletion.objects.exclude(what="attempts").values_list("what", "call"))
        assert set(proofs.values()) == {1}
        assert len(proofs) == 10

    def test_a_storage_that_is_away_holds_up_its_sounds_only(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def away(name: str) -> None:
            raise ConnectionError(f"cannot delete {name} for {NUMBER}")

        call = a_full_call(clinic, days_ago(800))
        RetentionRules.objects.create(clinic=clinic)
        with monkeypatch.context() as broken:
            broken.setattr(default_storage, "delete", away)
            done = retention_run(now=NOW)
        assert (done.sounds_left, done.more) == (2, False)
        assert deleted_of(call) == {"words", "numbers", "timeline"}
        assert "ConnectionError" in caplog.text
        assert NUMBER not in caplog.text
        assert tasks.delete_marked_sounds() == 2
        assert not sounds_on_disk()

    def test_a_run_whose_time_is_up_goes_on_where_it_stopped(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "CALLS_AT_ONCE", 1)
        for _ in range(3):
            make_call(clinic, days_ago(11), caller_number=NUMBER)
        rules(clinic, numbers=10)
        runs = 0
        while retention_run(now=NOW, seconds=0).more:
            runs += 1
            assert runs < 10
        assert runs == 3
        assert not Call.objects.exclude(caller_number="").exists()

    def test_the_nightly_task_sends_itself_again_until_it_is_done(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[str] = []
        monkeypatch.setattr(tasks, "delete_on", lambda: sent.append("again"))
        monkeypatch.setattr(tasks, "SECONDS_AT_A_TIME", 0)
        make_call(clinic, timezone.now() - timedelta(days=11), caller_number=NUMBER)
        rules(clinic, numbers=10)
        assert tasks.delete_what_is_due()
        assert not Call.objects.exclude(caller_number="").exists()
        assert sent == ["again"]


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    def test_delete_everything_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clinic = make_clinic()
        for day in range(12):
            a_full_call(clinic, days_ago(800 + day))
        RetentionRules.objects.create(clinic=clinic)
        monkeypatch.setattr(retention, "CALLS_AT_ONCE", 2)
        together, failures = threading.Barrier(3, timeout=30), []

        def work() -> None:
            try:
                together.wait()
                retention_run(now=NOW)
            except Exception as failure:
                failures.append(failure)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        # Whoever left out what another had locked may have ended first; nothing needs another run but that.
        run()
        assert failures == []
        assert not sounds_on_disk()
        assert not CallEvent.objects.exists()
        assert not Call.objects.exclude(caller_number="").exists()
        proofs = Counter(Deletion.objects.exclude(what="attempts").values_list("what", "call"))
        assert len(proofs) == 5 * 12
        assert set(proofs.values()) == {1}
        attempts = Deletion.objects.filter(what="attempts")
        assert sum(attempts.values_list("count", flat=True)) == 12

    def test_a_hold_that_comes_meanwhile_waits_and_then_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("SQLite has one writer at a time, and nobody to wait for within a row")
        clinic = make_clinic()
        call = make_call(clinic, days_ago(11), caller_number=NUMBER)
        rules(clinic, numbers=10)
        locked, held = threading.Event(), threading.Event()
        real = retention.numbers_take

        def slowly(calls: Any) -> Any:
            locked.set()
            assert not held.wait(0.5), "the hold did not wait for the transaction that had the call"
            return real(calls)

        monkeypatch.setitem(retention.TAKES, Deletion.What.NUMBERS, slowly)

        def hold() -> None:
            assert locked.wait(30)
            call_hold(call=call, username="mia", why="a letter came", now=NOW)
            held.set()
            connections.close_all()

        thread = threading.Thread(target=hold)
        thread.start()
        run()
        thread.join(30)
        assert held.is_set()
        assert Call.objects.get().on_hold


class TestLegalHold:
    def test_keeps_all_of_a_call_until_it_is_lifted(self, clinic: Clinic) -> None:
        call = a_full_call(clinic, days_ago(800))
        RetentionRules.objects.create(clinic=clinic)
        before = Call.objects.filter(pk=call.pk).values().get()
        assert call_hold(call=call, username="mia", why="a letter from a lawyer", now=NOW)
        # An attempt belongs to no call.
        assert set(run()) == {"attempts"}
        assert len(sounds_on_disk()) == 2
        assert Call.objects.filter(pk=call.pk).values().get() == before | {"on_hold": True}
        assert call_let_go(call=call, username="mia", why="settled", now=NOW)
        assert set(run()) == {"recording", "voicemail", "words", "numbers", "timeline"}

    def test_is_on_record_with_who_when_and_why_and_stays_there(self, clinic: Clinic) -> None:
        call = make_call(clinic)
        assert not call_let_go(call=call, username="mia", why="nothing to lift", now=NOW)
        assert call_hold(call=call, username="mia", why="a letter", now=NOW)
        assert not call_hold(call=call, username="rita", why="again", now=NOW)
        [hold] = LegalHold.objects.all()
        assert (hold.action, hold.username, hold.why, hold.at) == ("set", "mia", "a letter", NOW)
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            models.QuerySet(LegalHold).update(why="other")

    def test_is_set_and_lifted_on_the_calls_page(self, client: Client, clinic: Clinic) -> None:
        call = make_call(clinic)
        client.force_login(member_of(Role.MANAGER))
        address = reverse("admin:phone_call_hold", args=[call.pk])
        page = reverse("admin:phone_call_change", args=[call.pk])
        assert client.get(address).status_code == 405
        refused = client.post(address, {"why": " ", "action": "hold"}, follow=True).content.decode()
        assert "Say why" in refused
        assert "loses what the clinic" in refused
        held = client.post(address, {"why": "a letter", "action": "hold"}, follow=True).content.decode()
        assert "Under legal hold." in held
        assert "held by manager: “a letter”" in held
        client.post(address, {"why": "settled", "action": "let-go"})
        assert "let go by manager: “settled”" in client.get(page).content.decode()
        assert not Call.objects.get().on_hold

    def test_is_not_for_a_receptionist(self, client: Client, clinic: Clinic) -> None:
        call = make_call(clinic)
        client.force_login(member_of(Role.RECEPTIONIST))
        assert client.post(reverse("admin:phone_call_hold", args=[call.pk]), {"why": "so"}).status_code == 403
        assert (
            "Put under legal hold"
            not in client.get(reverse("admin:phone_call_change", args=[call.pk])).content.decode()
        )


class TestThePage:
    LIST = "admin:phone_retentionrules_changelist"

    @pytest.fixture
    def manager(self, client: Client) -> Client:
        client.force_login(member_of(Role.MANAGER))
        return client

    def text(self, office: Client) -> str:
        return " ".join(office.get(reverse(self.LIST)).content.decode().split())

    def test_shows_the_dry_run_and_deletes_on_a_button(self, manager: Client, clinic: Clinic) -> None:
        for days in (11, 12):
            make_call(clinic, timezone.now() - timedelta(days=days), caller_number=NUMBER)
        assert "everything is kept for ever" in self.text(manager)
        rules(clinic, numbers=10)
        text = self.text(manager)
        assert "<td>Who called</td> <td>10 days</td> <td>2 calls</td>" in text
        assert "<td>Timelines</td> <td>ever</td>" in text
        done = manager.post(reverse("admin:phone_retentionrules_run"), follow=True).content.decode()
        assert "who called: 2" in done
        assert set(Deletion.objects.values_list("username", flat=True)) == {"manager"}
        assert manager.get(reverse("admin:phone_retentionrules_run")).status_code == 405

    def test_rules_are_changed_by_a_manager_and_a_zero_is_refused(
        self, manager: Client, clinic: Clinic
    ) -> None:
        add = reverse("admin:phone_retentionrules_add")
        assert 'value="90"' in manager.get(add, {"clinic": clinic.pk}).content.decode()
        refused = manager.post(add, KEEP_EMPTY | {"clinic": clinic.pk, "numbers": "0"})
        assert "greater than or equal to 1" in refused.content.decode()
        manager.post(add, KEEP_EMPTY | {"clinic": clinic.pk, "numbers": "30"})
        mine = RetentionRules.objects.get()
        assert (mine.numbers, mine.recordings) == (30, None)
        change = reverse("admin:phone_retentionrules_change", args=[mine.pk])
        manager.post(change, KEEP_EMPTY | {"numbers": "40"})
        assert RetentionRules.objects.get().numbers == 40

    def test_others_look_at_most(self, client: Client, clinic: Clinic) -> None:
        rules(clinic, numbers=10)
        client.force_login(member_of(Role.AUDITOR))
        assert "Delete now" not in self.text(client)
        assert client.post(reverse("admin:phone_retentionrules_run")).status_code == 403
        client.force_login(User.objects.create_user("nobody", is_staff=True))
        assert client.get(reverse(self.LIST)).status_code == 403

    def test_what_was_deleted_is_a_list_that_nobody_edits(self, manager: Client, clinic: Clinic) -> None:
        call = a_full_call(clinic, days_ago(800))
        RetentionRules.objects.create(clinic=clinic)
        run()
        text = manager.get(reverse("admin:phone_deletion_changelist")).content.decode()
        for words in ("Recorded call", "Kept long enough", "the schedule", SHA256, str(call)):
            assert words in text
        assert manager.get(reverse("admin:phone_deletion_add")).status_code == 403

    def test_the_calls_page_says_that_words_went(self, manager: Client, clinic: Clinic) -> None:
        call = a_full_call(clinic, days_ago(11))
        rules(clinic, transcripts=10)
        run()
        text = manager.get(reverse("admin:phone_call_change", args=[call.pk])).content.decode()
        assert WORDS not in text
        assert "“”" not in text
        assert ConsentRecord.objects.get().wording in text


KEEP_EMPTY = dict.fromkeys(KEEP_ALL, "")


def test_a_recording_without_a_file_is_no_hindrance(clinic: Clinic) -> None:
    call = make_call(clinic, days_ago(100))
    recording = record_sound(call, consent=None)
    default_storage.delete(recording.file)
    rules(clinic, recordings=90)
    assert run() == {"recording": 1}
