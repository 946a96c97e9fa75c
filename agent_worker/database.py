"""Blocking work for the event loop: database calls on one thread per process, so on one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.apps import apps
from django.db import InterfaceError, OperationalError, connections

P = ParamSpec("P")
T = TypeVar("T")

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")


async def in_database(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run the synchronous `function`, which may use the ORM, off the event loop. Raises what it raises.

    On a simulated loop the job runs on the thread that started the simulation, inside its transaction.
    """

    job = partial(_job, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_thread, job)


def in_database_now(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`in_database` where no event loop runs yet: blocks."""
    return _thread.submit(_job, partial(function, *args, **kwargs)).result()


def _job(function: Callable[[], T]) -> T:
    _close_unusable_connections()
    try:
        return function()
    finally:
        _close_unusable_connections()


def has_tables() -> bool:
    """Whether this system's tables are in the database; taken for granted while it is away."""

    def job() -> bool:
        # By name: this module is imported before there are models.
        table = apps.get_model("phone", "PhoneLine")._meta.db_table
        try:
            return table in connections["default"].introspection.table_names()
        except (OperationalError, InterfaceError):
            return True
        finally:
            connections["default"].close()

    return _thread.submit(job).result()


def _close_unusable_connections() -> None:
    # Like django.db.close_old_connections, which would also close one in the middle of the caller's transaction.
    for connection in connections.all(initialized_only=True):
        # To open SQLite's file takes longer than most queries, and one that works goes on working.
        kept = connection.vendor == "sqlite" and not connection.errors_occurred
        if not (connection.in_atomic_block or kept):
            connection.close_if_unusable_or_obsolete()
