"""What a job process runs: one call, in one room. The only module that sets Django up.

It is imported once, in the process that job processes are forked from, so that all of them share its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
# One call has one connection; a pool is for processes that answer many requests at once.
os.environ.setdefault("CLINIC_DATABASE_POOL", "false")
# Models that nothing here uses, of 220 MB in each process.
os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
# A watch over the event loop that costs each process 1 % of a core, those that wait for a call too.
os.environ.setdefault("LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS", "0")
django.setup()

# From here on there are models, which these modules name.
from django.conf import settings  # noqa: E402
from livekit.agents import JobContext, JobProcess  # noqa: E402
from livekit.agents.ipc.log_queue import LogQueueHandler  # noqa: E402

from agent_worker.answering import answer, resume_call  # noqa: E402
from agent_worker.checking import check_order, make_check  # noqa: E402
from agent_worker.desk import make_desk  # noqa: E402
from agent_worker.echo import answer_check  # noqa: E402
from agent_worker.lines.livekit_room import RoomLine  # noqa: E402
from agent_worker.lines.native import hide_programs, silence_native_log  # noqa: E402
from agent_worker.lines.room_audio import start_webrtc  # noqa: E402
from agent_worker.load import BUSY  # noqa: E402
from agent_worker.plans import read_ahead  # noqa: E402
from agent_worker.providers import read_speech_environment  # noqa: E402
from agent_worker.resuming import resume_order  # noqa: E402
from agent_worker.speech import load_plugins, prompt_store  # noqa: E402

log = logging.getLogger(__name__)

SAY_GOODBYE = signal.SIGUSR2
"""The worker sends it to each job process when live calls must end now."""

SPEECH = read_speech_environment()
load_plugins(SPEECH)

PROMPTS = prompt_store(settings.DATA_DIR / "prompts", SPEECH)
"""What calls say. The job processes share what is in it before they are forked."""


def prepare(process: JobProcess) -> None:
    """Make a job process ready for its call, before there is one."""
    signal.signal(SAY_GOODBYE, signal.SIG_IGN)
    root = logging.getLogger()
    for handler in root.handlers[:]:
        # Lines are written here, where they are made discreet; the worker would write them again.
        if isinstance(handler, LogQueueHandler):
            root.removeHandler(handler)
    read_ahead()
    silence_native_log()
    hide_programs()
    process.userdata["webrtc"] = start_webrtc()


async def answer_room(ctx: JobContext) -> None:
    """Answer the call in the room that this job was given, to its end; or make the call of a line check."""
    try:
        if check := check_order(ctx.job.metadata):
            await _make_check(ctx, check)
        else:
            await _answer_call(ctx)
    finally:
        ctx.shutdown("the call is over")


async def _answer_call(ctx: JobContext) -> None:
    desk = make_desk(SPEECH, PROMPTS)
    asyncio.get_running_loop().add_signal_handler(SAY_GOODBYE, desk.end_calls)
    order = resume_order(ctx.job.metadata)
    line = await RoomLine.join(ctx, epoch=order.epoch if order else 1)
    if line is None:
        return
    busy = BUSY in ctx.room.local_participant.attributes
    if order is not None:
        await resume_call(line, desk, order)
    elif not await answer_check(line, busy=busy):
        await answer(line, desk, busy=busy)


async def _make_check(ctx: JobContext, check: UUID) -> None:
    checking = asyncio.ensure_future(make_check(ctx, check))
    asyncio.get_running_loop().add_signal_handler(SAY_GOODBYE, checking.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await checking
