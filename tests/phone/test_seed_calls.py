"""The demo gets a past: plausible, quickly, and without touching anything that is there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db.models import Count, F
from django.utils import timezone

from clinic.demo import DEMO_CLINIC
from clinic.models import Clinic, Patient
from phone.models import Call, CallEvent, ConsentRecord, KeypadEntry, Request
from phone.publishing import publish
from tests.phone.clinics import a_clinic
from tests.phone.office import make_call

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    clinic = a_clinic(slug=DEMO_CLINIC)
    publish(clinic.pk)
    return clinic


def fingerprint() -> list[Any]:
    return list(Call.objects.order_by("pk").values_list("pk", "outcome", "started_at", "ended_at"))


@time_machine.travel(datetime(2026, 11, 18, 15, tzinfo=UTC))
def test_adds_calls_of_the_past_that_hang_together(clinic: Clinic) -> None:
    Patient.objects.create(clinic=clinic, name="Ann", id_ciphertext=b"x", id_key="k", id_hmac="h")
    call_command("seed_calls", calls=400, seed=2)
    calls = Call.objects.filter(origin="seed", clinic=clinic)
    assert calls.count() == 400
    assert not calls.exclude(ended_at__gte=F("started_at")).exists()
    assert not calls.filter(started_at__gt=timezone.now()).exists()
    assert calls.filter(after_hours=False).count() > 250 > calls.filter(after_hours=True).count() > 0
    assert calls.values("started_at__date").distinct().count() > 30
    assert set(calls.values_list("outcome", flat=True)) >= {"completed", "request_taken", "caller_hung_up"}
    assert set(calls.filter(outcome="request_taken").values_list("served", flat=True)) == {"request"}
    assert calls.filter(patient__isnull=False).exists()
    # Each timeline is whole: from `call` to `ended`, numbered without a gap.
    for call in calls.annotate(lines=Count("events"))[:50]:
        kinds = [event.kind for event in call.events.all()]
        assert (kinds[0], kinds[-1]) == ("call", "ended")
        assert [event.seq for event in call.events.all()] == list(range(1, call.lines + 1))
    assert CallEvent.objects.filter(kind="menu", data__option="office hours").exists()
    assert ConsentRecord.objects.exclude(wording="").exists()
    assert set(KeypadEntry.objects.filter(step="patient_id").values_list("digits", flat=True)) <= {"", "••••"}
    assert Request.objects.open().exists()
    assert Request.objects.done().exists()
    assert not Request.objects.unannounced().exists()


def test_the_same_seed_makes_the_same_calls_and_stores_them_once(clinic: Clinic) -> None:
    call_command("seed_calls", calls=40, seed=7)
    first, events = fingerprint(), CallEvent.objects.count()
    call_command("seed_calls", calls=40, seed=7)
    assert (fingerprint(), CallEvent.objects.count()) == (first, events)
    call_command("seed_calls", calls=40)
    assert Call.objects.count() == 80


def test_touches_nothing_that_is_there(clinic: Clinic) -> None:
    call = make_call(clinic)
    before = Call.objects.filter(pk=call.pk).values().get()
    call_command("seed_calls", calls=20)
    assert Call.objects.filter(pk=call.pk).values().get() == before


def test_production_refuses(clinic: Clinic, settings: Any) -> None:
    settings.DEMO = False
    with pytest.raises(CommandError, match="production system; nothing was added"):
        call_command("seed_calls", calls=1)
    assert not Call.objects.exists()


def test_without_the_demo_clinic_it_says_what_to_do_first(db: None) -> None:
    with pytest.raises(CommandError, match="seed_demo” first"):
        call_command("seed_calls", calls=1)


@pytest.mark.parametrize("nonsense", ["many", "0", "-3"])
def test_a_number_that_is_none_is_explained(nonsense: str) -> None:
    with pytest.raises(CommandError, match="should be a whole number"):
        call_command("seed_calls", f"--calls={nonsense}")
