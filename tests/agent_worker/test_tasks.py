"""Background work that needs speech."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from agent_worker.tasks import render_prompts
from phone.publishing import RENDER_PROMPTS, publish
from tests.phone.clinics import a_clinic


@pytest.fixture
def prompts(settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path / "prompts"


def test_the_phone_sends_it_by_its_name() -> None:
    assert render_prompts.name == RENDER_PROMPTS


@pytest.mark.django_db
@pytest.mark.any_database
def test_a_published_plan_is_spoken_ahead_of_calls(prompts: Path) -> None:
    version = publish(a_clinic().pk)
    clips = render_prompts(version.pk)
    files = [path for path in prompts.glob("*/*") if path.is_file()]
    assert bool(clips) == bool(files)
    assert render_prompts(version.pk) == clips


@pytest.mark.django_db
@pytest.mark.any_database
def test_clips_of_another_clinic_stay_though_no_call_has_read_them_for_long(prompts: Path) -> None:
    version, other = publish(a_clinic().pk), publish(a_clinic("lake", "+15550101").pk)
    render_prompts(other.pk)
    long_ago = time.time() - timedelta(days=100).total_seconds()
    kept = [path for path in prompts.glob("*/*") if path.is_file()]
    for path in kept:
        os.utime(path, (long_ago, long_ago))
    forgotten = prompts / "00" / "of-a-sentence-since-changed.pcm"
    forgotten.parent.mkdir(parents=True, exist_ok=True)
    forgotten.write_bytes(b"")
    os.utime(forgotten, (long_ago, long_ago))
    render_prompts(version.pk)
    assert [path for path in kept if not path.exists()] == []
    assert not forgotten.exists()


@pytest.mark.django_db
def test_a_version_that_is_gone_is_left_alone(prompts: Path) -> None:
    assert render_prompts(0) == 0
    assert not prompts.exists()
