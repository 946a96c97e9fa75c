"""Background work inside the web process: a Celery worker and its clock, for a broker in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery.beat import EmbeddedService, Scheduler
from celery.worker import WorkController, state

from clinic.celery import app

STOP_SECONDS = 3.0


class _Worker(WorkController):
    def __init__(self) -> None:
        self.ready = threading.Event()
        super().__init__(
            app=app, pool_cls="solo", without_heartbeat=True, without_mingle=True, without_gossip=True
        )

    def on_consumer_ready(self, consumer: object) -> None:
        self.ready.set()


@contextmanager
def background_work() -> Iterator[None]:
    """Run tasks and the schedule in threads of this process; at the end a running task gets `STOP_SECONDS`.

    The threads do not outlive the process, and nothing waits for them when they are idle.
    """
    state.should_stop = None
    worker = _Worker()
    thread = threading.Thread(target=worker.start, name="background-work", daemon=True)
    thread.start()
    worker.ready.wait()
    clock = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
    clock.start()
    try:
        yield
    finally:
        clock.service.stop()
        # The worker looks at this between two tasks, every other second; 0 becomes its exit code.
        state.should_stop = 0
        deadline = time.monotonic() + STOP_SECONDS
        while state.active_requests and time.monotonic() < deadline:
            thread.join(0.05)
