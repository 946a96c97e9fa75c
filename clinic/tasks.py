"""What proves that background work is done: a task that does nothing but say so."""

from __future__ import annotations

from celery import shared_task

from clinic.signs_of_life import SignOfLife

BACKGROUND_WORK = SignOfLife("background-work")


@shared_task(name="clinic.tasks.sign_of_life")
def sign_of_life() -> None:
    """Remember that the schedule sent this task, and that a worker took it. Run it every 30 seconds."""
    BACKGROUND_WORK.give()
