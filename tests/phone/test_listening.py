"""Only whoever may listen hears a recording; each play and each refusal is on record; ranges of bytes work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.core.files.storage import FileSystemStorage
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from clinic.models import AccessRecord
from clinic.roles import Role
from phone import services
from phone.models import Call, Recording
from phone.recordings import stored_name
from tests.phone.office import make_call, make_clinic, make_staff
from tests.phone.recorded import make_recording
from tests.sounds import make_ogg

pytestmark = pytest.mark.django_db

SOUND = make_ogg(20)
RIGHTS = ("view_recording", "listen_recording", "listen_voicemail")


@pytest.fixture(autouse=True)
def folders_of_its_own(settings, tmp_path) -> Path:
    settings.DATA_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path


@pytest.fixture
def call() -> Call:
    return make_call(make_clinic())


@pytest.fixture
def recording(call: Call) -> Recording:
    return stored(call)


def stored(call: Call, **fields: str) -> Recording:
    recording = make_recording(call, SOUND, **fields)
    assert services.recording_store(recording=recording.pk, now=datetime.now(UTC))
    recording.refresh_from_db()
    return recording


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def manager() -> Client:
    return logged_in(make_staff("maria", *RIGHTS))


def play(client: Client, recording: Recording) -> HttpResponse:
    return client.post(reverse("recording-play", args=[recording.pk]))


def link_to(client: Client, recording: Recording) -> str:
    address: str = play(client, recording).json()["address"]
    return address


def sound_address(recording: Recording, link: str = "") -> str:
    return reverse("recording-sound", args=[recording.pk]) + (f"?link={link}" if link else "")


def on_record() -> list[tuple[str, str, str]]:
    rows = AccessRecord.objects.order_by("pk")
    return list(rows.values_list("username", "action", "object_id"))


# -- Who may -------------------------------------------------------------------------------------------------


def test_a_play_is_heard_and_on_record_once_however_many_parts_are_fetched(
    manager: Client, recording: Recording
) -> None:
    address = link_to(manager, recording)
    for begin in range(0, len(SOUND), 20_000):
        assert manager.get(address, headers={"Range": f"bytes={begin}-{begin + 19_999}"}).status_code == 206
    assert manager.get(address).content == SOUND
    assert on_record() == [("maria", "play", str(recording.pk))]


def test_a_second_play_is_a_second_record(manager: Client, recording: Recording) -> None:
    play(manager, recording)
    play(manager, recording)
    assert len(on_record()) == 2


@pytest.mark.parametrize(
    "rights", [(), ("view_recording",), ("listen_recording",), ("view_recording", "listen_voicemail")]
)
def test_without_the_right_nothing_is_heard_and_that_is_on_record(
    manager: Client, recording: Recording, rights: tuple[str, ...]
) -> None:
    link = link_to(manager, recording)
    before = len(on_record())
    eve = logged_in(make_staff("eve", *rights))
    refused = play(eve, recording)
    assert refused.status_code == 403
    assert refused.json() == {"sentence": "You may not listen to this recording."}
    assert eve.get(link).status_code == 403
    assert on_record()[before:] == [("eve", "refused", str(recording.pk))] * 2


def test_without_a_login_nothing_is_heard_and_that_is_on_record(
    manager: Client, recording: Recording
) -> None:
    link = link_to(manager, recording)
    before = len(on_record())
    stranger = Client()
    assert play(stranger, recording).status_code == 403
    assert stranger.get(link).status_code == 403
    assert on_record()[before:] == [("", "refused", str(recording.pk))] * 2


def test_a_right_that_was_taken_away_ends_the_link(manager: Client, recording: Recording) -> None:
    link = link_to(manager, recording)
    User.objects.get().user_permissions.clear()
    assert manager.get(link).status_code == 403
    assert on_record()[-1][1] == "refused"


def test_an_old_link_is_refused_and_on_record(manager: Client, recording: Recording) -> None:
    now = datetime.now(UTC)
    with time_machine.travel(now - timedelta(minutes=6), tick=False):
        link = link_to(manager, recording)
    refused = manager.get(link)
    assert refused.status_code == 403
    assert "no longer works" in refused.content.decode()
    assert on_record()[-1] == ("maria", "refused", str(recording.pk))


def test_a_link_lives_as_long_as_the_recording_plays(manager: Client, call: Call) -> None:
    recording = stored(call)
    Recording.objects.update(seconds=1800)
    now = datetime.now(UTC)
    with time_machine.travel(now - timedelta(minutes=31), tick=False):
        link = link_to(manager, recording)
    assert manager.get(link).status_code == 200


@pytest.mark.parametrize("link", ["", "nonsense", "a:b:c"])
def test_a_link_that_nobody_made_is_refused_and_on_record(
    manager: Client, recording: Recording, link: str
) -> None:
    assert manager.get(sound_address(recording, link)).status_code == 403
    assert on_record() == [("maria", "refused", str(recording.pk))]


def test_somebody_elses_link_is_refused_and_on_record(manager: Client, recording: Recording) -> None:
    link = link_to(manager, recording)
    colleague = logged_in(make_staff("max", *RIGHTS))
    assert colleague.get(link).status_code == 403
    assert on_record()[-1] == ("max", "refused", str(recording.pk))


def test_a_link_from_another_clinics_recording_is_refused_and_on_record(
    manager: Client, recording: Recording
) -> None:
    elsewhere = stored(make_call(make_clinic(name="Harbor Dental", slug="harbor")))
    (link,) = parse_qs(urlsplit(link_to(manager, elsewhere)).query)["link"]
    assert manager.get(sound_address(recording, link)).status_code == 403
    assert on_record()[-1] == ("maria", "refused", str(recording.pk))


def test_a_link_ends_when_its_recording_comes_to_another_clinic(
    manager: Client, recording: Recording
) -> None:
    link = link_to(manager, recording)
    Call.objects.update(clinic=make_clinic(name="Harbor Dental", slug="harbor"))
    assert manager.get(link).status_code == 403
    assert on_record()[-1][1] == "refused"


@pytest.mark.parametrize(
    ("role", "kind", "status"),
    [
        (Role.RECEPTIONIST, "voicemail", 200),
        (Role.RECEPTIONIST, "call", 403),
        (Role.MANAGER, "voicemail", 200),
        (Role.MANAGER, "call", 200),
        (Role.AUDITOR, "call", 200),
        (Role.ADMINISTRATOR, "call", 200),
    ],
)
def test_receptionists_hear_messages_and_the_others_calls_too(
    call: Call, role: Role, kind: str, status: int
) -> None:
    user = User.objects.create_user("rob", is_staff=True)
    user.groups.add(Group.objects.get(name=role.value))
    assert play(logged_in(user), stored(call, kind=kind)).status_code == status


def test_a_recording_that_does_not_exist_is_not_found(manager: Client) -> None:
    nobody = "01900000-0000-7000-8000-000000000000"
    assert manager.post(reverse("recording-play", args=[nobody])).status_code == 404
    assert on_record() == []


def test_a_play_from_another_site_is_refused(recording: Recording) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_staff("maria", *RIGHTS))
    assert play(client, recording).status_code == 403
    assert on_record() == []


# -- Bytes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def fetch(manager: Client, recording: Recording):
    address = link_to(manager, recording)

    def get(method: str = "get", **headers: str) -> HttpResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response: HttpResponse = getattr(manager, method)(address, headers=named)
        return response

    return get


def test_all_of_it_says_what_it_is(fetch, recording: Recording) -> None:
    response = fetch()
    assert response.status_code == 200
    assert response["Content-Type"] == "audio/ogg"
    assert response["Accept-Ranges"] == "bytes"
    assert response["Content-Length"] == str(len(SOUND))
    assert response["ETag"] == f'"{recording.sha256}"'


def test_no_cache_keeps_it(fetch) -> None:
    directives = fetch(Range="bytes=0-9")["Cache-Control"]
    assert "private" in directives
    assert "no-store" in directives


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=70000-70009", 70_000, 70_009),
        ("bytes=65530-65545", 65_530, 65_545),
        ("bytes=-100", -100, -1),
        ("bytes=100-", 100, -1),
    ],
)
def test_a_part_of_it(fetch, asked: str, first: int, last: int) -> None:
    size = len(SOUND)
    assert size > 80_000
    first, last = first % size, last % size
    response = fetch(Range=asked)
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/{size}"
    assert response["Content-Length"] == str(last - first + 1)
    assert response.content == SOUND[first : last + 1]


def test_a_part_that_does_not_exist(fetch) -> None:
    response = fetch(Range=f"bytes={len(SOUND)}-")
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{len(SOUND)}"
    assert response.content == b""


def test_head_sends_no_sound(fetch) -> None:
    response = fetch("head", Range="bytes=0-99")
    assert response.status_code == 206
    assert response["Content-Length"] == "100"
    assert response.content == b""


def test_a_part_of_what_has_changed_meanwhile_is_all_of_it(fetch, recording: Recording) -> None:
    assert fetch(Range="bytes=0-9", If_Range=f'"{recording.sha256}"').status_code == 206
    assert fetch(Range="bytes=0-9", If_Range='"another"').status_code == 200


# -- When it cannot be opened --------------------------------------------------------------------------------


def test_it_plays_while_it_waits_for_its_storage(manager: Client, call: Call) -> None:
    recording = make_recording(call, SOUND, seconds=20)
    assert manager.get(link_to(manager, recording), headers={"Range": "bytes=0-9"}).content == SOUND[:10]


@pytest.mark.parametrize("state", ["running", "empty", "deleted"])
def test_what_is_not_there_is_said_so_and_is_no_play(manager: Client, call: Call, state: str) -> None:
    response = play(manager, make_recording(call, state=state))
    assert response.status_code == 404
    assert "is not here" in response.json()["sentence"]
    assert on_record() == []


def test_a_storage_that_is_away_is_said_so(manager: Client, recording: Recording, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(FileSystemStorage, "_open", refuse)
    response = play(manager, recording)
    assert response.status_code == 503
    assert "Try again in a few minutes" in response.json()["sentence"]


def test_a_damaged_file_is_said_so(manager: Client, recording: Recording, folders_of_its_own: Path) -> None:
    link = link_to(manager, recording)
    file = folders_of_its_own / "media" / stored_name(recording.pk)
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.chmod(0o600)
    file.write_bytes(bytes(damaged))
    assert manager.get(link, headers={"Range": "bytes=0-9"}).content == SOUND[:10]
    response = manager.get(link)
    assert response.status_code == 500
    assert "damaged" in response.content.decode()
    file.write_bytes(b"short")
    assert play(manager, recording).status_code == 500


# -- The call's page -----------------------------------------------------------------------------------------


def test_the_calls_page_has_a_player_for_whoever_may_listen(call: Call, recording: Recording) -> None:
    address = reverse("admin:phone_call_change", args=[call.pk])
    page = logged_in(make_staff("maria", "view_call", *RIGHTS)).get(address).content.decode()
    assert reverse("recording-play", args=[recording.pk]) in page
    assert 'data-starts="3.0"' in page
    page = logged_in(make_staff("rita", "view_call", "view_recording")).get(address).content.decode()
    assert reverse("recording-play", args=[recording.pk]) not in page
    assert "You may not listen to it." in page
