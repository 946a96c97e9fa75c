"""What a process could not store is on the disk, and is stored once it is gone: all of it, in order, once."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from django.db import IntegrityError, OperationalError

from agent_worker.sealed import Sealed
from clinic.models import Clinic
from phone import tasks
from phone.models import Call, Request
from phone.records import CallStarted, EntryMade, HandedOver, Record, RecordingBegan, RecordingEnded
from phone.services import write_records
from phone.spool import LeftBehind, Spool, spool_folder, store_left_behind
from tests.agent_worker.reports import NOON, a_call


class Stored(list[Record]):
    """A database that keeps whatever is written."""

    def write(self, records: Sequence[Record]) -> None:
        self.extend(records)


def away(_records: Sequence[Record]) -> None:
    raise OperationalError("the database is away")


def left_behind(folder: Path, records: Sequence[Record]) -> Path:
    """The file of a process that died with these records."""
    spool = Spool(folder)
    spool.keep(records)
    spool.leave()
    (path,) = folder.glob("*.records")
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_kind_of_record_comes_back_as_it_was(tmp_path: Path) -> None:
    records = a_call(7, sealed=Sealed(b"\x00\xff\n'", "k1", 4), patient=9)
    call = records[0].call
    records += [
        RecordingBegan(call, uuid.uuid4(), NOON, consent=uuid.uuid4()),
        RecordingEnded(call, uuid.uuid4(), NOON, seconds=9.75, pauses=[[1.5, 2.25]], cut_short=True),
        HandedOver(call, NOON, epoch=2),
    ]
    assert {type(record) for record in records} == set(get_args(Record))
    left_behind(tmp_path, records)
    stored = Stored()
    assert store_left_behind(tmp_path, write=stored.write) == LeftBehind(stored=len(records))
    assert stored == records
    assert files(tmp_path) == []


def test_only_its_owner_can_read_the_spool_and_no_digit_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    path = left_behind(folder, a_call(7, sealed=Sealed.seal("4821")))
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "4821" not in path.read_text()


def test_what_a_living_process_still_holds_is_left_to_it(tmp_path: Path) -> None:
    living = Spool(tmp_path)
    living.keep(a_call(7))
    stored = Stored()
    assert store_left_behind(tmp_path, write=stored.write) == LeftBehind(held=1)
    assert stored == []
    living.discard()
    assert files(tmp_path) == []


def test_a_file_grows_with_an_outage_and_a_later_outage_begins_a_new_one(tmp_path: Path) -> None:
    records = a_call(7)
    spool = Spool(tmp_path)
    spool.keep(a_call(8))
    spool.discard()
    spool.keep(records[:3])
    spool.keep(records[3:])
    spool.leave()
    stored = Stored()
    store_left_behind(tmp_path, write=stored.write)
    assert stored == records


def test_a_database_that_is_still_away_costs_nothing(tmp_path: Path) -> None:
    records = a_call(7)
    left_behind(tmp_path, records)
    with pytest.raises(OperationalError):
        store_left_behind(tmp_path, write=away)
    stored = Stored()
    store_left_behind(tmp_path, write=stored.write)
    assert stored == records


def test_a_torn_last_line_costs_that_record_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = a_call(7)
    path = left_behind(tmp_path, records)
    os.truncate(path, path.stat().st_size - 5)
    stored = Stored()
    store_left_behind(tmp_path, write=stored.write)
    assert stored == records[:-1]
    assert "not written to its end" in caplog.text


def test_a_line_that_nobody_can_read_is_kept_for_a_person(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = a_call(7)
    path = left_behind(tmp_path, records)
    first, *others = path.read_text().splitlines(keepends=True)
    path.write_text("".join([first, 'Heartbeat {"record": {"call": "+12125550123"}}\n', *others]))
    stored = Stored()
    store_left_behind(tmp_path, write=stored.write)
    assert stored == records
    assert files(tmp_path) == [f"{path.name}.unreadable"]
    assert "1 records cannot be read" in caplog.text
    assert "555" not in caplog.text


def test_a_record_that_the_database_refuses_holds_back_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = a_call(7)
    stored = Stored()

    def write(batch: Sequence[Record]) -> None:
        if any(isinstance(record, EntryMade) for record in batch):
            raise IntegrityError("a value that shall not be logged")
        stored.write(batch)

    left_behind(tmp_path, records)
    store_left_behind(tmp_path, write=write)
    assert stored == [record for record in records if not isinstance(record, EntryMade)]
    assert "refuses a EntryMade" in caplog.text
    assert "shall not" not in caplog.text


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = a_call(7)
    spool = Spool(tmp_path)
    spool.keep(records[:2])

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as no_space:
        no_space.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            spool.keep(records[2:5])
    spool.keep(records[2:])
    spool.leave()
    stored = Stored()
    store_left_behind(tmp_path, write=stored.write)
    assert stored == records


@pytest.mark.django_db
class TestWithTheDatabase:
    @pytest.fixture
    def clinic(self) -> Clinic:
        return Clinic.objects.create(name="Bright Smile Dental", slug="bright-smile")

    @pytest.fixture(autouse=True)
    def own_folder(self, tmp_path: Path, settings) -> None:
        settings.DATA_DIR = tmp_path

    @staticmethod
    def rows(call: Call) -> object:
        request = call.requests.get()
        return (
            call.outcome,
            call.language,
            call.consent,
            call.patient_id,
            [event.seq for event in call.events.all()],
            call.entries.count(),
            call.consents.count(),
            (request.confirmed, request.note),
        )

    def test_a_call_is_whole_and_its_digits_can_be_opened(self, clinic: Clinic) -> None:
        patient = clinic.patients.create(name="Maria Alvarez", id_ciphertext=b"", id_key="k1", id_hmac="h")
        sealed = Sealed.seal("4821")
        left_behind(spool_folder(), a_call(clinic.pk, sealed=sealed, patient=patient.pk))
        assert tasks.store_left_behind() == 11
        call = Call.objects.get()
        expected = ("request_taken", "es", "given", patient.pk, [1, 2], 1, 1, (True, "Diente roto, ¿cuándo?"))
        assert self.rows(call) == expected
        entry = call.entries.get()
        assert Sealed(bytes(entry.digits_ciphertext), entry.digits_key, 4).open() == "4821"

    def test_to_store_the_same_file_again_changes_nothing(self, clinic: Clinic) -> None:
        records = a_call(clinic.pk)
        write_records(records[:5])
        left_behind(spool_folder(), records)
        tasks.store_left_behind()
        once = self.rows(Call.objects.get())
        left_behind(spool_folder(), records)
        tasks.store_left_behind()
        assert self.rows(Call.objects.get()) == once
        assert Request.objects.count() == 1

    def test_a_call_that_ended_in_the_outage_keeps_its_own_end(self, clinic: Clinic) -> None:
        records = a_call(clinic.pk)
        started = records[0]
        assert isinstance(started, CallStarted)
        write_records([started])
        left_behind(spool_folder(), records[1:])
        assert tasks.end_stale_calls() == 0
        assert Call.objects.get().outcome == "request_taken"

    def test_calls_of_a_process_that_has_yet_to_store_them_are_not_taken_for_dead(
        self, clinic: Clinic
    ) -> None:
        records = a_call(clinic.pk)
        write_records(records[:1])
        Call.objects.update(room="")
        living = Spool(spool_folder())
        living.keep(records[1:])
        assert tasks.end_stale_calls() == 0
        assert Call.objects.get().outcome == ""
        living.discard()
        assert tasks.end_stale_calls() == 1

    def test_while_the_database_is_away_the_schedule_waits_quietly(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(*_args: object, **_options: object) -> None:
            raise OperationalError("away")

        monkeypatch.setattr("phone.spool.store_left_behind", gone)
        assert tasks.store_left_behind() == 0
