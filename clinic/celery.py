"""The Celery app: `celery -A clinic worker` and `… beat`. On one machine: `clinic.background`."""

from __future__ import annotations

import os
import threading

from celery import Celery
from celery.signals import beat_init, celeryd_init
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
if not settings.configured:
    # This is a Celery process: it does one thing at a time, and the threads of a pool do not survive its forks.
    os.environ.setdefault("CLINIC_DATABASE_POOL", "false")

app = Celery("clinic")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["agent_worker"])


@celeryd_init.connect
@beat_init.connect
def needs_a_broker(**_: object) -> None:
    """Raise SystemExit where a Celery process of its own would wait for work that can never reach it."""
    embedded = threading.current_thread() is not threading.main_thread()
    if app.conf.broker_url.startswith("memory:") and not embedded:
        raise SystemExit(
            "REDIS_URL is not set. Without Redis, background work runs inside the web process (manage.py serve), "
            "and a Celery process of its own has nothing to do."
        )
