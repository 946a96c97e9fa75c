"""An event loop whose time jumps: a simulated minute takes milliseconds, and always runs in the same order.

When nothing is ready the loop's clock goes straight to the next timer. Jobs for an executor (the database) go to the
thread that started the simulation, one at a time and only when the loop is idle, so they share that thread's database
connection and transaction, and their order is fixed. Real sockets do not work on this loop.
"""

from __future__ import annotations

import asyncio
import queue
import selectors
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, cast

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Job = Callable[[], None]
IDLE_WAIT_SECONDS = 1.0
"""How long, in real seconds, to wait for another thread when no timer is due at all."""


class _JumpingSelector(selectors.BaseSelector):
    """Polls the real selector; where that would wait, runs a job or moves the clock instead."""

    def __init__(self, idle: Callable[[float | None], bool]) -> None:
        self._real = selectors.DefaultSelector()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        return [] if self._idle(timeout) else self._real.select(IDLE_WAIT_SECONDS)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`time()` is simulated, in seconds from 0; `run_in_executor` hands its job to `jobs`."""

    def __init__(self) -> None:
        self._simulated_now = 0.0
        self._outstanding: deque[Job] = deque()
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.job_done: queue.SimpleQueue[None] = queue.SimpleQueue()
        super().__init__(_JumpingSelector(self._idle))

    def time(self) -> float:
        return self._simulated_now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast(T, result))

        def job() -> None:
            try:
                result: T | None = func(*args)
                error: BaseException | None = None
            except BaseException as raised:
                result, error = None, raised
            self.call_soon_threadsafe(settle, result, error)

        self._outstanding.append(job)
        return future

    def _idle(self, timeout: float | None) -> bool:
        if self._outstanding:
            self.jobs.put(self._outstanding.popleft())
            self.job_done.get()
            return True
        if timeout is None:
            return False
        self._simulated_now += timeout
        return True


def run_simulated(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main()` to its end on a simulated loop and return its result, or raise what it raises.

    The calling thread runs the loop's executor jobs; it must not have a running loop of its own.
    """
    loop = SimulatedLoop()
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            outcome.append(loop.run_until_complete(main()))
        except BaseException as error:
            failure.append(error)
        finally:
            loop.run_until_complete(_cancel_rest())
            asyncio.set_event_loop(None)
            loop.close()
            loop.jobs.put(None)

    thread = threading.Thread(target=run, name="simulated-call", daemon=True)
    thread.start()
    while (job := loop.jobs.get()) is not None:
        job()
        loop.job_done.put(None)
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


async def _cancel_rest() -> None:
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
