"""What is done before processes are forked: plans and their prompts are there when a call comes."""

import threading

import pytest
from django.db import OperationalError

from agent_worker import pcm
from agent_worker.prompts import PromptStore
from agent_worker.rehearsal import rehearse
from phone.models import Call, PlanVersion
from phone.publishing import live_plan_of, publish
from phone.wording import say
from tests.phone.clinics import a_clinic


class Whisper:
    """A voice that is done at once."""

    name = "whisper"

    def render(self, text: str, language: str) -> bytes:
        return b"\0\1" * (pcm.SAMPLE_RATE // 10)


@pytest.fixture
def prompts(tmp_path):
    store = PromptStore(tmp_path, local=Whisper())
    yield store
    store.close()


@pytest.mark.django_db
@pytest.mark.any_database
def test_every_clinic_s_prompts_are_in_memory_before_a_call(prompts: PromptStore) -> None:
    clinics = [a_clinic("river"), a_clinic("lake", "+15550101")]
    plans = []
    for clinic in clinics:
        publish(clinic.pk)
        loaded = live_plan_of(clinic.pk)
        assert loaded
        prompts.render(loaded.plan)
        plans.append(loaded.plan)
    rehearse(prompts)
    for plan in plans:
        assert prompts.seconds(say(plan, "greeting", "en"), "en") == pytest.approx(0.1)


@pytest.mark.django_db
@pytest.mark.any_database
def test_the_call_that_is_rehearsed_leaves_no_record_and_no_thread(prompts: PromptStore) -> None:
    publish(a_clinic().pk)
    before = set(threading.enumerate())
    rehearse(prompts)
    assert not Call.objects.exists()
    # A thread would be missing in each process that is forked.
    assert set(threading.enumerate()) == before


@pytest.mark.django_db
@pytest.mark.any_database
def test_a_plan_that_this_release_cannot_read_keeps_no_other_from_being_rehearsed(
    prompts: PromptStore, caplog: pytest.LogCaptureFixture
) -> None:
    too_old = publish(a_clinic("river").pk)
    PlanVersion.objects.filter(pk=too_old.pk).update(content={"menus": "of long ago"})
    clinic = a_clinic("lake", "+15550101")
    publish(clinic.pk)
    plan = live_plan_of(clinic.pk).plan
    prompts.render(plan)
    rehearse(prompts)
    assert prompts.seconds(say(plan, "greeting", "en"), "en") == pytest.approx(0.1)
    assert f"the live plan of clinic {too_old.clinic_id} cannot be read" in caplog.text


@pytest.mark.django_db
def test_a_rehearsal_that_fails_keeps_no_process_from_starting(
    prompts: PromptStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish(a_clinic().pk)
    monkeypatch.setattr("agent_worker.rehearsal.simulate", None)
    rehearse(prompts)
    assert "a call could not be rehearsed" in caplog.text


def test_a_database_that_is_away_keeps_no_process_from_starting(
    prompts: PromptStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> None:
        raise OperationalError

    monkeypatch.setattr("agent_worker.rehearsal.live_plans", away)
    rehearse(prompts)
    assert "No plan could be read ahead of calls (OperationalError)" in caplog.text
