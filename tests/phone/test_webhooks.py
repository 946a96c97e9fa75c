"""Webhooks from livekit-server: which ones are taken, and what follows from them."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import jwt
import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from agent_worker.ids import uuid7
from phone import webhooks
from phone.livekit_api import LiveKit, LiveKitUnreachable
from phone.models import Call, PhoneLine
from phone.records import CallStarted
from phone.services import write_records
from tests.phone.clinics import a_clinic
from tests.phone.livekit import KEY, SECRET, FakeLiveKit, a_server
from tests.phone.office import make_call

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(microsecond=0)
ROOM = "dental-_+12025550123_abc"


@pytest.fixture(autouse=True)
def line(settings: Any) -> PhoneLine:
    settings.LIVEKIT = a_server()
    cache.clear()
    line = a_clinic().phone_lines.get()
    line.room_prefix = "dental-"
    line.save()
    return line


def event(
    name: str, *, at: datetime = NOW, kind: str = "SIP", room: str = ROOM, **participant: Any
) -> dict[str, Any]:
    message: dict[str, Any] = {
        "event": name,
        "id": "EV_1",
        "createdAt": str(int(at.timestamp())),
        "room": {"sid": "RM_1", "name": room, "creationTime": str(int(at.timestamp()) - 20)},
    }
    if name.startswith("participant"):
        message["participant"] = {
            "sid": "PA_1",
            "identity": "sip_+12025550123",
            "kind": kind,
            "joinedAt": str(int(at.timestamp()) - 12),
            "attributes": {"sip.phoneNumber": "+12025550123", "sip.trunkPhoneNumber": "+15550100"},
        } | participant
    return message


def token(body: bytes, *, secret: str = SECRET, key: str = KEY, expires: int = 300, **claims: Any) -> str:
    now = int(datetime.now(UTC).timestamp())
    signed = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return jwt.encode({"iss": key, "nbf": now - 600, "exp": now + expires, "sha256": signed} | claims, secret)


def send(message: dict[str, Any] | bytes, *, authorization: str | None = None, **signing: Any) -> int:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    headers = {"Authorization": token(body, **signing) if authorization is None else authorization}
    client = Client(enforce_csrf_checks=True)
    return client.post("/livekit/webhook/", body, "application/webhook+json", headers=headers).status_code


class TestWhoIsBelieved:
    def test_the_server_that_signs_with_our_key(self) -> None:
        assert send(event("room_started")) == 200

    @pytest.mark.parametrize(
        "signing",
        [
            {"secret": "another secret of some thirty letters"},
            {"key": "otherkey"},
            {"expires": -120},
            {"sha256": base64.b64encode(b"x" * 32).decode()},
            {"sha256": "not base64 at all!"},
            {"sha256": None},
            {"authorization": ""},
            {"authorization": "Bearer nothing"},
        ],
        ids=str,
    )
    def test_nobody_else_and_nobody_late(self, signing: dict[str, Any]) -> None:
        assert send(event("participant_left"), **signing) == 401
        assert not Call.objects.exists()

    def test_a_body_that_was_changed_on_the_way_is_refused(self) -> None:
        signed = token(json.dumps(event("participant_left")).encode())
        assert send(event("participant_left", room="dental-other"), authorization=signed) == 401

    def test_a_token_without_an_end_is_refused(self) -> None:
        body = json.dumps(event("participant_left")).encode()
        endless = jwt.encode(
            {"iss": KEY, "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode()}, SECRET
        )
        assert send(body, authorization=endless) == 401

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"\xff\xfe",
            b"[]",
            b"{}",
            b'"event"',
            b'{"room": 7}',
            b'{"event": "x", "createdAt": "99999999999999"}',
        ],
    )
    def test_what_nobody_can_read_is_malformed(self, body: bytes) -> None:
        assert send(body) == 400

    def test_events_and_fields_of_later_servers_are_taken_and_left(self) -> None:
        assert send(event("something_new") | {"novelty": {"a": 1}}) == 200

    def test_it_is_no_page_to_read(self) -> None:
        assert Client().get("/livekit/webhook/").status_code == 405

    def test_without_a_livekit_server_it_is_not_there(self, settings: Any) -> None:
        settings.LIVEKIT = type(settings.LIVEKIT).model_construct(url=None)
        assert send(event("participant_left")) == 404


class TestACallerWhoLeaves:
    def test_before_an_agent_came_is_a_missed_call(self, line: PhoneLine) -> None:
        assert send(event("participant_left")) == 200
        call = Call.objects.get()
        assert (call.outcome, call.line, call.caller_number) == ("missed", line, "+12025550123")
        assert (call.started_at, call.ended_at) == (NOW - timedelta(seconds=12), NOW)
        assert call.origin == "phone"
        assert list(Call.objects.unanswered()) == [call]

    def test_is_told_twice_and_is_one_call(self) -> None:
        send(event("participant_left"))
        send(event("participant_left"))
        assert Call.objects.count() == 1

    def test_may_be_told_before_it_is_told_that_they_came(self) -> None:
        for name in ("room_finished", "participant_left", "participant_joined", "room_started"):
            assert send(event(name)) == 200
        assert Call.objects.get().outcome == "missed"

    def test_whose_call_is_on_record_changes_nothing(self, line: PhoneLine) -> None:
        call = make_call(line.clinic, NOW, line=line, room=ROOM, outcome="", ended_at=None)
        send(event("participant_left"))
        assert Call.objects.get() == call
        assert Call.objects.get().outcome == ""

    def test_and_was_answered_as_is_known_later_is_no_missed_call(self, line: PhoneLine) -> None:
        send(event("participant_left"))
        started = uuid7(NOW)
        write_records(
            [CallStarted(started, NOW, line.clinic_id, line.pk, None, "phone", "", "en", False, room=ROOM)]
        )
        assert [call.pk for call in Call.objects.all()] == [started]

    def test_with_a_withheld_number_is_on_record_without_one(self) -> None:
        send(event("participant_left", attributes={"sip.phoneNumber": "anonymous"}))
        assert Call.objects.get().caller_number == ""

    @pytest.mark.parametrize("other", [{"kind": "AGENT"}, {"kind": "EGRESS"}, {"room": "somebody-elses"}])
    def test_and_is_no_caller_of_ours_is_none_of_our_business(self, other: dict[str, str]) -> None:
        send(event("participant_left", **other))
        assert not Call.objects.exists()


class TestARoomThatIsClosed:
    @pytest.fixture
    def watched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhooks, "undisturbed", lambda now: True)

    def running(self, line: PhoneLine, *, heartbeat: datetime) -> Call:
        fields: dict[str, Any] = {
            "outcome": "",
            "ended_at": None,
            "heartbeat_at": heartbeat,
            "served": "nothing",
        }
        return make_call(line.clinic, NOW - timedelta(minutes=2), line=line, room=ROOM, **fields)

    @pytest.mark.usefixtures("watched")
    def test_ends_the_call_of_a_dead_agent_when_it_really_ended(self, line: PhoneLine) -> None:
        call = self.running(line, heartbeat=NOW - timedelta(seconds=20))
        send(event("room_finished"))
        call.refresh_from_db()
        assert (call.outcome, call.ended_at) == ("failed", NOW)

    @pytest.mark.usefixtures("watched")
    def test_leaves_the_last_word_to_an_agent_that_lives(self, line: PhoneLine) -> None:
        call = self.running(line, heartbeat=NOW - timedelta(seconds=3))
        send(event("room_finished"))
        call.refresh_from_db()
        assert call.outcome == ""

    def test_ends_nothing_while_an_outage_may_be_why_nobody_wrote(self, line: PhoneLine) -> None:
        call = self.running(line, heartbeat=NOW - timedelta(seconds=20))
        send(event("room_finished"))
        call.refresh_from_db()
        assert call.outcome == ""


class TestACallThatAPersonTook:
    """It goes on without an agent, until one of the two hangs up."""

    @pytest.fixture
    def server(self, monkeypatch: pytest.MonkeyPatch) -> FakeLiveKit:
        server = FakeLiveKit()
        monkeypatch.setattr(LiveKit, "delete_room", server.delete_room)
        server.open_room(ROOM, NOW)
        return server

    @pytest.fixture
    def call(self, line: PhoneLine) -> Call:
        return make_call(
            line.clinic,
            NOW - timedelta(minutes=2),
            line=line,
            room=ROOM,
            outcome="transferred",
            ended_at=None,
        )

    PERSON: ClassVar = {"identity": "person_1", "attributes": {"clinic.person": "true"}}

    @pytest.mark.parametrize("who", [{}, PERSON], ids=["caller", "person"])
    def test_ends_when_one_of_the_two_hangs_up_and_the_other_hears_the_line_close(
        self, server: FakeLiveKit, call: Call, who: dict[str, Any]
    ) -> None:
        send(event("participant_left", **who))
        call.refresh_from_db()
        assert (call.outcome, call.ended_at) == ("transferred", NOW)
        assert ROOM not in server.rooms

    def test_goes_on_when_the_agent_leaves(self, server: FakeLiveKit, call: Call) -> None:
        send(event("participant_left", kind="AGENT"))
        call.refresh_from_db()
        assert call.ended_at is None
        assert ROOM in server.rooms

    def test_ends_once_whoever_tells_it_and_has_one_last_line(self, server: FakeLiveKit, call: Call) -> None:
        send(event("participant_left"))
        send(event("room_finished", at=NOW + timedelta(seconds=3)))
        send(event("participant_left", at=NOW + timedelta(seconds=5)))
        call.refresh_from_db()
        assert call.ended_at == NOW
        ended = call.events.get()
        assert (ended.kind, ended.data["outcome"], ended.data["duration"]) == ("ended", "transferred", 120.0)

    def test_ends_with_its_room(self, call: Call) -> None:
        send(event("room_finished"))
        call.refresh_from_db()
        assert call.ended_at == NOW

    def test_ends_although_the_server_cannot_close_the_room_now(
        self, monkeypatch: pytest.MonkeyPatch, server: FakeLiveKit, call: Call
    ) -> None:
        server.trouble["delete_room"] = LiveKitUnreachable("The LiveKit server does not answer.")
        assert send(event("participant_left")) == 200
        call.refresh_from_db()
        assert call.ended_at == NOW

    def test_a_person_who_did_not_take_it_is_no_missed_call(self, line: PhoneLine) -> None:
        send(event("participant_left", **self.PERSON))
        assert not Call.objects.exists()
