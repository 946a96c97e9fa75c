"""A call reports and goes on; what it reported is in the database soon, once and in order."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError

from agent_worker.ids import uuid7
from agent_worker.records import RecordWriter, writer
from clinic.models import Clinic
from phone import services
from phone.models import Call, CallEvent
from phone.records import CallEnded, CallStarted, EventHappened, Heartbeat, Record
from phone.spool import LeftBehind, Spool, spool_folder, store_left_behind

# Each write closes the connections that its thread no longer needs.
pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def beat(number: int) -> Heartbeat:
    return Heartbeat(uuid7(NOON), NOON + timedelta(seconds=number))


class Database:
    """Keeps what is written, and can be told to fail first."""

    def __init__(self, *troubles: Exception) -> None:
        self.batches: list[list[Record]] = []
        self.troubles = list(troubles)
        self.written = threading.Event()

    def write(self, records: Sequence[Record]) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.batches.append(list(records))
        self.written.set()

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch]


async def in_thread(wait: Callable[[float], bool]) -> None:
    assert await asyncio.to_thread(wait, 2.0)


async def test_everything_of_a_moment_goes_out_in_one_batch_within_200_ms() -> None:
    database = Database()
    records = RecordWriter(database.write)
    beats = [beat(number) for number in range(30)]
    before = time.perf_counter()
    for record in beats:
        records.put(record)
    assert time.perf_counter() - before < 0.05
    assert database.batches == []
    await in_thread(database.written.wait)
    assert time.perf_counter() - before < 0.5
    assert database.batches == [beats]
    await records.aclose()


async def test_a_full_batch_does_not_wait() -> None:
    database = Database()
    records = RecordWriter(database.write, flush_after=60, flush_at=10)
    beats = [beat(number) for number in range(10)]
    for record in beats:
        records.put(record)
    await in_thread(database.written.wait)
    assert database.batches == [beats]
    await records.aclose()


async def test_a_long_queue_goes_out_in_order_and_in_batches_of_bounded_size() -> None:
    database = Database()
    records = RecordWriter(database.write, flush_at=10)
    beats = [beat(number) for number in range(95)]
    for record in beats:
        records.put(record)
    await records.drain()
    assert database.records == beats
    assert max(map(len, database.batches)) == 10


async def test_drain_waits_for_what_was_put_and_for_nothing_else() -> None:
    database = Database()
    records = RecordWriter(database.write, flush_after=60)
    await asyncio.wait_for(records.drain(), 1)
    records.put(beat(1))
    await asyncio.wait_for(records.drain(), 1)
    assert len(database.records) == 1


async def test_an_outage_delays_records_and_neither_drops_nor_doubles_any(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = Database(OperationalError("database is locked"), OperationalError("gone: +15550100"))
    records = RecordWriter(database.write, flush_after=0.01, flush_at=10)
    beats = [beat(number) for number in range(25)]
    for record in beats:
        records.put(record)
    with caplog.at_level(logging.WARNING):
        await records.drain()
    assert database.records == beats
    assert len(caplog.records) == 2
    assert "555" not in caplog.text


async def test_a_record_that_can_never_be_stored_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    stored: list[Record] = []
    broken = beat(3)

    def write(batch: Sequence[Record]) -> None:
        if broken in batch:
            raise IntegrityError("a value that shall not be logged")
        stored.extend(batch)

    records = RecordWriter(write)
    beats = [beat(1), beat(2), broken, beat(4)]
    for record in beats:
        records.put(record)
    await records.drain()
    assert stored == [beats[0], beats[1], beats[3]]
    assert str(broken.call) in caplog.text
    assert "shall not" not in caplog.text


async def test_a_writer_that_was_closed_starts_anew() -> None:
    database = Database()
    records = RecordWriter(database.write)
    records.put(beat(1))
    await records.aclose()
    records.put(beat(2))
    await records.aclose()
    assert len(database.records) == 2


async def test_what_a_call_reports_while_its_loop_ends_is_stored() -> None:
    """A loop that ends cancels its tasks all at once: the writer's task may be dying as the last row comes."""
    database = Database()
    records = RecordWriter(database.write)
    first, last = beat(1), beat(2)
    records.put(first)
    await records.drain()
    (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "record-writer")
    task.cancel()
    records.put(last)
    await asyncio.wait_for(records.drain(), 5)
    assert database.records == [first, last]
    await records.aclose()


async def test_each_loop_has_one_writer() -> None:
    async def another() -> RecordWriter:
        return writer()

    mine = writer()
    assert writer() is mine
    other = await asyncio.to_thread(asyncio.run, another())
    assert other is not mine


