"""Celery tasks that need speech. The phone, which does not know the worker, sends them by name."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from agent_worker.speech import prompt_store
from phone.publishing import live_plans, plan_of_version


@shared_task(name="agent_worker.tasks.render_prompts")
def render_prompts(version_id: int) -> int:
    """Render what calls on this plan version can need, and forget clips that no clinic's calls use any more.

    Sent when a version is published. Returns how many clips it has; 0 where the version is gone.
    """
    plan = plan_of_version(version_id)
    if plan is None:
        return 0
    store = prompt_store(settings.DATA_DIR / "prompts")
    try:
        clips = store.render(plan)
        for loaded in live_plans():
            # A worker that shares them reads them once, however long it runs: they are in use all the same.
            store.render(loaded.plan)
        store.forget_unused()
        return clips
    finally:
        store.close()
