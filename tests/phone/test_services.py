"""What the worker reports is stored once and in order, and what staff do with requests is kept."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from agent_worker.ids import uuid7
from clinic.evidence import EvidenceIsFinal
from clinic.models import Clinic, Patient
from phone import services
from phone.models import Call, CallEvent, ConsentRecord, KeypadEntry, PhoneLine, Request
from phone.notifications import mail_new_requests
from phone.records import (
    CallEnded,
    CallStarted,
    ConsentDecided,
    EntryMade,
    EventHappened,
    Heartbeat,
    LanguageChosen,
    PatientIdentified,
    Record,
    RequestTaken,
)

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@pytest.fixture
def clinic() -> Clinic:
    return Clinic.objects.create(
        name="Bright Smile Dental", slug="bright-smile", office_email="office@example.com"
    )


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return Patient.objects.create(clinic=clinic, name="Ann", id_ciphertext=b"x", id_key="k", id_hmac="h")


@pytest.fixture
def receptionist() -> Any:
    return get_user_model().objects.create_user("rita")


class Reporter:
    """Makes the records of one call the way a worker does."""

    def __init__(self, clinic: Clinic, *, origin: str = "browser", start: datetime = NOON) -> None:
        self.clinic, self.origin, self.start = clinic, origin, start
        self.call = uuid7(start)
        self.seq = 0

    def at(self, seconds: float) -> datetime:
        return self.start + timedelta(seconds=seconds)

    def started(self, **changes: Any) -> CallStarted:
        fields: dict[str, Any] = {
            "clinic_id": self.clinic.pk,
            "line_id": None,
            "plan_version_id": None,
            "origin": self.origin,
            "caller": "+15550100",
            "language": "en",
            "after_hours": False,
        }
        return CallStarted(call=self.call, at=self.start, **(fields | changes))

    def event(self, kind: str = "step", seconds: float = 1, **data: Any) -> EventHappened:
        self.seq += 1
        at = self.at(seconds)
        return EventHappened(self.call, uuid7(at), at, self.seq, kind, "menu", data)

    def entry(self, seconds: float = 2) -> EntryMade:
        return EntryMade(
            self.call, uuid7(self.start), self.at(seconds), "menu", 1, "keypad", "accepted", "1", took=0.0
        )

    def consent(self, decision: str = "given") -> ConsentDecided:
        at = self.at(3)
        return ConsentDecided(
            self.call, uuid7(at), at, decision, "keypad", "en", "May we?", True, True, False, self.at(2), True
        )

    def request(self, request_id: uuid.UUID, seconds: float = 4, **changes: Any) -> RequestTaken:
        fields: dict[str, Any] = {
            "clinic_id": self.clinic.pk,
            "kind": "appointment",
            "priority": "normal",
            "number": "+15550100",
            "part_of_day": "morning",
            "topic": "",
            "note": "",
            "language": "en",
            "confirmed": False,
            "due_at": self.at(86400),
            "patient_id": None,
        }
        return RequestTaken(self.call, request_id, self.at(seconds), **(fields | changes))

    def ended(self, outcome: str = "completed", seconds: float = 60) -> CallEnded:
        return CallEnded(self.call, self.at(seconds), outcome, "information", "goodbye")

    def whole_call(self) -> list[Record]:
        return [
            self.started(),
            self.event("prompt", text="Hello"),
            self.entry(),
            self.consent(),
            LanguageChosen(self.call, self.at(3), "es"),
            self.request(uuid7(self.start)),
            Heartbeat(self.call, self.at(5)),
            self.ended(),
        ]


def test_a_whole_call_is_on_record(clinic: Clinic, patient: Patient) -> None:
    report = Reporter(clinic)
    records = report.whole_call()
    records.insert(3, PatientIdentified(report.call, report.at(2), patient.pk))
    services.write_records(records)

    call = Call.objects.get()
    assert (call.outcome, call.served, call.ended_in_step) == ("completed", "information", "goodbye")
    assert call.duration == timedelta(seconds=60)
    assert (call.language, call.consent, call.patient) == ("es", "given", patient)
    assert call.events.get().data == {"text": "Hello"}
    assert call.entries.get().digits == "1"
    assert call.consents.get().wording_hash == hashlib.sha256(b"May we?").hexdigest()
    assert call.requests.get().created_at == report.at(4)


def test_the_same_records_twice_are_stored_once(clinic: Clinic) -> None:
    records = Reporter(clinic).whole_call()
    services.write_records(records)
    before = Call.objects.values().get()
    services.write_records(records)
    services.write_records(records[:4])
    assert Call.objects.values().get() == before
    counts = [model.objects.count() for model in (CallEvent, KeypadEntry, ConsentRecord, Request)]
    assert counts == [1, 1, 1, 1]


def test_a_batch_that_fails_leaves_nothing_behind(clinic: Clinic) -> None:
    report = Reporter(clinic)
    with pytest.raises(TypeError), transaction.atomic():
        services.write_records([report.started(), report.event(unstorable=object()), report.ended()])
    assert not Call.objects.exists()


def test_the_first_final_row_stands(clinic: Clinic) -> None:
    report = Reporter(clinic)
    services.write_records([report.started(), report.ended("caller_hung_up", 10), report.ended("failed", 20)])
    services.write_records([report.ended("completed", 30), Heartbeat(report.call, report.at(40))])
    call = Call.objects.get()
    assert (call.outcome, call.ended_at) == ("caller_hung_up", report.at(10))
    assert call.heartbeat_at < report.at(40)


def test_the_number_of_queries_does_not_grow_with_the_batch(clinic: Clinic) -> None:
    def queries(calls: int, events: int) -> int:
        records: list[Record] = []
        for _ in range(calls):
            report = Reporter(clinic)
            whole = report.whole_call()
            records += [*whole[:2], *(report.event() for _ in range(events)), *whole[2:]]
        assert len(records) <= 100
        with CaptureQueriesContext(
            connection,
        ) as captured:
            services.write_records(records)
        return len(captured)

    assert queries(1, 0) == queries(2, 3) == queries(10, 2) <= 15


def test_a_running_call_costs_two_writes_a_batch(clinic: Clinic, django_assert_num_queries: Any) -> None:
    report = Reporter(clinic)
    services.write_records([report.started()])
    savepoints = 2  # the test's own transaction makes a savepoint of each batch
    with django_assert_num_queries(2 + savepoints):
        services.write_records([report.event(seconds=second) for second in range(1, 99)])


def test_a_line_and_a_patient_deleted_in_mid_call_do_not_stop_the_record(
    clinic: Clinic, patient: Patient
) -> None:
    line = PhoneLine.objects.create(clinic=clinic, number="+12025550123")
    report = Reporter(clinic)
    start = report.started(line_id=line.pk)
    identified = PatientIdentified(report.call, report.at(2), patient.pk)
    request = report.request(uuid7(NOON), patient_id=patient.pk)
    line.delete()
    patient.delete()
    services.write_records([start, identified, request, report.ended()])
    call = Call.objects.get()
    assert (call.line, call.patient, call.requests.get().patient) == (None, None, None)


def test_the_last_report_of_a_request_wins_until_somebody_took_it(clinic: Clinic, receptionist: Any) -> None:
    report = Reporter(clinic)
    request_id = uuid7(NOON)
    services.write_records([report.started(), report.request(request_id, number="")])
    services.write_records([report.request(request_id, 9, confirmed=True, part_of_day="afternoon")])
    request = Request.objects.get()
    assert (request.confirmed, request.part_of_day) == (True, "afternoon")
    assert str(request.number) == "+15550100"
    assert request.created_at == report.at(4)

    assert services.request_take(request=request, user=receptionist, now=report.at(20))
    services.write_records([report.request(request_id, 30, confirmed=False, note="late")])
    request.refresh_from_db()
    assert (request.confirmed, request.note, request.taken_by) == (True, "", receptionist)


def test_of_two_people_who_take_a_request_one_gets_it(clinic: Clinic, receptionist: Any) -> None:
    report = Reporter(clinic)
    services.write_records([report.started(), report.request(uuid7(NOON))])
    request = Request.objects.get()
    colleague = get_user_model().objects.create_user("carl")
    assert services.request_take(request=request, user=receptionist, now=NOON)
    assert not services.request_take(request=request, user=colleague, now=NOON)
    request.refresh_from_db()
    assert request.taken_by == receptionist


def test_a_request_is_done_once_and_can_be_put_back(clinic: Clinic, receptionist: Any) -> None:
    report = Reporter(clinic)
    services.write_records([report.started(), report.request(uuid7(NOON))])
    request = Request.objects.get()
    assert services.request_done(request=request, user=receptionist, now=NOON)
    assert not services.request_done(request=request, user=receptionist, now=NOON)
    request.refresh_from_db()
    assert request.taken_by == request.done_by == receptionist
    assert services.request_reopen(request=request)
    assert not services.request_reopen(request=request)
    assert Request.objects.untaken().get() == request


def test_a_call_whose_worker_died_gets_its_final_row(clinic: Clinic) -> None:
    dead, alive, ended = (Reporter(clinic) for _ in range(3))
    practice = Reporter(clinic, origin="simulated")
    services.write_records([dead.started(), dead.event(), dead.request(uuid7(NOON)), practice.started()])
    services.write_records(
        [alive.started(), Heartbeat(alive.call, alive.at(60)), ended.started(), ended.ended()]
    )

    assert services.call_end_stale(now=NOON + timedelta(seconds=61)) == 1
    call = Call.objects.get(pk=dead.call)
    assert (call.outcome, call.ended_at, call.ended_in_step) == ("failed", dead.at(4), "menu")
    assert call.served == "request"
    assert set(Call.objects.running().values_list("pk", flat=True)) == {alive.call, practice.call}
    assert services.call_end_stale(now=NOON + timedelta(seconds=61), still_for=timedelta(0)) == 1


@pytest.mark.parametrize("model", [CallEvent, KeypadEntry, ConsentRecord])
def test_evidence_can_be_neither_changed_nor_taken_away(clinic: Clinic, model: Any) -> None:
    services.write_records(Reporter(clinic).whole_call())
    row = model.objects.get()
    for attempt in (
        row.save,
        row.delete,
        model.objects.all().delete,
        lambda: model.objects.update(call=None),
    ):
        with pytest.raises(EvidenceIsFinal):
            attempt()
    assert model.objects.get() == row


class TestMailAboutARequest:
    def test_says_what_waits_and_nothing_about_the_patient(self, clinic: Clinic, patient: Patient) -> None:
        report = Reporter(clinic)
        request = report.request(uuid7(NOON), priority="urgent", patient_id=patient.pk, note="tooth hurts")
        services.write_records([report.started(), request])
        assert mail_new_requests(now=NOON) == 1
        (message,) = mail.outbox
        assert message.to == ["office@example.com"]
        assert "Urgent" in message.subject
        assert "an urgent appointment request on Monday, November 23 at noon" in message.body
        assert "would call by Tuesday, November 24 at noon" in message.body
        for secret in ("Ann", "555", "tooth"):
            assert secret not in message.subject + message.body

    def test_goes_out_once(self, clinic: Clinic) -> None:
        report = Reporter(clinic)
        services.write_records([report.started(), report.request(uuid7(NOON))])
        assert [mail_new_requests(now=NOON), mail_new_requests(now=NOON)] == [1, 0]

    def test_stays_away_for_a_simulated_call(self, clinic: Clinic) -> None:
        report = Reporter(clinic, origin="simulated")
        services.write_records([report.started(), report.request(uuid7(NOON))])
        assert mail_new_requests(now=NOON) == 0

    def test_is_tried_again_when_it_fails(self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: object) -> int:
            raise ConnectionRefusedError

        report = Reporter(clinic)
        services.write_records([report.started(), report.request(uuid7(NOON))])
        with monkeypatch.context() as patched:
            patched.setattr("phone.notifications.send_mail", refuse)
            assert mail_new_requests(now=NOON) == 0
        assert mail_new_requests(now=NOON) == 1

    def test_never_touches_the_call(
        self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
    ) -> None:
        def broker_is_away(*args: object, **kwargs: object) -> None:
            raise ConnectionRefusedError

        monkeypatch.setattr("phone.notifications.current_app.send_task", broker_is_away)
        report = Reporter(clinic)
        with django_capture_on_commit_callbacks(execute=True):
            services.write_records([report.started(), report.request(uuid7(NOON)), report.ended()])
        assert Call.objects.get().outcome == "completed"
