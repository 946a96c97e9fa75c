"""The worker: `python -m agent_worker`. Answers the calls that livekit-server hands out, one process each.

SIGTERM or Ctrl-C drains: live calls finish, no new ones come. A second one ends live calls with a goodbye.
"""

from __future__ import annotations

import asyncio
import logging
import math
import multiprocessing
import os
import signal
import sys

import aiohttp
from django.db import InterfaceError, OperationalError
from livekit.agents import AgentServer, JobRequest

from agent_worker.database import has_tables, in_database
from agent_worker.entrypoint import SAY_GOODBYE, SPEECH, answer_room, prepare
from agent_worker.load import Switchboard
from agent_worker.signs import give_signs_of_life
from agent_worker.speech import log_providers
from agent_worker.standby import Standby
from agent_worker.storing import store_recordings
from agent_worker.worker_settings import WorkerEnvironment, read_worker_environment
from phone.livekit_settings import AGENT_NAME, LiveKitEnvironment, read_livekit_environment
from phone.spool import store_left_behind

log = logging.getLogger("agent_worker")

GOODBYE_SECONDS = 5.0
"""How long live calls have for their last words."""

LEFT_BEHIND_SECONDS = 5.0
"""How often to look for records that a job process of this machine could not store before it ended."""

STARTS_SECONDS = 60.0
"""How long a job process may take to become ready: on a busy machine the first ones wait for the code to load."""

NEVER_GIVE_UP = sys.maxsize
"""livekit-server may be away for as long as it likes: live calls do not need the worker's connection to it."""

HEAPS = "2"
"""Heaps of each job process, at most. glibc gives each of its many threads one, which costs each call 1 MB."""

JOB_PROCESS = "job_proc"
"""What livekit-agents names its job processes."""


def main() -> None:
    """Run the worker until it is told to stop. Exits with a sentence where it cannot start."""
    livekit = read_livekit_environment()
    if not livekit.configured:
        raise SystemExit("LIVEKIT_URL is not set: the worker answers calls on a LiveKit server.")
    settings = read_worker_environment()
    log_providers(SPEECH)
    os.environ.setdefault("MALLOC_ARENA_MAX", HEAPS)
    if not has_tables():
        raise SystemExit(
            "The database has no tables of this system: is DATABASE_URL right, and was “python manage.py migrate” run?"
        )
    server = make_server(livekit, settings)
    logging.getLogger("livekit.agents").addFilter(ConnectionTrouble(str(livekit.url), server))
    try:
        asyncio.run(run(server))
    except OSError as error:
        raise SystemExit(f"WORKER_HOST, WORKER_PORT: cannot listen there: {error.strerror}.") from None


def make_server(livekit: LiveKitEnvironment, settings: WorkerEnvironment) -> AgentServer:
    """The worker's side of livekit-server, as the environment wants it."""
    server = AgentServer(
        ws_url=livekit.server,
        api_key=livekit.api_key,
        api_secret=livekit.api_secret.get_secret_value(),
        host=settings.host,
        port=settings.port,
        prometheus_port=settings.metrics_port,
        drain_timeout=settings.drain_seconds,
        num_idle_processes=settings.warm,
        initialize_process_timeout=STARTS_SECONDS,
        load_threshold=math.inf,
        max_retry=NEVER_GIVE_UP,
        # It would walk through the page tables of each process every few seconds, which costs more than it tells.
        job_memory_warn_mb=0,
        multiprocessing_context="forkserver",
        preload_modules=["agent_worker.forkserver"],
        setup_fnc=prepare,
    )
    switchboard = Switchboard(server, lines=settings.calls)
    server.load_fnc = switchboard.load
    standby = Standby(server, processes=settings.warm)

    async def offered(request: JobRequest) -> None:
        standby.a_call_comes()
        await switchboard.take(request)

    server.rtc_session(answer_room, agent_name=AGENT_NAME, on_request=offered)
    set_well(server, False)
    server.on("worker_registered", lambda *_: set_well(server, True))
    return server


def set_well(server: AgentServer, well: bool) -> None:
    """Have the health page say whether livekit-server can reach this worker: without that it answers nobody."""
    # The library says so only once it has given up, which this worker never does.
    server._connection_failed = not well


def takes_calls(server: AgentServer) -> bool:
    """Whether livekit-server can reach this worker, which was not told to stop."""
    return not (server._connection_failed or server.draining)


async def run(server: AgentServer) -> None:
    """Serve until a signal, then stop as the module's docstring says. Raises what stops the server by itself."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: hurry.set() if stop.is_set() else stop.set()
        )
    server.on("worker_registered", lambda *_: log.info("The worker is ready for calls."))
    running = asyncio.create_task(server.run())
    beside = [
        asyncio.create_task(each)
        for each in (
            look_for_left_behind(),
            store_recordings(),
            give_signs_of_life(lambda: takes_calls(server)),
        )
    ]
    try:
        await _first(running, stop.wait())
        if not running.done():
            await _drain(server, hurry)
        await running
    finally:
        for task in beside:
            task.cancel()


async def _drain(server: AgentServer, hurry: asyncio.Event) -> None:
    log.info("Stopping: live calls finish, no new ones come.")
    draining = asyncio.create_task(server.drain())
    await _first(draining, hurry.wait())
    if not draining.done() or draining.exception() is not None:
        log.warning("Stopping now: live calls are told goodbye.")
        end_calls()
        await asyncio.wait([draining], timeout=GOODBYE_SECONDS)
        draining.cancel()
    await server.aclose()


async def look_for_left_behind() -> None:
    """Store what ended job processes have left in the spool. Celery does so too, where it shares the data directory."""
    while True:
        try:
            await in_database(store_left_behind)
        except (OperationalError, InterfaceError):
            # It is away still; whoever has records says so in the log.
            pass
        except Exception:
            log.exception("records that were left behind could not be stored")
        await asyncio.sleep(LEFT_BEHIND_SECONDS)


def end_calls() -> None:
    """Have every job process end its call with a spoken goodbye."""
    for process in multiprocessing.active_children():
        if process.name == JOB_PROCESS and process.pid is not None:
            os.kill(process.pid, SAY_GOODBYE)


async def _first(task: asyncio.Task[None], other: object) -> None:
    """Return when either is over, whatever its end; what `task` does then goes on."""
    waiting = asyncio.ensure_future(other)  # type: ignore[call-overload]
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


class ConnectionTrouble(logging.Filter):
    """Says in a sentence why livekit-server cannot be used, where the library only says that it failed."""

    def __init__(self, url: str, server: AgentServer) -> None:
        super().__init__()
        self._url = url
        self._server = server

    def filter(self, record: logging.LogRecord) -> bool:
        error = getattr(record, "error", None)
        if hasattr(record, "retry_count"):
            set_well(self._server, False)
        if not isinstance(error, aiohttp.ClientError):
            return True
        if isinstance(error, aiohttp.WSServerHandshakeError) and error.status == 401:
            log.error(
                "LiveKit at %s refuses our key: check LIVEKIT_API_KEY and LIVEKIT_API_SECRET. Trying again.",
                self._url,
            )
        else:
            log.error(
                "LiveKit at %s cannot be used (%s): check LIVEKIT_URL, and that livekit-server runs. "
                "Trying again.",
                self._url,
                error,
            )
        return False


if __name__ == "__main__":
    main()
