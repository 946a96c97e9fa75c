"""The record writer: a call reports what happened and goes on; one task stores it, in order, in batches."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from weakref import WeakKeyDictionary

from django.db import InterfaceError, OperationalError

from agent_worker.database import in_database
from phone import services
from phone.records import Record
from phone.spool import Spool, spool_folder

logger = logging.getLogger(__name__)

Write = Callable[[Sequence[Record]], None]

FIRST_RETRY = 0.1
LAST_RETRY = 5.0

SLOW_WRITE = 1.0
"""Seconds after which a database that has not answered counts as away."""

PATIENCE = 2.0
"""How many seconds of an outage `drain` waits through. Then it is enough that the spool has everything."""


class RecordWriter:
    """Stores records through `write`, each once and in the order in which they were put.

    A batch goes out `flush_after` seconds after its first record, or as soon as it holds `flush_at` records,
    and one at a time. While the database is away the same batch is tried again, ever less often, and the rest
    waits behind it; all of it goes to `spool` as well, at most `flush_after` later, so that it outlives this process.
    A record that the database refuses for good (a defect, not an outage) is left out with an
    error in the log, because otherwise it would hold back every call after it. All time is the loop's time.

    Belongs to one event loop; `writer()` gives the one of the running loop.
    """

    def __init__(
        self,
        write: Write = services.write_records,
        *,
        flush_after: float = 0.2,
        flush_at: int = 100,
        spool: Spool | None = None,
    ) -> None:
        self._write = write
        self._flush_after = flush_after
        self._flush_at = flush_at
        self._waiting: deque[Record] = deque()
        self._put = 0
        self._stored = 0
        self._spool = spool or Spool(spool_folder())
        self._spooled = 0
        """How many of those that wait are in the spool: the first ones."""
        self._spool_fails = False
        self._away_since: float | None = None
        self._drains: list[tuple[int, asyncio.Future[None]]] = []
        self._something = asyncio.Event()
        self._at_once = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def put(self, record: Record) -> None:
        """Take one record and return at once. Only from the writer's own loop."""
        self._waiting.append(record)
        self._put += 1
        self._something.set()
        if len(self._waiting) >= self._flush_at:
            self._at_once.set()
        self._writing()

    async def drain(self) -> None:
        """Return when everything put so far is stored; in an outage longer than `PATIENCE`, when the spool has it."""
        if self._safe() >= self._put:
            return
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drains.append((self._put, stored))
        self._at_once.set()
        while not stored.done():
            # A loop that ends cancels all its tasks at once, and this is where the calls' last rows wait.
            await asyncio.wait({stored, self._writing()}, return_when=asyncio.FIRST_COMPLETED)

    async def aclose(self) -> None:
        """Store what is left, or leave it in the spool, and stop. A later `put` starts anew."""
        await self.drain()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._spooled:
            # Others will store them: this writer is as new.
            for _ in range(self._spooled):
                self._waiting.popleft()
            self._stored += self._spooled
            self._spooled, self._away_since = 0, None
            await asyncio.to_thread(self._spool.leave)

    def _writing(self) -> asyncio.Task[None]:
        """The task that stores, begun again where somebody has ended it."""
        if self._task is None or self._task.done():
            # A context of its own: the task outlives the call whose record came first.
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name="record-writer", context=contextvars.Context()
            )
        return self._task

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._at_once.wait(), self._flush_after)
            self._at_once.clear()
            while self._waiting:
                batch = list(islice(self._waiting, self._flush_at))
                await self._store(batch)
                # Only now: a task that is cancelled in mid-write leaves the batch for the next one to store.
                for _ in batch:
                    self._waiting.popleft()
                self._stored += len(batch)
                await self._database_is_there(len(batch))
                self._settle()
                if len(self._waiting) < self._flush_at and not self._drains:
                    break
            if not self._waiting:
                self._something.clear()

    async def _store(self, batch: list[Record]) -> None:
        try:
            await self._write_until_there(batch)
        except Exception as refusal:
            if len(batch) == 1:
                (record,) = batch
                logger.error(
                    "The database refuses a %s of call %s (%s); it is left out.",
                    type(record).__name__,
                    record.call,
                    type(refusal).__name__,
                )
                return
            for record in batch:
                await self._store([record])

    async def _write_until_there(self, batch: list[Record]) -> None:
        """Write `batch`, retrying while the database is away. Raises what the database refuses for good."""
        pause = FIRST_RETRY
        while True:
            writing = asyncio.ensure_future(in_database(self._write, batch))
            try:
                return await self._outcome(writing)
            except (OperationalError, InterfaceError) as trouble:
                logger.warning(
                    "%d records could not be stored (%s); trying again in %.1f s.",
                    len(batch),
                    type(trouble).__name__,
                    pause,
                )
            finally:
                writing.cancel()
            again = asyncio.get_running_loop().time() + pause
            while (left := again - asyncio.get_running_loop().time()) > 0:
                await self._keep()
                await asyncio.sleep(min(left, self._flush_after))
            pause = min(pause * 2, LAST_RETRY)

    async def _outcome(self, writing: asyncio.Future[None]) -> None:
        """Wait for `writing`, and raise what it raises. What takes too long is kept on the disk meanwhile."""
        patience = SLOW_WRITE
        while not (await asyncio.wait({writing}, timeout=patience))[0]:
            await self._keep()
            patience = self._flush_after
        writing.result()

    async def _keep(self) -> None:
        """The database is away: put into the spool what waits and is not in it."""
        if self._away_since is None:
            self._away_since = asyncio.get_running_loop().time()
        if new := list(islice(self._waiting, self._spooled, None)):
            try:
                # Not in the database's thread, which may be what hangs.
                await asyncio.to_thread(self._spool.keep, new)
            except OSError as error:
                if not self._spool_fails:
                    logger.error(
                        "The spool cannot be written (%s): records wait in memory only, and end with this process.",
                        error.strerror,
                    )
                self._spool_fails = True
            else:
                self._spooled += len(new)
                self._spool_fails = False
        self._settle()

    async def _database_is_there(self, stored: int) -> None:
        self._away_since = None
        if self._spooled:
            self._spooled = max(0, self._spooled - stored)
            if not self._spooled:
                # What cannot be removed is stored once more when this process is gone, which does no harm.
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self._spool.discard)

    def _safe(self) -> int:
        """How many of the records put so far nobody need wait for."""
        if self._away_since is None:
            return self._stored
        lasted = asyncio.get_running_loop().time() - self._away_since
        return self._stored + (self._spooled if lasted >= PATIENCE else 0)

    def _settle(self) -> None:
        safe = self._safe()
        ready = [waiting for target, waiting in self._drains if target <= safe]
        self._drains = [(target, waiting) for target, waiting in self._drains if target > safe]
        for waiting in ready:
            if not waiting.done():
                waiting.set_result(None)


_writers: WeakKeyDictionary[asyncio.AbstractEventLoop, RecordWriter] = WeakKeyDictionary()


def writer() -> RecordWriter:
    """The writer of the running loop, made on first use."""
    loop = asyncio.get_running_loop()
    if loop not in _writers:
        _writers[loop] = RecordWriter()
    return _writers[loop]
