"""Line checks as the office meets them: begun once, ended in any case, told when they go wrong, shown key by key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.models import Clinic
from phone.line_check import SEQUENCE, SLOW_SECONDS, SPACINGS, Press, schedule
from phone.line_checks import (
    AGAIN_AFTER,
    alert_about_check,
    begin_check,
    begin_due_checks,
    check_progress,
    checks_that_alert,
    tell_of_checks,
    why_not,
)
from phone.livekit_api import LiveKitUnreachable
from phone.models import Call, LineCheck, PhoneLine
from phone.readiness import readiness
from phone.room_lines import CHECK_ROOM, line_of_room
from phone.services import (
    call_missed,
    is_test_call,
    line_check_answer,
    line_check_end,
    line_check_end_overdue,
    line_check_finish,
    line_check_heard,
    line_check_start,
    line_check_take,
)
from phone.services.line_checks import LONGEST, NO_WORKER, TAKEN_WITHIN, WORKER_DIED
from phone.tasks import check_lines
from tests.phone.clinics import a_clinic
from tests.phone.livekit import FakeLiveKit, a_telephone
from tests.phone.office import make_staff

pytestmark = pytest.mark.django_db

NOW = timezone.now()
NUMBER = "+12125550142"
State = LineCheck.State
SENT = list(schedule(SPACINGS))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, settings: Any) -> FakeLiveKit:
    return FakeLiveKit().install(monkeypatch, settings, "phone.line_checks", "phone.line_sync")


@pytest.fixture
def line(server: FakeLiveKit) -> PhoneLine:
    line = a_clinic(number=NUMBER).phone_lines.get()
    Clinic.objects.update(time_zone="America/New_York", office_email="office@river.example")
    PhoneLine.objects.update(outbound_address="sip.example.com", outbound_trunk_id="ST_out")
    line.refresh_from_db()
    return line


def arriving(presses: list[Press], *, latency: float = 0.12) -> list[Press]:
    return [Press(press.key, press.at + latency) for press in presses]


def run(line: PhoneLine, heard: list[Press], *, at: datetime = NOW, cut_off: bool = False) -> LineCheck:
    """A whole check of this line, in which `heard` arrives."""
    check = begin_check(line, now=at)
    assert check and line_check_take(check=check.pk, now=at)
    assert line_check_answer(number=NUMBER, busy=False, now=at)
    line_check_heard(check=check.pk, heard=heard)
    line_check_finish(check=check.pk, sent=SENT, cut_off=cut_off, now=at + timedelta(seconds=40))
    check.refresh_from_db()
    return check


class TestBeginning:
    def test_a_worker_is_sent_into_a_room_of_the_checks_own(
        self, line: PhoneLine, server: FakeLiveKit
    ) -> None:
        check = begin_check(line, now=NOW)
        assert check is not None
        ((room, order),) = server.dispatched
        assert order == {"kind": "line_check", "check": str(check.pk)}
        line.room_prefix = "line"
        assert line_of_room(room, [line]) is None

    def test_a_second_one_waits_until_the_first_is_over(self, line: PhoneLine, server: FakeLiveKit) -> None:
        check = begin_check(line, now=NOW)
        assert check and begin_check(line, now=NOW) is None
        line_check_end(check=check.pk, state=State.FAILED, sentence="No.", now=NOW)
        assert begin_check(line, now=NOW)
        assert len(server.dispatched) == 2

    @pytest.mark.django_db(transaction=True)
    def test_two_that_begin_at_once_make_one(self, line: PhoneLine) -> None:
        begun: list[LineCheck | None] = []

        def press() -> None:
            begun.append(line_check_start(line=line, now=NOW))
            connection.close()

        pressing = [threading.Thread(target=press) for _ in range(4)]
        for thread in pressing:
            thread.start()
        for thread in pressing:
            thread.join()
        assert len([check for check in begun if check]) == LineCheck.objects.count() == 1

    def test_a_server_that_is_away_ends_it_at_once_with_its_sentence(
        self, line: PhoneLine, server: FakeLiveKit
    ) -> None:
        server.trouble["dispatch_agent"] = LiveKitUnreachable("The LiveKit server does not answer.")
        check = begin_check(line, now=NOW)
        assert check and (check.state, check.sentence) == (
            State.FAILED,
            "The LiveKit server does not answer.",
        )

    def test_a_line_that_cannot_call_itself_says_why(self, line: PhoneLine, settings: Any) -> None:
        assert why_not(line) == ""
        line.outbound_trunk_id = ""
        assert "Bring LiveKit in step" in why_not(line)
        line.outbound_address = ""
        assert "no way out" in why_not(line)
        line.enabled = False
        assert "switched off" in why_not(line)
        settings.LIVEKIT = settings.LIVEKIT.model_copy(update={"url": None})
        assert "no LiveKit server" in why_not(line)


class TestTheCall:
    def test_one_job_makes_it(self, line: PhoneLine) -> None:
        check = begin_check(line, now=NOW)
        assert check
        order = line_check_take(check=check.pk, now=NOW)
        assert order and (order.number, order.trunk_id) == (NUMBER, "ST_out")
        assert line_check_take(check=check.pk, now=NOW) is None

    def test_a_call_is_no_test_call_before_a_worker_makes_one_or_when_the_check_is_over(
        self, line: PhoneLine
    ) -> None:
        assert line_check_answer(number=NUMBER, busy=False, now=NOW) is None
        check = begin_check(line, now=NOW)
        assert check and line_check_answer(number=NUMBER, busy=False, now=NOW) is None
        line_check_take(check=check.pk, now=NOW)
        assert line_check_answer(number=NUMBER, busy=False, now=NOW + LONGEST) is None
        assert line_check_answer(number="+12125550143", busy=False, now=NOW) is None
        line_check_end(check=check.pk, state=State.FAILED, sentence="No.", now=NOW)
        assert line_check_answer(number=NUMBER, busy=False, now=NOW) is None

    def test_the_first_call_is_it_and_a_second_one_is_not(self, line: PhoneLine) -> None:
        check = begin_check(line, now=NOW)
        assert check and line_check_take(check=check.pk, now=NOW)
        first = line_check_answer(number=NUMBER, busy=False, now=NOW)
        second = line_check_answer(number=NUMBER, busy=False, now=NOW)
        assert first and first.ours and first.check == check.pk
        assert second and not second.ours

    def test_a_call_that_finds_all_lines_busy_puts_the_check_off(self, line: PhoneLine) -> None:
        check = begin_check(line, now=NOW)
        assert check and line_check_take(check=check.pk, now=NOW)
        answered = line_check_answer(number=NUMBER, busy=True, now=NOW)
        assert answered and not answered.ours
        check.refresh_from_db()
        assert (check.state, check.sentence) == (State.PUT_OFF, "All lines were busy.")
        assert checks_that_alert() == []

    def test_what_arrived_is_told_once(self, line: PhoneLine) -> None:
        check = begin_check(line, now=NOW)
        assert check and not check_progress(check.pk).told
        line_check_heard(check=check.pk, heard=[])
        line_check_heard(check=check.pk, heard=[Press("1", 1.0)])
        check.refresh_from_db()
        assert check.heard == []
        assert check_progress(check.pk).told

    def test_it_cannot_finish_before_anybody_has_told_what_arrived(self, line: PhoneLine) -> None:
        check = begin_check(line, now=NOW)
        assert check and not line_check_finish(check=check.pk, sent=SENT, cut_off=False, now=NOW)
        assert check_progress(check.pk).running

    def test_a_missed_test_call_is_no_missed_call_and_those_before_and_after_are(
        self, line: PhoneLine, server: FakeLiveKit
    ) -> None:
        check = begin_check(line, now=NOW)
        assert check
        for seconds, missed in ((-5, True), (5, False)):
            at = NOW + timedelta(seconds=seconds)
            room = server.open_room(f"clinic-_{seconds}", at)
            told = call_missed(
                line=line,
                room=room,
                caller=a_telephone(at, NUMBER, NUMBER),
                caller_number=NUMBER,
                ended_at=at + timedelta(seconds=20),
            )
            assert told == missed
        assert Call.objects.count() == 1
        assert not is_test_call(line=line, caller="+12025550123", at=NOW + timedelta(seconds=5))
        line_check_end(check=check.pk, state=State.FAILED, sentence="No.", now=NOW + timedelta(seconds=30))
        assert not is_test_call(line=line, caller=NUMBER, at=NOW + timedelta(seconds=90))


class TestTheEnd:
    def test_a_line_in_order_passes(self, line: PhoneLine) -> None:
        check = run(line, arriving(SENT))
        assert (check.state, check.sentence, check.found) == (State.PASSED, "", [])
        assert {round(arrival.latency or 9, 3) for arrival in check.arrivals()} == {0.12}
        assert checks_that_alert() == []

    def test_a_faulty_line_is_told_with_its_key(self, line: PhoneLine) -> None:
        heard = arriving(SENT)
        del heard[4]
        check = run(line, heard)
        assert check.state == State.FAULTY
        assert "Key 6 did not arrive (round 1)." in alert_about_check(check)

    def test_a_long_list_of_findings_is_cut_to_a_number(self, line: PhoneLine) -> None:
        assert "And 30 more." in alert_about_check(run(line, []))

    def test_a_call_that_was_cut_off_has_not_passed(self, line: PhoneLine) -> None:
        check = begin_check(line, now=NOW)
        assert check
        line_check_heard(check=check.pk, heard=arriving(SENT[:7]))
        line_check_finish(check=check.pk, sent=SENT[:7], cut_off=True, now=NOW)
        check.refresh_from_db()
        assert (check.state, check.sentence) == (State.FAILED, "The test call was cut off after 7 keys.")

    @pytest.mark.parametrize(
        ("take", "after", "sentence"),
        [(False, TAKEN_WITHIN, NO_WORKER), (True, LONGEST, WORKER_DIED)],
        ids=["no worker", "dead worker"],
    )
    def test_a_check_without_its_worker_ends_by_itself(
        self, line: PhoneLine, take: bool, after: timedelta, sentence: str
    ) -> None:
        check = begin_check(line, now=NOW)
        assert check and bool(take and line_check_take(check=check.pk, now=NOW)) == take
        assert line_check_end_overdue(now=NOW + after) == 0
        assert line_check_end_overdue(now=NOW + after + timedelta(seconds=1)) == 1
        check.refresh_from_db()
        assert (check.state, check.sentence) == (State.FAILED, sentence)
        assert not line_check_finish(check=check.pk, sent=SENT, cut_off=False, now=NOW)

    def test_the_next_one_ends_it_too(self, line: PhoneLine) -> None:
        first = begin_check(line, now=NOW)
        assert first and begin_check(line, now=NOW + LONGEST * 2)
        first.refresh_from_db()
        assert first.state == State.FAILED


class TestTheDaysTime:
    def due(self, line: PhoneLine, local: str) -> bool:
        """Whether a check begins when New York's clocks show this."""
        at = datetime.fromisoformat(local)
        return begin_due_checks(now=at) == 1

    def at(self, line: PhoneLine, hour: int, minute: int = 0) -> None:
        PhoneLine.objects.update(line_check_at=time(hour, minute))

    def end(self, state: LineCheck.State) -> None:
        for check in LineCheck.objects.filter(state=State.RUNNING):
            line_check_end(check=check.pk, state=state, sentence="", now=NOW)

    def test_it_is_by_the_clinics_clock_and_once_a_day(self, line: PhoneLine) -> None:
        self.at(line, 3)
        assert not self.due(line, "2026-11-23T02:59:59-05:00")
        assert self.due(line, "2026-11-23T03:00:20-05:00")
        self.end(State.PASSED)
        assert not self.due(line, "2026-11-23T03:01:20-05:00")
        assert self.due(line, "2026-11-24T03:00:20-05:00")

    @pytest.mark.parametrize(
        ("day", "hour"), [("2026-03-08", 2), ("2026-11-01", 1)], ids=["no such time", "twice that time"]
    )
    def test_on_the_days_when_the_clock_changes_it_is_once_too(
        self, line: PhoneLine, day: str, hour: int
    ) -> None:
        self.at(line, hour, 30)
        begun = 0
        midnight = datetime.fromisoformat(f"{day}T05:00:00+00:00")
        for minutes in range(0, 6 * 60, 5):
            begun += begin_due_checks(now=midnight + timedelta(minutes=minutes))
            self.end(State.PASSED)
        assert begun == 1

    def test_a_machine_that_was_off_at_that_time_does_not_make_up_for_it_at_noon(
        self, line: PhoneLine
    ) -> None:
        self.at(line, 3)
        assert not self.due(line, "2026-11-23T12:00:00-05:00")

    def test_the_hour_in_which_it_may_begin_reaches_past_midnight(self, line: PhoneLine) -> None:
        self.at(line, 23, 30)
        assert self.due(line, "2026-11-24T00:10:00-05:00")

    def test_one_that_found_all_lines_busy_is_tried_again_after_a_while(self, line: PhoneLine) -> None:
        self.at(line, 3)
        first = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
        assert begin_due_checks(now=first) == 1
        self.end(State.PUT_OFF)
        assert begin_due_checks(now=first + AGAIN_AFTER - timedelta(minutes=1)) == 0
        assert begin_due_checks(now=first + AGAIN_AFTER + timedelta(minutes=1)) == 1

    def test_a_check_by_hand_does_not_replace_it(self, line: PhoneLine) -> None:
        self.at(line, 3)
        user = User.objects.create_user("ada")
        check = begin_check(line, now=datetime(2026, 11, 23, 8, 0, tzinfo=UTC), user=user)
        assert check and not check.scheduled
        self.end(State.PASSED)
        assert self.due(line, "2026-11-23T03:05:00-05:00")

    def test_a_line_without_a_way_out_or_switched_off_is_left_alone(self, line: PhoneLine) -> None:
        self.at(line, 3)
        PhoneLine.objects.update(outbound_address="", outbound_trunk_id="")
        assert not self.due(line, "2026-11-23T03:00:00-05:00")
        PhoneLine.objects.update(
            outbound_address="sip.example.com", outbound_trunk_id="ST_out", enabled=False
        )
        assert not self.due(line, "2026-11-23T03:00:00-05:00")

    def test_somebody_looks_every_minute(self, line: PhoneLine, settings: Any) -> None:
        task = next(
            each for each in settings.CELERY_BEAT_SCHEDULE.values() if each["task"] == check_lines.name
        )
        assert task["schedule"] <= 60
        local = timezone.now().astimezone(timezone.get_fixed_timezone(0))
        Clinic.objects.update(time_zone="UTC")
        PhoneLine.objects.update(line_check_at=local.time().replace(microsecond=0))
        assert check_lines() == 1


