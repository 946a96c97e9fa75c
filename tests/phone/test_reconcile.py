"""Calls whose agents died, callers whom nobody answers, and outages that only look like it."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone

from agent_worker.resuming import ResumeOrder, resume_order
from phone import tasks
from phone.livekit_api import LiveKitRefused, LiveKitUnreachable, Participant
from phone.models import Call, ConsentRecord, PhoneLine
from phone.publishing import publish
from phone.reconcile import AGENTS_AT_MOST, ROOMS_AT_MOST, Reconciled, reconcile
from phone.records import CallEnded, Heartbeat
from phone.resuming import resumable
from phone.services import call_end_stale, write_records
from tests.phone.clinics import a_clinic
from tests.phone.livekit import FakeLiveKit, a_person, a_telephone, an_agent
from tests.phone.office import make_call, make_request

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, settings: Any) -> FakeLiveKit:
    cache.clear()
    return FakeLiveKit().install(monkeypatch, settings, "phone.reconcile")


@pytest.fixture
def line() -> PhoneLine:
    clinic = a_clinic()
    publish(clinic.pk)
    return clinic.phone_lines.get()


@pytest.fixture
def office(server: FakeLiveKit, line: PhoneLine) -> Office:
    return Office(server, line)


class Office:
    """A clinic with calls in rooms."""

    def __init__(self, server: FakeLiveKit, line: PhoneLine) -> None:
        self.server, self.line = server, line
        self.calls = 0

    def call(self, *, heart: float, room: bool = True, agent: bool = True, **fields: Any) -> Call:
        """A running call whose agent wrote so many seconds ago."""
        self.calls += 1
        name = f"clinic-_{self.calls}"
        wanted = {
            "outcome": "",
            "ended_at": None,
            "served": "nothing",
            "heartbeat_at": ago(heart),
            "room": name,
        }
        version = self.line.clinic.plan_versions.get()
        call = make_call(self.line.clinic, ago(60), line=self.line, plan_version=version, **(wanted | fields))
        if room:
            inside = [a_telephone(ago(60)), *([an_agent(ago(60))] if agent else [])]
            self.server.open_room(name, ago(60), *inside)
        return call

    def reconcile(self, *, at: datetime = NOW, watched: float = 60) -> Reconciled:
        """One run, after so many seconds of watching."""
        cache.set("reconcile:watched", (at - timedelta(seconds=watched), at - timedelta(seconds=3)))
        return reconcile(now=at)


def seen(call: Call) -> Call:
    return Call.objects.get(pk=call.pk)


class TestADeadAgent:
    def test_is_followed_by_another_one(self, office: Office) -> None:
        office.call(heart=2)
        dead = office.call(heart=9)
        assert office.reconcile().resumed == 1
        assert office.server.dispatched == [(dead.room, {"resume": str(dead.pk), "epoch": 2})]
        assert [each.kind for each in office.server.inside[dead.room]] == ["sip"]
        assert (seen(dead).epoch, seen(dead).outcome) == (2, "")

    def test_who_may_only_be_slow_is_left_alone(self, office: Office) -> None:
        office.call(heart=2)
        office.call(heart=7)
        assert office.reconcile().acted == 0

    def test_of_the_only_call_is_followed_too(self, office: Office) -> None:
        office.call(heart=9)
        assert office.reconcile().resumed == 1

    def test_gets_one_follower_whoever_looks(self, office: Office) -> None:
        office.call(heart=2)
        office.call(heart=9)
        office.reconcile()
        assert office.reconcile(at=NOW + timedelta(seconds=3)).resumed == 0

    def test_whose_follower_does_not_come_has_its_room_closed(self, office: Office) -> None:
        office.call(heart=2)
        dead = office.call(heart=9)
        office.reconcile()
        Call.objects.exclude(pk=dead.pk).update(heartbeat_at=NOW + timedelta(seconds=9))
        office.reconcile(at=NOW + timedelta(seconds=9))
        assert dead.room not in office.server.rooms
        assert seen(dead).outcome == "failed"

    def test_whose_follower_cannot_be_sent_has_its_room_closed(self, office: Office) -> None:
        office.call(heart=2)
        dead = office.call(heart=9)
        office.server.trouble["dispatch_agent"] = LiveKitRefused("LiveKit says: no.", "internal")
        office.reconcile()
        assert dead.room not in office.server.rooms
        assert seen(dead).outcome == "failed"

    def test_is_not_followed_for_ever(self, office: Office) -> None:
        office.call(heart=2)
        dead = office.call(heart=9, epoch=AGENTS_AT_MOST)
        office.reconcile()
        assert office.server.dispatched == []
        assert (dead.room in office.server.rooms, seen(dead).outcome) == (False, "failed")

    def test_whose_caller_has_left_has_its_room_closed(self, office: Office) -> None:
        office.call(heart=2)
        dead = office.call(heart=9)
        office.server.inside[dead.room] = [an_agent(ago(60))]
        office.reconcile()
        assert (dead.room in office.server.rooms, seen(dead).outcome) == (False, "failed")

    def test_whose_room_is_gone_gets_its_final_row(self, office: Office) -> None:
        dead = office.call(heart=9, room=False)
        make_request(dead)
        assert office.reconcile().ended == 1
        ended = seen(dead)
        assert (ended.outcome, ended.served, ended.ended_at) == ("failed", "request", dead.heartbeat_at)

    def test_on_a_line_without_rooms_is_somebody_elses_business(self, office: Office) -> None:
        dead = office.call(heart=20)
        Call.objects.filter(pk=dead.pk).update(room="")
        assert office.reconcile().acted == 0

    def test_many_of_them_do_not_make_a_run_endless(self, office: Office) -> None:
        office.call(heart=2)
        for _ in range(ROOMS_AT_MOST + 5):
            office.call(heart=9)
        assert office.reconcile().resumed == ROOMS_AT_MOST


class TestAnOutage:
    def test_in_which_all_hearts_are_still_looks_not_like_so_many_deaths(self, office: Office) -> None:
        for _ in range(5):
            office.call(heart=40)
        done = office.reconcile()
        assert (done.acted, done.waiting) == (0, 5)

    def test_after_which_the_agents_are_gone_was_none(self, office: Office) -> None:
        for _ in range(3):
            office.call(heart=25, agent=False)
        assert office.reconcile().resumed == 3

    @pytest.mark.parametrize("watched", [0, 10])
    def test_that_has_just_ended_leaves_workers_time_to_write(self, office: Office, watched: float) -> None:
        office.call(heart=2)
        office.call(heart=40, room=False)
        office.call(heart=40)
        assert office.reconcile(watched=watched).acted == 0

    def test_of_our_own_starts_the_watch_anew(self, office: Office) -> None:
        office.call(heart=9)
        office.reconcile(at=NOW - timedelta(seconds=60))
        assert reconcile(now=NOW).acted == 0

    def test_of_the_server_is_logged_and_nothing_is_touched(
        self, office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        dead = office.call(heart=40, room=False)
        office.server.trouble["list_rooms"] = LiveKitUnreachable("The LiveKit server does not answer.")
        assert tasks.reconcile_rooms() == 0
        assert "does not answer" in caplog.text
        assert seen(dead).outcome == ""

    def test_does_not_make_the_other_task_end_calls_in_rooms(self, office: Office) -> None:
        office.call(heart=120)
        assert call_end_stale(now=NOW) == 0

    def test_that_never_ends_does_not_keep_calls_running_for_ever(self, office: Office) -> None:
        office.call(heart=16 * 60)
        assert call_end_stale(now=NOW) == 1


class TestACallerWhomNobodyAnswers:
    def test_becomes_a_missed_call_and_hears_the_line_close(self, office: Office) -> None:
        office.server.open_room("clinic-_new", ago(26), a_telephone(ago(26)))
        assert office.reconcile().missed == 1
        call = Call.objects.get()
        assert (call.outcome, call.caller_number, call.line) == ("missed", "+12025550123", office.line)
        assert office.server.rooms == {}

    def test_may_ring_for_a_while(self, office: Office) -> None:
        office.server.open_room("clinic-_new", ago(20), a_telephone(ago(20)))
        assert office.reconcile().acted == 0

    def test_is_not_one_to_whom_an_agent_has_come(self, office: Office) -> None:
        office.server.open_room("clinic-_new", ago(60), a_telephone(ago(60)), an_agent(ago(60)))
        assert office.reconcile().acted == 0

    def test_in_somebody_elses_room_is_not_ours(self, office: Office) -> None:
        office.server.open_room("conference", ago(600), a_telephone(ago(600)))
        assert office.reconcile().acted == 0
        assert "conference" in office.server.rooms

    def test_after_the_call_is_over_hears_the_line_close(self, office: Office) -> None:
        call = office.call(heart=20, outcome="completed", ended_at=ago(20))
        office.reconcile()
        assert (call.room in office.server.rooms, seen(call).outcome) == (False, "completed")

    def test_and_was_transferred_stays_with_whom_they_talk_to(self, office: Office) -> None:
        call = office.call(heart=20, agent=False, outcome="transferred", ended_at=None)
        office.server.inside[call.room].append(a_person(ago(30)))
        office.reconcile()
        assert call.room in office.server.rooms
        assert seen(call).ended_at is None

    @pytest.mark.parametrize("left", [a_telephone(ago(60)), a_person(ago(30))], ids=["caller", "person"])
    def test_and_is_alone_after_a_talk_hears_the_line_close(self, office: Office, left: Participant) -> None:
        call = office.call(heart=20, agent=False, outcome="transferred", ended_at=None)
        office.server.inside[call.room] = [left]
        office.reconcile()
        assert call.room not in office.server.rooms
        assert seen(call).ended_at == NOW
        assert seen(call).outcome == "transferred"

    def test_a_talk_whose_room_is_gone_is_over(self, office: Office) -> None:
        call = office.call(heart=20, room=False, outcome="transferred", ended_at=None)
        office.reconcile()
        assert seen(call).ended_at == NOW

    def test_who_was_rung_by_an_agent_that_died_is_hung_up_on_and_is_no_caller(self, office: Office) -> None:
        call = office.call(heart=20)
        office.server.inside[call.room].append(a_person(ago(30)))
        office.reconcile()
        assert [each.identity for each in office.server.inside[call.room]] == ["sip_+12025550123"]
        assert seen(call).epoch == 2

    def test_whose_caller_is_gone_is_closed_with_the_person_in_it(self, office: Office) -> None:
        call = office.call(heart=20)
        office.server.inside[call.room] = [a_person(ago(30)), an_agent(ago(60))]
        office.reconcile()
        assert call.room not in office.server.rooms
        assert seen(call).outcome == "failed"


class TestTheOlderAgent:
    def test_neither_ends_the_call_nor_keeps_its_heart_beating(self, office: Office) -> None:
        call = office.call(heart=1, epoch=2)
        write_records([Heartbeat(call.pk, NOW), CallEnded(call.pk, NOW, "caller_hung_up", "nothing", "menu")])
        assert (seen(call).outcome, seen(call).heartbeat_at) == ("", call.heartbeat_at)

    def test_is_told_apart_from_the_one_that_has_the_call(self, office: Office) -> None:
        call = office.call(heart=1, epoch=2)
        write_records(
            [Heartbeat(call.pk, NOW, 2), CallEnded(call.pk, NOW, "completed", "nothing", "menu", 2)]
        )
        assert (seen(call).outcome, seen(call).heartbeat_at) == ("completed", NOW)


class TestWhatTheNextAgentFinds:
    def consent(self, call: Call, decision: str, *, covers: bool) -> None:
        ConsentRecord.objects.create(
            id=call.pk,
            call=call,
            decision=decision,
            how="keypad",
            language="en",
            answered_at=NOW,
            covers_transcript=covers,
            covers_outside_processing=covers,
        )

    def test_is_the_consent_that_was_given(self, office: Office) -> None:
        call = office.call(heart=1, epoch=2, language="es")
        self.consent(call, "given", covers=True)
        found = resumable(call.pk, 2)
        assert found
        assert (found.consent, found.transcript_allowed, found.outside_allowed) == ("given", True, True)
        assert (found.language, found.loaded.number) == ("es", "+15550100")

    def test_is_no_permission_where_nobody_was_asked(self, office: Office) -> None:
        found = resumable(office.call(heart=1, epoch=2).pk, 2)
        assert found
        assert (found.consent, found.transcript_allowed, found.outside_allowed) == ("", False, False)

    def test_is_what_the_caller_left_so_far(self, office: Office) -> None:
        call = office.call(heart=1, epoch=2)
        request = make_request(call)
        found = resumable(call.pk, 2)
        assert found
        assert [(each.id, each.number) for each in found.requests] == [(request.pk, "+12025550123")]

    def test_is_nothing_once_the_call_is_over_or_another_agents(self, office: Office) -> None:
        assert resumable(office.call(heart=1, outcome="failed", epoch=2).pk, 2) is None
        assert resumable(office.call(heart=1, epoch=3).pk, 2) is None

    def test_stands_in_its_orders(self, office: Office) -> None:
        call = office.call(heart=1)
        assert resume_order(f'{{"resume": "{call.pk}", "epoch": 2}}') == ResumeOrder(call.pk, 2)
        for nothing in ("", "{}", "hello", "[]", '{"resume": 7, "epoch": 2}'):
            assert resume_order(nothing) is None


def test_the_counters_are_there_for_prometheus(office: Office) -> None:
    office.call(heart=9)
    office.reconcile()
    out = StringIO()
    call_command("metrics", stdout=out)
    assert "\nclinic_phone_reconcile_resumed_total 1\n" in out.getvalue()
    assert "# TYPE clinic_phone_webhooks_refused_total counter" in out.getvalue()


def test_without_a_livekit_server_there_is_nothing_to_do() -> None:
    assert reconcile(now=NOW) == Reconciled()
