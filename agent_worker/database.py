"""Blocking work for the event loop: database calls on one thread per process, so on one connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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

    def job() -> T:
        _close_unusable_connections()
        try:
            return function(*args, **kwargs)
        finally:
            _close_unusable_connections()

    return await asyncio.get_running_loop().run_in_executor(_thread, job)


def open_connection() -> None:
    """Open this process's connection now, so that its first query need not. A database that is away may be."""

    def job() -> None:
        with contextlib.suppress(OperationalError, InterfaceError):
            connections["default"].ensure_connection()

    _thread.submit(job).result()


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
