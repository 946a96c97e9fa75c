"""What the “Ready?” page says is red or green, who may tick, and the alert about lines without keys."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group as Role
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic import crypto
from clinic.models import Clinic
from clinic.tasks import sign_of_life
from phone import readiness as page
from phone.keys_heard import (
    CALLS_IN_A_ROW,
    TELEPHONE_KEYS,
    keys_heard,
    lines_without_keys,
    tell_of_lines_without_keys,
)
from phone.livekit_api import LiveKitUnreachable
from phone.models import Call, Confirmation, LineCheck, PhoneLine
from phone.publishing import publish
from phone.readiness import Check, readiness
from phone.signs import WEBHOOK_TAKEN, WORKER_READY
from tests.phone.clinics import a_clinic
from tests.phone.livekit import FakeLiveKit
from tests.phone.office import add_event, make_call, make_staff

pytestmark = pytest.mark.django_db

NOW = timezone.now()
READY = reverse("admin:phone_confirmation_changelist")


@pytest.fixture
def clinic() -> Clinic:
    return a_clinic(number="+12125550142")


@pytest.fixture
def line(clinic: Clinic) -> PhoneLine:
    return clinic.phone_lines.get()


def telephone_call(line: PhoneLine, *keys: str, minutes: int = 0, **fields: Any) -> Call:
    """An answered call on `line`, that many minutes ago, in which the caller pressed `keys`."""
    at = NOW - timedelta(minutes=minutes)
    call = make_call(line.clinic, at, line=line, origin=Call.Origin.PHONE, **fields)
    for key in keys:
        add_event(call, "key", step="menu", key=key)
    return call


def check(title: str, *, secure: bool = True) -> Check:
    """The one line of the page whose title begins so."""
    checks = [each for group in readiness(now=timezone.now(), secure=secure) for each in group.checks]
    (found,) = [each for each in checks if each.title.startswith(title)]
    return found


class TestTheClinic:
    def test_without_a_clinic_the_page_says_how_to_make_one(self) -> None:
        assert "setup_clinic" in check("A clinic is set up").todo

    def test_a_clinic_is_ready_once_its_plan_is_live(self, clinic: Clinic) -> None:
        assert not check("Callers of River Clinic").ready
        publish(clinic.pk)
        assert check("Callers of River Clinic").ready


class TestTheTelephone:
    @pytest.fixture
    def at_livekit(self, monkeypatch: pytest.MonkeyPatch, settings: Any) -> FakeLiveKit:
        cache.clear()
        return FakeLiveKit().install(monkeypatch, settings, "phone.line_sync")

    def test_an_unreachable_server_is_told_in_the_words_of_the_client(
        self, line: PhoneLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unreachable() -> None:
            raise LiveKitUnreachable("The LiveKit server at ws://x does not answer.")

        monkeypatch.setattr(page, "lines_at_server", unreachable)
        found = check("The LiveKit server answers")
        assert not found.ready
        assert "does not answer" in found.found

    def test_without_a_server_it_is_red(self, line: PhoneLine) -> None:
        assert "LIVEKIT_URL" in check("The LiveKit server answers").found

    def test_a_worker_is_missed_as_soon_as_it_gives_no_more_signs(
        self, line: PhoneLine, at_livekit: FakeLiveKit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "python -m agent_worker" in check("A worker is ready").todo
        WORKER_READY.give()
        assert check("A worker is ready").ready
        monkeypatch.setattr(page, "WORKER_SIGNS_EVERY", timedelta(0))
        assert "0 minutes ago" in check("A worker is ready").found

    def test_webhooks_are_missed_until_the_first_one_comes(
        self, line: PhoneLine, at_livekit: FakeLiveKit
    ) -> None:
        assert "CLINIC_ALLOWED_HOSTS" in check("LiveKit's webhooks").todo
        WEBHOOK_TAKEN.give()
        assert check("LiveKit's webhooks").ready

    def test_webhooks_are_missed_again_when_calls_end_without_one(
        self, line: PhoneLine, at_livekit: FakeLiveKit
    ) -> None:
        WEBHOOK_TAKEN.give()
        told = telephone_call(line, minutes=30, room="dental-1")
        assert check("LiveKit's webhooks").ready
        Call.objects.filter(pk=told.pk).update(ended_at=timezone.now() + timedelta(minutes=5))
        assert "since the last calls" in check("LiveKit's webhooks").found

    def test_without_redis_neither_workers_nor_webhooks_are_known(
        self, line: PhoneLine, at_livekit: FakeLiveKit, settings: Any, unused_tcp_port: int
    ) -> None:
        away = f"redis://127.0.0.1:{unused_tcp_port}/0"
        settings.CACHES = {
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": away}
        }
        for title in ("A worker is ready", "LiveKit's webhooks"):
            assert check(title).found == "Without Redis nobody knows."

    def test_an_inbound_call_turns_its_line_green(self, line: PhoneLine) -> None:
        assert not check("A call came in on +1 212-555-0142").ready
        make_call(line.clinic, NOW, line=line, origin=Call.Origin.BROWSER)
        telephone_call(line, outcome=Call.Outcome.BUSY)
        assert not check("A call came in on").ready
        telephone_call(line)
        assert check("A call came in on").ready

    def test_every_one_of_the_twelve_keys_has_to_be_heard(self, line: PhoneLine) -> None:
        telephone_call(line, *"12345", minutes=9)
        telephone_call(line, *"67890*")
        found = check("All twelve keys")
        assert not found.ready
        assert "main menu: #." in found.todo
        assert "several calls" in found.todo
        telephone_call(line, "#")
        assert check("All twelve keys").ready
        assert keys_heard(line) == set(TELEPHONE_KEYS)

    def test_a_line_check_that_passed_has_heard_them(self, line: PhoneLine) -> None:
        faulty, passed = LineCheck.State.FAULTY, LineCheck.State.PASSED
        LineCheck.objects.create(line=line, started_at=NOW - timedelta(hours=1), state=faulty)
        assert not check("All twelve keys").ready
        LineCheck.objects.create(line=line, started_at=NOW, state=passed)
        assert check("All twelve keys").ready

    def test_keys_of_a_patient_id_and_of_other_lines_do_not_count(self, line: PhoneLine) -> None:
        other = PhoneLine.objects.create(clinic=line.clinic, number="+12125550143")
        telephone_call(other, *TELEPHONE_KEYS)
        telephone_call(line, "•")
        assert keys_heard(line) == set()


class TestThisSystem:
    def test_the_demo_is_no_system_for_real_callers(self) -> None:
        assert "demo" in check("The settings").found

    def test_a_page_that_came_in_the_clear_is_red(self, settings: Any) -> None:
        settings.SESSION_COOKIE_SECURE = True
        assert check("These pages are encrypted").ready
        assert not check("These pages are encrypted", secure=False).ready

    def test_printed_mail_is_lost_mail(self, settings: Any) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
        assert "CLINIC_SMTP_URL" in check("Mail can be sent").todo

    def test_a_mail_server_that_does_not_answer_is_red(self, settings: Any, unused_tcp_port: int) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", unused_tcp_port
        assert "ConnectionRefusedError" in check("Mail can be sent").found

    def test_the_database_is_green_where_it_is_postgresql(self) -> None:
        assert check("The database").ready is (connection.vendor == "postgresql")

    def test_no_redis_and_a_redis_that_is_away_are_red(self, settings: Any, unused_tcp_port: int) -> None:
        assert "There is no Redis" in check("Redis answers").found
        settings.REDIS_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
        assert "does not answer" in check("Redis answers").found

    def test_background_work_is_green_as_long_as_it_gives_signs_of_life(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache.clear()
        assert "no sign of it" in check("Background work").found
        sign_of_life()
        assert check("Background work").ready
        monkeypatch.setattr(page, "BACKGROUND_WORK_EVERY", timedelta(0))
        assert not check("Background work").ready


class TestTicks:
    def tick(self, browser: Client, subject: str, done_on: str, note: str = "") -> str:
        address = reverse("admin:phone_confirmation_confirm", args=[subject])
        response = browser.post(address, {"done_on": done_on, "note": note}, follow=True)
        return response.content.decode()

    @pytest.fixture
    def manager(self, client: Client) -> Client:
        client.force_login(make_staff("mia", "view_confirmation", "add_confirmation"))
        return client

    def test_staff_vouch_for_what_no_program_sees(self, manager: Client) -> None:
        done_on = NOW.date() - timedelta(days=2)
        shown = self.tick(manager, "carrier_fallback", done_on.isoformat(), "rings the mobile of the dentist")
        assert "written down" in shown
        assert "rings the mobile of the dentist" in shown
        found = check("The carrier knows")
        assert found.ready
        assert "says mia" in found.found

    def test_a_day_that_is_yet_to_come_is_refused(self, manager: Client) -> None:
        shown = self.tick(manager, "restore_tried", (NOW.date() + timedelta(days=3)).isoformat())
        assert "yet to come" in shown
        assert not Confirmation.objects.exists()

    def test_a_day_is_needed(self, manager: Client) -> None:
        assert "Enter the day" in self.tick(manager, "restore_tried", "")

    def test_what_nobody_knows_is_not_found(self, manager: Client) -> None:
        address = reverse("admin:phone_confirmation_confirm", args=["moon-phase"])
        assert manager.post(address, {"done_on": "2026-01-01"}).status_code == 404

    def test_whoever_may_only_look_cannot_tick(self, client: Client) -> None:
        client.force_login(make_staff("rita", "view_confirmation"))
        assert "Done on" not in client.get(READY).content.decode()
        address = reverse("admin:phone_confirmation_confirm", args=["restore_tried"])
        assert client.post(address, {"done_on": "2026-01-01"}).status_code == 403

    def test_a_restore_counts_for_a_year(self) -> None:
        Confirmation.objects.create(subject="restore_tried", done_on=NOW.date() - timedelta(days=400))
        found = check("A restore was tried")
        assert not found.ready
        assert "more than a year ago" in found.found

    def test_a_key_that_was_added_needs_a_new_backup(self) -> None:
        crypto.ensure_key_file()
        Confirmation.objects.create(subject="keys_backed_up", done_on=NOW.date())
        assert check("The keys are backed up").ready
        later = timezone.now().timestamp() + 60
        Path(crypto.key_file()).touch()
        os.utime(crypto.key_file(), (later, later))
        assert "has changed since" in check("The keys are backed up").found


class TestThePage:
    def test_says_red_and_green_in_words(self, client: Client, line: PhoneLine) -> None:
        client.force_login(make_staff("rita", "view_confirmation"))
        shown = client.get(READY).content.decode()
        assert "Not ready:" in shown
        assert "still need somebody" in shown
        assert "+1 212-555-0142" in shown

    def test_is_closed_to_those_who_may_not_look(self, client: Client) -> None:
        client.force_login(make_staff("otto", "view_call"))
        assert client.get(READY).status_code == 403

    def test_every_role_may_look_and_two_may_tick(self) -> None:
        may = {
            role.name
            for role in Role.objects.filter(permissions__codename="add_confirmation").order_by("name")
        }
        assert may == {"Administrator", "Manager"}
        assert Role.objects.filter(permissions__codename="view_confirmation").count() == 4


class TestALineWithoutKeys:
    @pytest.fixture
    def silent(self, line: PhoneLine) -> PhoneLine:
        Clinic.objects.update(office_email="office@river.example")
        for minutes in range(CALLS_IN_A_ROW):
            telephone_call(line, minutes=minutes)
        return line

    def test_twenty_calls_in_a_row_raise_the_alert_and_nineteen_do_not(self, silent: PhoneLine) -> None:
        assert lines_without_keys() == [silent]
        Call.objects.first().delete()
        assert lines_without_keys() == []

    def test_one_key_among_them_is_enough(self, silent: PhoneLine) -> None:
        telephone_call(silent, "•")
        assert lines_without_keys() == []

    def test_calls_that_were_never_answered_or_still_run_do_not_count(self, silent: PhoneLine) -> None:
        Call.objects.filter(pk=Call.objects.first().pk).update(outcome=Call.Outcome.BUSY)
        telephone_call(silent, minutes=-1, outcome="", ended_at=None)
        assert lines_without_keys() == []

    def test_calls_of_browsers_neither_raise_nor_end_it(self, silent: PhoneLine) -> None:
        add_event(make_call(silent.clinic, NOW, line=silent), "key", step="menu", key="1")
        assert lines_without_keys() == [silent]

    def test_a_line_that_is_switched_off_is_left_alone(self, silent: PhoneLine) -> None:
        PhoneLine.objects.update(enabled=False)
        assert lines_without_keys() == []

    def test_the_office_and_administrators_get_one_mail(self, silent: PhoneLine) -> None:
        admin = make_staff("ada")
        admin.email = "ada@river.example"
        admin.save()
        admin.groups.add(Role.objects.get(name="Administrator"))
        assert tell_of_lines_without_keys(now=NOW) == 1
        assert tell_of_lines_without_keys(now=NOW + timedelta(minutes=5)) == 0
        (sent,) = mail.outbox
        assert sent.to == ["ada@river.example", "office@river.example"]
        assert "RFC 4733" in sent.body
        assert "+1 212-555-0142" in sent.body

    def test_a_mail_that_fails_is_tried_again(
        self, silent: PhoneLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: object) -> int:
            raise ConnectionRefusedError

        with monkeypatch.context() as patched:
            patched.setattr("phone.line_mail.send_mail", away)
            assert tell_of_lines_without_keys(now=NOW) == 0
        assert tell_of_lines_without_keys(now=NOW) == 1

    def test_keys_that_came_back_and_went_again_are_told_again(self, silent: PhoneLine) -> None:
        tell_of_lines_without_keys(now=NOW)
        pressed = telephone_call(silent, "1", minutes=-1)
        tell_of_lines_without_keys(now=NOW)
        pressed.delete()
        assert tell_of_lines_without_keys(now=NOW) == 1

    def test_the_admin_shows_it_on_its_first_page_and_under_ready(
        self, client: Client, silent: PhoneLine
    ) -> None:
        client.force_login(make_staff("rita", "view_confirmation", "view_call"))
        assert "without a single key" in client.get(reverse("admin:index")).content.decode()
        assert "without a single key" in client.get(READY).content.decode()

    def test_the_look_costs_two_queries_however_many_calls_there_are(
        self, silent: PhoneLine, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(2):
            lines_without_keys()
