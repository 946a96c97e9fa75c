"""A sound that does not get to its storage is told by name: on the first page, and once by mail."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.models import Clinic
from clinic.roles import Role
from phone.late_sounds import LATE, TOLD_FOR, alerts_about_late_sounds, tell_of_late_sounds
from phone.models import Recording
from tests.phone.keeping import NOW, member_of, record_sound
from tests.phone.office import make_call, make_clinic

pytestmark = pytest.mark.django_db

State = Recording.State


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def clinic() -> Clinic:
    clinic = make_clinic()
    clinic.office_email = "office@river.example"
    clinic.save()
    return clinic


def a_sound(clinic: Clinic, ended_at: datetime | None, **fields: Any) -> Recording:
    """A recording of a call that ended then, or runs."""
    began = (ended_at or NOW) - timedelta(minutes=3)
    outcome = "completed" if ended_at else ""
    call = make_call(clinic, began, ended_at=ended_at, outcome=outcome)
    return record_sound(call, consent=None, **({"state": State.WAITING} | fields))


@pytest.mark.parametrize("state", [State.WAITING, State.RUNNING])
def test_a_sound_that_is_late_is_named(clinic: Clinic, state: str) -> None:
    a_sound(clinic, NOW - LATE - timedelta(seconds=1), state=state, kind=Recording.Kind.VOICEMAIL)
    (alert,) = alerts_about_late_sounds(now=NOW)
    assert "Voicemail of" in alert
    assert str(clinic) in alert
    assert "2 hours" in alert


def test_nothing_is_told_of_what_is_in_time_stored_over_or_long_lost(clinic: Clinic) -> None:
    late = NOW - LATE - timedelta(seconds=1)
    a_sound(clinic, NOW - LATE + timedelta(seconds=1))
    a_sound(clinic, None, state=State.RUNNING)
    for state in (State.STORED, State.EMPTY, State.DELETING, State.DELETED):
        a_sound(clinic, late, state=state)
    a_sound(clinic, NOW - TOLD_FOR - timedelta(seconds=1))
    assert alerts_about_late_sounds(now=NOW) == []
    assert tell_of_late_sounds(now=NOW) == 0


def test_of_many_a_few_are_named_and_the_others_counted(clinic: Clinic) -> None:
    for hours in range(3, 13):
        a_sound(clinic, NOW - timedelta(hours=hours))
    (alert,) = alerts_about_late_sounds(now=NOW)
    assert alert.count("Recorded call of") == 6
    assert "and 4 more" in alert


def test_each_clinic_gets_one_mail_about_its_own(clinic: Clinic) -> None:
    other = make_clinic(name="Other", slug="other")
    other.office_email = "office@other.example"
    other.save()
    for each in (clinic, clinic, other):
        a_sound(each, NOW - timedelta(hours=3))
    assert tell_of_late_sounds(now=NOW) == 2
    assert {to for sent in mail.outbox for to in sent.to} == {"office@river.example", "office@other.example"}
    assert sorted(sent.body.count("Recorded call of") for sent in mail.outbox) == [1, 2]
    assert tell_of_late_sounds(now=NOW + timedelta(minutes=5)) == 0
    a_sound(clinic, NOW - timedelta(hours=2.5))
    assert tell_of_late_sounds(now=NOW + timedelta(minutes=10)) == 1
    assert mail.outbox[-1].body.count("Recorded call of") == 1


def test_a_mail_that_fails_is_sent_by_the_next_run(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> int:
        raise ConnectionRefusedError

    a_sound(clinic, NOW - timedelta(hours=3))
    with monkeypatch.context() as patched:
        patched.setattr("phone.line_mail.send_mail", away)
        assert tell_of_late_sounds(now=NOW) == 0
    assert tell_of_late_sounds(now=NOW) == 1


def test_the_first_page_tells_until_the_sound_is_stored(clinic: Clinic, client: Client) -> None:
    client.force_login(member_of(Role.MANAGER))
    sound = a_sound(clinic, timezone.now() - timedelta(hours=3))
    page = reverse("admin:index")
    assert "have not got to their storage" in client.get(page).content.decode()
    Recording.objects.filter(pk=sound.pk).update(state=State.STORED)
    assert "have not got to their storage" not in client.get(page).content.decode()
