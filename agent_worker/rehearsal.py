"""What a call would otherwise do for the first time, while its caller waits: done once, before processes are forked."""

from __future__ import annotations

import importlib
import logging
from datetime import UTC, datetime

from babel.core import Locale, get_global
from django.apps import apps
from django.db import DatabaseError, InterfaceError
from livekit.agents.utils import http_context

from agent_worker.lines.simulated import read_script
from agent_worker.prompts import PromptStore
from agent_worker.simulation import simulate
from phone.data import load_all
from phone.publishing import live_plan, live_plans

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

    Starts no thread: what it leaves can be forked.
    """
    for module in LOADED_BY_CALLS:
        importlib.import_module(module)
    load_all()
    get_global("parent_exceptions")
    # The certificates that are trusted, which a call reads when it closes its room.
    http_context._create_ssl_context()
    for model in apps.get_models():
        # Django looks for relations among all models at the first query.
        model._meta.get_fields()
    try:
        _rehearse_plans(prompts)
    except (DatabaseError, InterfaceError) as trouble:
        log.warning(
            "No plan could be read ahead of calls (%s): each call reads its own.", type(trouble).__name__
        )


def _rehearse_plans(prompts: PromptStore) -> None:
    for loaded in live_plans():
        for language in loaded.plan.clinic.languages:
            # Asked for, it is loaded.
            _ = Locale.parse(language).list_patterns
        prompts.share(loaded.version_id, loaded.plan)
        live_plan(loaded.number)
        # Python runs code faster that has run before, and processes that are forked after it inherit that.
        simulate(SOMEBODY, loaded=loaded, caller="", answered_at=datetime.now(UTC), dry_run=True)