class Outage:
    """A database that is away until `over`, and keeps what is written from then on. Some outages hang."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.records: list[Record] = []
        self.over = threading.Event()
        self._hangs = hangs

    def write(self, records: Sequence[Record]) -> None:
        if self._hangs:
            assert self.over.wait(30)
        elif not self.over.is_set():
            raise OperationalError("the database is away")
        self.records.extend(records)


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happened():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


def spooled() -> list[Path]:
    return sorted(spool_folder().glob("*")) if spool_folder().exists() else []


@pytest.mark.any_database
class TestWhileTheDatabaseIsAway:
    @pytest.fixture(autouse=True)
    def own_folder(self, tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.DATA_DIR = tmp_path
        monkeypatch.setattr("agent_worker.records.PATIENCE", 0.5)
        monkeypatch.setattr("agent_worker.records.SLOW_WRITE", 0.2)

    @pytest.mark.parametrize("hangs", [False, True])
    async def test_a_call_may_end_once_its_records_are_on_the_disk(self, hangs: bool) -> None:
        outage = Outage(hangs=hangs)
        records = RecordWriter(outage.write)
        beats = [beat(number) for number in range(3)]
        for record in beats:
            records.put(record)
        await asyncio.wait_for(records.drain(), 20)
        assert len(spooled()) == 1
        records.put(beat(3))
        await asyncio.wait_for(records.drain(), 20)
        outage.over.set()
        await until(lambda: len(outage.records) == 4)
        assert outage.records[:3] == beats
        await records.aclose()

    async def test_what_was_kept_is_gone_when_the_database_has_it(self) -> None:
        outage = Outage()
        records = RecordWriter(outage.write, flush_at=10)
        beats = [beat(number) for number in range(25)]
        for record in beats:
            records.put(record)
        await until(lambda: bool(spooled()))
        outage.over.set()
        await asyncio.wait_for(records.drain(), 20)
        assert outage.records == beats
        assert spooled() == []
        await records.aclose()

    async def test_a_writer_that_is_closed_leaves_its_records_to_others(self) -> None:
        outage = Outage()
        records = RecordWriter(outage.write)
        records.put(beat(1))
        await asyncio.wait_for(records.aclose(), 20)
        outage.over.set()
        assert store_left_behind(write=outage.write).stored == 1
        records.put(beat(2))
        await asyncio.wait_for(records.aclose(), 20)
        assert len(outage.records) == 2

    async def test_a_disk_that_is_full_too_is_told_once_and_costs_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class FullDisk(Spool):
            tries = 0

            def keep(self, records: Sequence[Record]) -> None:
                self.tries += 1
                raise OSError(28, "No space left on device")

        outage, disk = Outage(), FullDisk(spool_folder())
        records = RecordWriter(outage.write, flush_after=0.01, spool=disk)
        records.put(beat(1))
        await until(lambda: disk.tries >= 5)
        outage.over.set()
        await asyncio.wait_for(records.drain(), 20)
        assert len(outage.records) == 1
        assert caplog.text.count("No space left on device") == 1
        await records.aclose()

    async def test_without_an_outage_nothing_is_written_to_the_disk(self) -> None:
        database = Database()
        records = RecordWriter(database.write)
        records.put(beat(1))
        await records.drain()
        assert not spool_folder().exists()
        await records.aclose()


def test_a_process_that_is_killed_while_the_database_is_away_loses_no_row(tmp_path: Path, settings) -> None:
    settings.DATA_DIR = tmp_path
    clinic = Clinic.objects.create(name="Bright Smile Dental", slug="bright-smile")
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "clinic.settings",
        "CLINIC_DATA_DIR": str(tmp_path),
        # Nobody listens there.
        "DATABASE_URL": "postgresql://clinic@127.0.0.1:1/clinic",
        "CLINIC_DATABASE_POOL": "false",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.agent_worker.cut_off_process", str(clinic.pk)],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        call = process.stdout.readline().strip()
        assert store_left_behind() == LeftBehind(held=1)
        assert Call.objects.count() == 0
    finally:
        process.kill()
        process.communicate()
    assert store_left_behind().stored == 10
    row = Call.objects.get()
    assert (str(row.pk), row.outcome, row.served) == (call, "request_taken", "request")
    assert row.requests.get().confirmed
    assert [event.seq for event in row.events.all()] == [1, 2]
    assert store_left_behind() == LeftBehind()
    assert spooled() == []


class TestWithTheDatabase:
    @pytest.fixture
    def clinic(self) -> Clinic:
        return Clinic.objects.create(name="Bright Smile Dental", slug="bright-smile")

    @staticmethod
    def report(clinic: Clinic) -> list[Record]:
        call = uuid7(NOON)
        start = CallStarted(call, NOON, clinic.pk, None, None, "browser", "", "en", False)
        events = [
            EventHappened(call, uuid7(NOON), NOON + timedelta(seconds=n), n, "step", "menu")
            for n in range(1, 150)
        ]
        return [start, *events, CallEnded(call, NOON + timedelta(minutes=3), "completed", "nothing", "menu")]

    async def test_a_call_is_stored_whole_when_the_writer_is_drained(self, clinic: Clinic) -> None:
        records = RecordWriter()
        for record in self.report(clinic):
            records.put(record)
        await records.drain()
        call = await Call.objects.aget()
        assert call.outcome == "completed"
        assert [event.seq async for event in call.events.all()] == list(range(1, 150))
        await records.aclose()

    async def test_a_final_row_is_there_soon_after_the_hang_up(self, clinic: Clinic) -> None:
        stored = threading.Event()

        def write(batch: Sequence[Record]) -> None:
            services.write_records(batch)
            if any(isinstance(record, CallEnded) for record in batch):
                stored.set()

        records = RecordWriter(write)
        for record in self.report(clinic):
            records.put(record)
        await in_thread(stored.wait)
        assert (await Call.objects.aget()).outcome == "completed"
        await records.aclose()

    async def test_a_write_that_was_interrupted_after_it_was_stored_doubles_nothing(
        self, clinic: Clinic
    ) -> None:
        troubles: list[Any] = [OperationalError("the answer was lost")]

        def write(batch: Sequence[Record]) -> None:
            services.write_records(batch)
            if troubles:
                raise troubles.pop()

        records = RecordWriter(write, flush_after=0.01)
        for record in self.report(clinic):
            records.put(record)
        await records.drain()
        assert await CallEvent.objects.acount() == 149
        await records.aclose()
