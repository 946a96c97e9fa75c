"""The plan behind a number, also while the database is away: then the one that the last call on this machine got."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import tempfile
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from pydantic import TypeAdapter, ValidationError

from agent_worker.database import in_database, in_database_now
from phone.publishing import LoadedPlan, live_plan

log = logging.getLogger(__name__)

READ_SECONDS = 3.0
"""How long a caller may wait for a database that does not answer."""

_COPY: TypeAdapter[LoadedPlan] = TypeAdapter(LoadedPlan)


async def plan_behind(dialled: str) -> LoadedPlan | None:
    """`live_plan(dialled)`, or its last copy while the database is away. None where there is neither."""
    try:
        loaded = await asyncio.wait_for(in_database(live_plan, dialled), READ_SECONDS)
    except (OperationalError, InterfaceError, TimeoutError) as trouble:
        log.warning("The database is away (%s): the call gets the last known plan.", type(trouble).__name__)
        return await asyncio.to_thread(_read_copy, dialled)
    # Beside the call, which does not wait for it.
    asyncio.get_running_loop().run_in_executor(None, _keep_copy, dialled, loaded)
    return loaded


def read_ahead() -> None:
    """Open this process's connection by reading a plan, which takes 10 ms longer for the first time. Blocks."""
    with contextlib.suppress(DatabaseError, InterfaceError, ValueError):
        in_database_now(live_plan, "")


def _path(dialled: str) -> Path:
    folder: Path = settings.DATA_DIR / "plans"
    return folder / f"{hashlib.sha256(dialled.encode()).hexdigest()[:32]}.json"


def _read_copy(dialled: str) -> LoadedPlan | None:
    try:
        return _COPY.validate_json(_path(dialled).read_bytes())
    except (OSError, ValidationError):
        return None


def _keep_copy(dialled: str, loaded: LoadedPlan | None) -> None:
    path = _path(dialled)
    try:
        if loaded is None:
            path.unlink(missing_ok=True)
            return
        content = _COPY.dump_json(loaded)
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft, name = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(draft, "wb") as file:
                file.write(content)
            # A reader finds the old copy or the new one, never half of it.
            Path(name).replace(path)
    except OSError as error:
        log.warning("The plan could not be kept for an outage (%s).", error.strerror)