class TestTelling:
    def test_the_office_and_the_administrators_get_one_mail_until_a_check_passes(
        self, line: PhoneLine
    ) -> None:
        broken = arriving(SENT)
        del broken[0]
        run(line, broken)
        assert tell_of_checks(now=NOW) == 1
        (sent,) = mail.outbox
        assert sent.to == ["office@river.example"]
        assert "Key 1 did not arrive" in sent.body
        assert reverse("admin:phone_line_checks", args=(line.pk,)) in sent.body
        run(line, broken, at=NOW + timedelta(days=1))
        assert tell_of_checks(now=NOW) == 0
        run(line, arriving(SENT), at=NOW + timedelta(days=2))
        assert tell_of_checks(now=NOW) == 0
        run(line, broken, at=NOW + timedelta(days=3))
        assert tell_of_checks(now=NOW) == 1

    def test_a_mail_that_fails_is_tried_again(self, line: PhoneLine, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: object) -> int:
            raise ConnectionRefusedError

        run(line, [])
        with monkeypatch.context() as patched:
            patched.setattr("phone.line_mail.send_mail", away)
            assert tell_of_checks(now=NOW) == 0
        assert tell_of_checks(now=NOW) == 1

    def test_a_call_that_nobody_took_is_told_too(self, line: PhoneLine) -> None:
        check = begin_check(line, now=NOW)
        assert check
        line_check_end(check=check.pk, state=State.FAILED, sentence="The line was busy.", now=NOW)
        (told,) = checks_that_alert()
        assert "The line was busy." in alert_about_check(told)

    def test_one_that_runs_or_was_put_off_does_not_hide_the_one_before(self, line: PhoneLine) -> None:
        run(line, [])
        check = begin_check(line, now=NOW + timedelta(minutes=5))
        assert check and len(checks_that_alert()) == 1
        line_check_end(check=check.pk, state=State.PUT_OFF, sentence="", now=NOW)
        assert len(checks_that_alert()) == 1

    def test_a_line_that_is_switched_off_alerts_nobody(self, line: PhoneLine) -> None:
        run(line, [])
        PhoneLine.objects.update(enabled=False)
        assert checks_that_alert() == []


