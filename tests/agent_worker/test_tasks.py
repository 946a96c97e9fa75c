"""Background work that needs speech."""

from pathlib import Path

import celery
import pytest

from phone.publishing import RENDER_PROMPTS, publish
from tests.phone.clinics import a_clinic


@pytest.fixture
def prompts(settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path / "prompts"


@pytest.mark.django_db
def test_a_published_plan_is_spoken_ahead_of_calls(prompts: Path) -> None:
    version = publish(a_clinic().pk)
    task = celery.current_app.tasks[RENDER_PROMPTS]
    clips = task(version.pk)
    files = [path for path in prompts.glob("*/*") if path.is_file()]
    assert bool(clips) == bool(files)
    assert task(version.pk) == clips


@pytest.mark.django_db
def test_a_version_that_is_gone_is_left_alone(prompts: Path) -> None:
    assert celery.current_app.tasks[RENDER_PROMPTS](0) == 0
    assert not prompts.exists()
