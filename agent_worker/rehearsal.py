"""What a call would otherwise do for the first time, while its caller waits: done once, before processes are forked."""

from __future__ import annotations

import importlib
import logging
from datetime import UTC, datetime

from django.db import DatabaseError, InterfaceError
from livekit.agents.utils import http_context

from agent_worker.lines.simulated import read_script
from agent_worker.prompts import PromptStore
from agent_worker.simulation import simulate
from phone.data import load_all
from phone.publishing import LoadedPlan, live_plan, live_plans

log = logging.getLogger(__name__)

SOMEBODY = read_script("1 hangup")
"""A caller who agrees, hears the menu and hangs up."""

LOADED_BY_CALLS = (
    "babel.numbers",
    "django.db.models.sql.compiler",
    "livekit.agents.llm.async_toolset",
    "livekit.agents.voice.report",
)


def rehearse(prompts: PromptStore) -> None:
    """Load modules and tables, and each clinic's plan, with what it says into `prompts`; simulate a call. Blocks.

    Starts no thread: what it leaves can be forked. What fails here is done by each call for itself.
    """
    for module in LOADED_BY_CALLS:
        importlib.import_module(module)
    load_all()
    # The certificates that are trusted, which a call reads when it closes its room.
    http_context._create_ssl_context()
    try:
        plans = list(live_plans())
    except (DatabaseError, InterfaceError) as trouble:
        log.warning(
            "No plan could be read ahead of calls (%s): each call reads its own.", type(trouble).__name__
        )
        return
    try:
        for loaded in plans:
            prompts.share(loaded.version_id, loaded.plan)
        for loaded in plans[:1]:
            _rehearse_a_call(loaded)
    except Exception:
        # Whatever it is, a real call may do without it.
        log.exception("a call could not be rehearsed")


def _rehearse_a_call(loaded: LoadedPlan) -> None:
    """Python runs code faster that has run before, and processes that are forked after it inherit that."""
    live_plan(loaded.number)
    simulate(SOMEBODY, loaded=loaded, caller="", answered_at=datetime.now(UTC), dry_run=True)
