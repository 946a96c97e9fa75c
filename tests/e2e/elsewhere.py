"""An object that lives in a process of its own: what many telephones have to do is more than one process can."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from agent_worker.lines.native import hide_programs

STOPS_SECONDS = 10.0

Order = tuple[int, str, tuple[Any, ...], dict[str, Any]]
"""Its number, the name of the coroutine function, and what it is given."""


class Elsewhere:
    """What `make(*arguments)` returns, on an event loop in another process. All that is exchanged is pickled."""

    def __init__(self, make: Callable[..., object], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._orders, theirs = context.Pipe()
        self._process = context.Process(target=_live, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._numbers = itertools.count()
        self._open: dict[int, Future[Any]] = {}
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def call(self, name: str, *arguments: object, **options: object) -> Future[Any]:
        """Call its coroutine function `name`; several may go on at once.

        The future has what it returned, or the AssertionError or TimeoutError that it raised, or a RuntimeError that
        names any other one, or says that the process has ended.
        """
        number = next(self._numbers)
        future = self._open[number] = Future()
        self._orders.send((number, name, arguments, options))
        return future

    def stop(self) -> None:
        """End the process."""
        with suppress(OSError):
            self._orders.send(None)
        self._process.join(STOPS_SECONDS)
        self._process.kill()
        self._reading.join(STOPS_SECONDS)
        self._orders.close()

    def _read(self) -> None:
        try:
            while True:
                number, result, error = self._orders.recv()
                future = self._open.pop(number)
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)
        except EOFError:
            for future in self._open.values():
                future.set_exception(RuntimeError("The process has ended."))


def _live(pipe: Connection, make: Callable[..., object], arguments: tuple[object, ...]) -> None:
    hide_programs()
    asyncio.run(_obey(pipe, make(*arguments)))


async def _obey(pipe: Connection, living: object) -> None:
    answering: set[asyncio.Task[None]] = set()
    while order := await asyncio.to_thread(_next_order, pipe):
        task = asyncio.create_task(_answer(pipe, living, order))
        answering.add(task)
        task.add_done_callback(answering.discard)


def _next_order(pipe: Connection) -> Order | None:
    try:
        order: Order | None = pipe.recv()
    except EOFError:
        return None
    return order


async def _answer(pipe: Connection, living: object, order: Order) -> None:
    number, name, arguments, options = order
    try:
        result = await getattr(living, name)(*arguments, **options)
    except (AssertionError, TimeoutError) as error:
        pipe.send((number, None, error))
    except Exception as error:
        pipe.send((number, None, RuntimeError(f"{type(error).__name__}: {error}")))
    else:
        pipe.send((number, result, None))