class TestThePages:
    @pytest.fixture
    def client_of(self) -> Callable[..., Client]:
        def client_of(*permissions: str) -> Client:
            client = Client()
            client.force_login(make_staff("-".join(permissions) or "nobody", "view_phoneline", *permissions))
            return client

        return client_of

    def page(self, line: PhoneLine) -> str:
        return reverse("admin:phone_line_checks", args=(line.pk,))

    def button(self, line: PhoneLine) -> str:
        return reverse("admin:phone_line_check", args=(line.pk,))

    def test_the_button_begins_a_check_in_the_name_of_who_pressed_it(
        self, line: PhoneLine, client_of: Callable[..., Client]
    ) -> None:
        manager = client_of("view_linecheck", "add_linecheck")
        assert "Check this line" in manager.get(self.page(line)).content.decode()
        page = manager.post(self.button(line), follow=True).content.decode()
        assert "The line calls itself now." in page
        check = LineCheck.objects.get()
        assert check.started_by and check.started_by.username == "view_linecheck-add_linecheck"
        assert "checked already" in manager.post(self.button(line), follow=True).content.decode()

    def test_whoever_may_only_look_has_no_button(
        self, line: PhoneLine, client_of: Callable[..., Client]
    ) -> None:
        receptionist = client_of("view_linecheck")
        assert "Check this line" not in receptionist.get(self.page(line)).content.decode()
        assert receptionist.post(self.button(line)).status_code == 403
        assert client_of("add_linecheck", "view_linecheck").get(self.button(line)).status_code == 405
        stranger = client_of()
        for name in ("phone_line_checks", "phone_line_check_last"):
            assert stranger.get(reverse(f"admin:{name}", args=(line.pk,))).status_code == 403
        assert stranger.get(reverse("admin:phone_lines_checked")).status_code == 403
        listed = stranger.get(reverse("admin:phone_phoneline_changelist")).content.decode()
        assert "calls itself" not in listed
        assert not LineCheck.objects.exists()

    def test_a_line_without_a_way_out_says_so_in_place_of_the_button(
        self, line: PhoneLine, client_of: Callable[..., Client]
    ) -> None:
        PhoneLine.objects.update(outbound_address="", outbound_trunk_id="")
        manager = client_of("view_linecheck", "add_linecheck")
        listed = manager.get(reverse("admin:phone_phoneline_changelist")).content.decode()
        for page in (listed, manager.get(self.page(line)).content.decode()):
            assert "The line has no way out" in page
            assert "Check this line" not in page
        assert "The line has no way out" in manager.post(self.button(line), follow=True).content.decode()

    def test_a_server_that_is_away_is_told_on_the_page(
        self, line: PhoneLine, server: FakeLiveKit, client_of: Callable[..., Client]
    ) -> None:
        server.trouble["dispatch_agent"] = LiveKitUnreachable("The LiveKit server does not answer.")
        manager = client_of("view_linecheck", "add_linecheck")
        assert "does not answer" in manager.post(self.button(line), follow=True).content.decode()

    def test_every_key_of_every_round_has_its_place(
        self, line: PhoneLine, client_of: Callable[..., Client]
    ) -> None:
        heard = arriving(SENT)
        heard[-1] = Press(heard[-1].key, heard[-1].at + SLOW_SECONDS)
        del heard[len(SEQUENCE)]
        run(line, heard)
        page = client_of("view_linecheck").get(self.page(line)).content.decode()
        assert page.count("1120 slow") == page.count("lost\n") == 1
        assert page.count("120\n") == 3 * len(SEQUENCE) - 2
        for words in (
            "Keys went wrong",
            "Key 1 did not arrive (round 2).",
            "Key 7 took 1.1 seconds (round 3).",
        ):
            assert words in page

    def test_a_check_whose_worker_died_is_over_when_somebody_looks(
        self, line: PhoneLine, client_of: Callable[..., Client]
    ) -> None:
        begin_check(line, now=NOW - LONGEST * 2)
        assert NO_WORKER.split(":")[0] in client_of("view_linecheck").get(self.page(line)).content.decode()

    def test_the_first_page_and_ready_tell_of_a_line_whose_check_went_wrong(
        self, line: PhoneLine, client_of: Callable[..., Client]
    ) -> None:
        office = client_of("view_call", "view_confirmation")

        def pages() -> list[str]:
            names = ("admin:index", "admin:phone_confirmation_changelist")
            return [office.get(reverse(name)).content.decode() for name in names]

        run(line, [])
        assert all("found that keys go wrong" in page for page in pages())
        run(line, arriving(SENT), at=NOW + timedelta(minutes=2))
        assert not any("found that keys go wrong" in page for page in pages())

    def test_ready_asks_for_a_first_check(self, line: PhoneLine) -> None:
        checks = [each for group in readiness(now=NOW, secure=True) for each in group.checks]
        (found,) = [each for each in checks if "calls itself" in each.title]
        assert (found.ready, found.found) == (False, "It was not checked yet.")


def test_a_checks_room_is_named_after_no_line() -> None:
    assert line_of_room(f"{CHECK_ROOM}abc", [PhoneLine(room_prefix="l")]) is None
