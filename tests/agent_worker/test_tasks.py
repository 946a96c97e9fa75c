"""Background work that needs speech."""

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
def test_a_version_that_is_gone_is_left_alone(prompts: Path) -> None:
    assert render_prompts(0) == 0
    assert not prompts.exists()
