"""A recording gets into its storage once, encrypted, whole, and whatever happens on the way."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import connection

from clinic.crypto import CannotDecrypt
from phone import services
from phone.models import Call, Recording
from phone.recordings import SoundNotHere, open_sound, remove_file, stored_name, waiting_file, waiting_folder
from tests.phone.office import make_call, make_clinic
from tests.phone.recorded import left_alone, make_recording
from tests.sounds import decoded_seconds, make_ogg

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
FIVE_SECONDS = make_ogg(5)


@pytest.fixture(autouse=True)
def folders_of_its_own(settings, tmp_path) -> Path:
    settings.DATA_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path


@pytest.fixture
def call() -> Call:
    return make_call(make_clinic())


def store(recording: Recording, *, now: datetime = NOON) -> bool:
    stored = services.recording_store(recording=recording.pk, now=now)
    recording.refresh_from_db()
    return stored


def test_a_finished_recording_is_stored_and_plays_as_it_was(call: Call) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    assert store(recording)
    assert recording.state == Recording.State.STORED
    assert recording.size == len(FIVE_SECONDS)
    assert recording.sha256 == hashlib.sha256(FIVE_SECONDS).hexdigest()
    assert recording.seconds == pytest.approx(decoded_seconds(FIVE_SECONDS), abs=0.02)
    assert recording.key == "k1"
    assert not waiting_file(recording.pk).exists()
    with open_sound(recording) as sound:
        assert sound.read() == FIVE_SECONDS


def test_it_lies_encrypted_and_only_its_owner_reads_it(call: Call, folders_of_its_own: Path) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    store(recording)
    (file,) = (path for path in (folders_of_its_own / "media").rglob("*") if path.is_file())
    assert b"OggS" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_it_plays_while_it_waits(call: Call) -> None:
    with open_sound(make_recording(call, FIVE_SECONDS)) as sound:
        assert sound.read() == FIVE_SECONDS


def test_a_recording_put_in_anothers_place_does_not_play(call: Call) -> None:
    one, other = make_recording(call, FIVE_SECONDS), make_recording(call, make_ogg(1))
    store(one)
    store(other)
    other.file = one.file
    with pytest.raises(CannotDecrypt), open_sound(other) as sound:
        sound.read()


def test_storing_twice_changes_nothing(call: Call) -> None:
    recording = make_recording(call)
    assert store(recording)
    before = Recording.objects.values().get()
    assert not store(recording)
    assert Recording.objects.values().get() == before


def test_a_file_left_behind_by_an_interrupted_run_goes_away(call: Call) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    store(recording)
    waiting_file(recording.pk).write_bytes(FIVE_SECONDS)
    assert not store(recording)
    assert not waiting_file(recording.pk).exists()
    assert default_storage.exists(recording.file)


def test_what_an_interrupted_run_left_in_the_storage_is_replaced(
    call: Call, folders_of_its_own: Path
) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    half = folders_of_its_own / "media" / stored_name(recording.pk)
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    assert store(recording)
    assert len([path for path in (folders_of_its_own / "media").rglob("*") if path.is_file()]) == 1
    with open_sound(recording) as sound:
        assert sound.read() == FIVE_SECONDS


def test_a_running_recording_is_left_alone(call: Call) -> None:
    recording = make_recording(call, state=Recording.State.RUNNING)
    assert not store(recording)
    assert recording.state == Recording.State.RUNNING


def test_a_quiet_recording_of_a_running_call_is_left_alone(call: Call) -> None:
    Call.objects.update(outcome="", ended_at=None)
    recording = make_recording(call, state=Recording.State.RUNNING)
    left_alone(recording)
    assert not store(recording)


def test_what_a_dead_worker_left_is_stored_up_to_its_last_whole_page(call: Call) -> None:
    torn = FIVE_SECONDS[: len(FIVE_SECONDS) * 3 // 4]
    recording = make_recording(call, torn, state=Recording.State.RUNNING)
    left_alone(recording)
    assert services.recordings_store_waiting(now=NOON) == 1
    recording.refresh_from_db()
    with open_sound(recording) as sound:
        kept = sound.read()
    assert torn.startswith(kept)
    assert recording.seconds is not None
    assert 2 < recording.seconds < 4
    assert decoded_seconds(kept) == pytest.approx(recording.seconds, abs=0.05)
    assert recording.ended_at == recording.started_at + timedelta(seconds=recording.seconds)


@pytest.mark.parametrize(
    "sound", [b"", FIVE_SECONDS[:60], b"no sound at all" * 50], ids=["nothing", "its head alone", "no sound"]
)
def test_a_recording_of_zero_length_is_empty(call: Call, sound: bytes) -> None:
    recording = make_recording(call, sound)
    assert not store(recording)
    assert recording.state == Recording.State.EMPTY
    assert recording.file == ""
    assert not waiting_file(recording.pk).exists()
    with pytest.raises(SoundNotHere):
        open_sound(recording)


def test_a_storage_that_is_away_for_an_hour_loses_nothing(call: Call, monkeypatch) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    with monkeypatch.context() as away:

        def refuse(*_: object, **__: object) -> None:
            raise ConnectionError("no route to storage")

        away.setattr(FileSystemStorage, "_save", refuse)
        for minute in range(60):
            assert services.recordings_store_waiting(now=NOON + timedelta(minutes=minute)) == 0
        recording.refresh_from_db()
        assert recording.state == Recording.State.WAITING
        with open_sound(recording) as sound:
            assert sound.read() == FIVE_SECONDS
    assert services.recordings_store_waiting(now=NOON + timedelta(hours=1)) == 1
    recording.refresh_from_db()
    with open_sound(recording) as sound:
        assert sound.read() == FIVE_SECONDS


def test_a_full_disk_loses_nothing(call: Call, monkeypatch) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    with monkeypatch.context() as full:

        def half(self: FileSystemStorage, name: str, content: object) -> None:
            path = Path(self.path(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"half of it")
            raise OSError(28, "No space left on device")

        full.setattr(FileSystemStorage, "_save", half)
        assert not store(recording)
    assert store(recording)
    with open_sound(recording) as sound:
        assert sound.read() == FIVE_SECONDS


def test_one_that_cannot_be_stored_does_not_hold_up_the_others(call: Call, monkeypatch) -> None:
    bad, good = make_recording(call), make_recording(call)
    save = FileSystemStorage._save

    def choosy(self: FileSystemStorage, name: str, content: object) -> str:
        if str(bad.pk) in name:
            raise OSError(5, "Input/output error")
        return save(self, name, content)

    monkeypatch.setattr(FileSystemStorage, "_save", choosy)
    assert services.recordings_store_waiting(now=NOON) == 1
    good.refresh_from_db()
    assert good.state == Recording.State.STORED


def test_a_claim_of_a_process_that_died_runs_out(call: Call) -> None:
    recording = make_recording(call, claimed_until=NOON + timedelta(minutes=1))
    assert not store(recording)
    assert store(recording, now=NOON + timedelta(minutes=2))


def test_a_recording_deleted_while_it_is_being_stored_leaves_nothing(call: Call, monkeypatch) -> None:
    recording = make_recording(call)
    save = FileSystemStorage._save

    def deleted_meanwhile(self: FileSystemStorage, name: str, content: object) -> str:
        remove_file(recording)
        Recording.objects.update(state=Recording.State.DELETED)
        return save(self, name, content)

    monkeypatch.setattr(FileSystemStorage, "_save", deleted_meanwhile)
    assert not store(recording)
    assert recording.state == Recording.State.DELETED
    assert not default_storage.exists(stored_name(recording.pk))


@pytest.mark.parametrize("state", ["waiting", "stored"])
def test_removing_takes_the_sound_away_wherever_it_is_and_twice_makes_no_difference(
    call: Call, state: str
) -> None:
    recording = make_recording(call)
    if state == "stored":
        store(recording)
    remove_file(recording)
    remove_file(recording)
    assert not list(waiting_folder().iterdir())
    assert not default_storage.exists(stored_name(recording.pk))
    with pytest.raises(SoundNotHere):
        open_sound(recording)


def test_a_file_without_a_row_stays_until_its_row_has_come(call: Call) -> None:
    recording = make_recording(call)
    Recording.objects.all().delete()
    assert services.recordings_store_waiting(now=NOON) == 0
    assert waiting_file(recording.pk).exists()


def test_a_foreign_file_in_the_folder_is_left_alone() -> None:
    foreign = waiting_folder() / "notes.ogg"
    foreign.write_bytes(b"mine")
    assert services.recordings_store_waiting(now=NOON) == 0
    assert foreign.exists()


@pytest.mark.django_db(transaction=True)
def test_two_processes_at_once_store_it_once(call: Call, monkeypatch) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    saves: list[str] = []
    results: list[bool] = []
    save = FileSystemStorage._save

    def counted(self: FileSystemStorage, name: str, content: object) -> str:
        saves.append(name)
        return save(self, name, content)

    monkeypatch.setattr(FileSystemStorage, "_save", counted)
    start = threading.Barrier(4)

    def run() -> None:
        start.wait()
        results.append(services.recording_store(recording=recording.pk, now=NOON))
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True]
    assert len(saves) == 1
    recording.refresh_from_db()
    with open_sound(recording) as sound:
        assert sound.read() == FIVE_SECONDS
