"""Recordings in an S3 bucket, over HTTP: stored, played, deleted, and nothing lost while the bucket is away.

What the bucket on this machine assumes of S3 is written in `tests/s3_bucket.py`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

import clinic.bucket
from clinic.environment import Environment, storage_settings
from clinic.roles import Role
from phone import services
from phone.models import Call, Recording
from phone.recordings import SoundNotHere, open_sound, remove_file, stored_name, waiting_file
from tests.phone.keeping import member_of
from tests.phone.office import make_call, make_clinic
from tests.phone.recorded import make_recording
from tests.s3_bucket import ACCESS_KEY, SECRET_KEY, Bucket, running_bucket
from tests.sounds import make_ogg

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
FIVE_SECONDS = make_ogg(5)


@pytest.fixture
def bucket(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """The bucket that the environment names, as an installer sets it."""
    settings.DATA_DIR = tmp_path
    with running_bucket() as bucket:
        monkeypatch.setenv("CLINIC_S3_BUCKET", bucket.name)
        monkeypatch.setenv("CLINIC_S3_ENDPOINT", bucket.address)
        monkeypatch.setenv("CLINIC_S3_REGION", "eu-central-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        settings.STORAGES = settings.STORAGES | {"default": storage_settings(Environment())}
        yield bucket


@pytest.fixture
def call() -> Call:
    return make_call(make_clinic())


def store(recording: Recording, *, now: datetime = NOON) -> bool:
    stored = services.recording_store(recording=recording.pk, now=now)
    recording.refresh_from_db()
    return stored


def played(recording: Recording) -> bytes:
    with open_sound(recording) as sound:
        return sound.read()


def test_a_recording_is_stored_in_the_bucket_encrypted_and_plays_from_there(
    bucket: Bucket, call: Call
) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    assert store(recording)
    assert recording.state == Recording.State.STORED
    assert recording.sha256 == hashlib.sha256(FIVE_SECONDS).hexdigest()
    assert list(bucket.objects) == [recording.file] == [stored_name(recording.pk)]
    assert b"OggS" not in bucket.objects[recording.file]
    assert not waiting_file(recording.pk).exists()
    assert played(recording) == FIVE_SECONDS
    with open_sound(recording) as sound:
        sound.seek(1000)
        assert sound.read(500) == FIVE_SECONDS[1000:1500]


def test_the_office_plays_a_part_of_it(bucket: Bucket, call: Call, client: Client) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    store(recording)
    client.force_login(member_of(Role.MANAGER))
    link = client.post(reverse("recording-play", args=[recording.pk])).json()["address"]
    part = client.get(link, headers={"Range": "bytes=100-299"})
    assert part.status_code == 206
    assert part.getvalue() == FIVE_SECONDS[100:300]


def test_one_of_many_megabytes_goes_in_parts_and_comes_back_whole(bucket: Bucket) -> None:
    long = secrets.token_bytes(20 * 1024 * 1024)
    name = default_storage.save("recordings/long", ContentFile(long, name="long"))
    assert bucket.objects[name] == long
    assert ("POST", name) in bucket.asked
    with default_storage.open(name) as sound:
        assert sound.read() == long


def test_what_an_interrupted_run_left_in_the_bucket_is_replaced(bucket: Bucket, call: Call) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    bucket.objects[stored_name(recording.pk)] = b"half of it"
    assert store(recording)
    assert list(bucket.objects) == [stored_name(recording.pk)]
    assert played(recording) == FIVE_SECONDS


def test_deleting_takes_it_out_of_the_bucket_and_twice_makes_no_difference(
    bucket: Bucket, call: Call
) -> None:
    recording = make_recording(call, FIVE_SECONDS)
    store(recording)
    for _ in range(2):
        remove_file(recording)
        assert bucket.objects == {}
    with pytest.raises(SoundNotHere):
        played(recording)


def refuse_connections(bucket: Bucket) -> Callable[[], None]:
    bucket.stop()
    return bucket.start


def be_busy(bucket: Bucket) -> Callable[[], None]:
    bucket.mode = "busy"
    return lambda: setattr(bucket, "mode", "normal")


@pytest.mark.parametrize("go_away", [refuse_connections, be_busy])
def test_a_bucket_that_is_away_for_an_hour_loses_nothing_and_gets_it_later(
    bucket: Bucket, call: Call, go_away: Callable[[Bucket], Callable[[], None]]
) -> None:
    there_before = make_recording(call, FIVE_SECONDS)
    store(there_before)
    waiting = [make_recording(call, make_ogg(seconds)) for seconds in (1, 2)]
    left = [waiting_file(each.pk).read_bytes() for each in waiting]
    come_back = go_away(bucket)
    for minute in range(0, 60, 15):
        assert services.recordings_store_waiting(now=NOON + timedelta(minutes=minute)) == 0
    assert {each.state for each in Recording.objects.exclude(pk=there_before.pk)} == {"waiting"}
    assert [played(Recording.objects.get(pk=each.pk)) for each in waiting] == left
    come_back()
    assert services.recordings_store_waiting(now=NOON + timedelta(hours=1)) == 2
    assert [played(Recording.objects.get(pk=each.pk)) for each in waiting] == left
    assert played(there_before) == FIVE_SECONDS
    assert not any(waiting_file(each.pk).exists() for each in waiting)
    assert len(bucket.objects) == 3


def test_a_bucket_that_never_answers_holds_nobody_up_for_long(
    bucket: Bucket, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinic.bucket, "READ_SECONDS", 0.2)
    recording = make_recording(call, FIVE_SECONDS)
    bucket.mode = "silent"
    assert not store(recording)
    assert len(bucket.asked) <= clinic.bucket.TRIES
    assert waiting_file(recording.pk).read_bytes() == FIVE_SECONDS


def test_wrong_credentials_lose_nothing(bucket: Bucket, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SOMEBODYELSE")
    recording = make_recording(call, FIVE_SECONDS)
    assert not store(recording)
    assert recording.state == Recording.State.WAITING
    assert played(recording) == FIVE_SECONDS
