"""Records that wait on the disk while the database is away: each process's own file, and storing what is left behind.

A file holds one record a line, forced to the disk before anybody relies on it, readable by its owner only. Its process
holds a lock on it (flock) for as long as it lives, so that a file without a lock has nobody left to store it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from django.conf import settings
from django.db import InterfaceError, OperationalError
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from phone.records import Record
from phone.services import write_records

log = logging.getLogger(__name__)

Write = Callable[[Sequence[Record]], None]

SUFFIX = ".records"
UNREADABLE = ".unreadable"

AT_ONCE = 100
"""Records in one transaction."""

_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", hide_input_in_errors=True)
_LINES: dict[str, type[BaseModel]] = {
    kind.__name__: create_model(f"{kind.__name__}Line", __config__=_CONFIG, record=(kind, ...))
    for kind in get_args(Record)
}


def spool_folder() -> Path:
    """Where the processes that share this data directory have their files."""
    folder: Path = settings.DATA_DIR / "spool"
    return folder


class Spool:
    """This process's file, which is there only while it holds records."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._file = -1

    def keep(self, records: Sequence[Record]) -> None:
        """Append `records`; when it returns they outlive this process and a power cut. Raises OSError, keeping none."""
        if self._path is None:
            self._open()
        before = os.fstat(self._file).st_size
        try:
            _write_all(self._file, b"".join(map(_line_of, records)))
            os.fsync(self._file)
        except OSError:
            # The next record must not be appended to half a line.
            os.ftruncate(self._file, before)
            raise

    def discard(self) -> None:
        """Forget everything: it is stored."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self.leave()

    def leave(self) -> None:
        """Let go of the file: whoever looks next stores what it holds."""
        if self._path is not None:
            os.close(self._file)
            self._path = None

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{time.time_ns()}-{secrets.token_hex(4)}{SUFFIX}"
        draft = path.with_suffix(".new")
        self._file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        # Under its name only with its lock: until then it would look left behind.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        draft.rename(path)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._path = path


@dataclass(frozen=True)
class LeftBehind:
    """What became of the files in the spool: records that were `stored`, and files that living processes `hold`."""

    stored: int = 0
    held: int = 0


def store_left_behind(folder: Path | None = None, *, write: Write = write_records) -> LeftBehind:
    """Store the records of processes that ended while the database was away, in order, and remove their files.

    To be interrupted, and to store the same file again, does no harm. A record that the database refuses for good is
    left out with an error in the log; a file with a line that nobody can read is kept aside for a person. Raises
    OperationalError and InterfaceError while the database is away; the files stay.
    """
    stored = held = 0
    for path in sorted((folder or spool_folder()).glob(f"*{SUFFIX}")):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held += 1
                continue
            if os.fstat(file.fileno()).st_nlink:
                stored += _store_file(path, file.read(), write)
    if stored:
        log.warning("Stored %d records that had waited for the database.", stored)
    return LeftBehind(stored, held)


def _store_file(path: Path, content: bytes, write: Write) -> int:
    records, unreadable = _read(content)
    for start in range(0, len(records), AT_ONCE):
        _store(records[start : start + AT_ONCE], write)
    if unreadable:
        log.error("%d records cannot be read: they are kept in %s%s.", unreadable, path.name, UNREADABLE)
        path.rename(path.with_name(path.name + UNREADABLE))
    else:
        path.unlink(missing_ok=True)
    return len(records)


def _read(content: bytes) -> tuple[list[Record], int]:
    """The records in a file's content, and how many lines are none."""
    *lines, torn = content.split(b"\n")
    if torn:
        # Its process died while it wrote, and relied on nothing of it.
        log.warning("A record was not written to its end; it is left out.")
    records = list(_records(lines))
    return records, len(lines) - len(records)


def _records(lines: Sequence[bytes]) -> Iterator[Record]:
    for line in lines:
        kind, _, fields = line.partition(b" ")
        with contextlib.suppress(KeyError, ValidationError, UnicodeDecodeError):
            read: Any = _LINES[kind.decode()].model_validate_json(fields)
            yield read.record


def _line_of(record: Record) -> bytes:
    kind = type(record).__name__
    # Checked when it was made; a construction is quicker, and keeps what it is given.
    fields = _LINES[kind].model_construct(record=record).model_dump_json()
    return f"{kind} {fields}\n".encode()


def _store(batch: Sequence[Record], write: Write) -> None:
    try:
        write(batch)
    except (OperationalError, InterfaceError):
        raise
    except Exception as refusal:
        if len(batch) > 1:
            for record in batch:
                _store([record], write)
        else:
            log.error(
                "The database refuses a %s of call %s (%s); it is left out.",
                type(batch[0]).__name__,
                batch[0].call,
                type(refusal).__name__,
            )


def _write_all(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
