"""Logs that say what happened and never to whom: no digits, names, numbers or words of a call.

Our own lines are structlog events, `log.info("call ended", call=…, step=…)`, or plain `logging`; lines of libraries
go through the same formatter. Three rules keep people out: only `FIELDS` are written beside the event, an exception
is written as its type and its place without its message (which may quote what was typed), and an address without
its query.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# fmt: off
FIELDS = frozenset({
    "timestamp", "level", "logger", "event", "exception",
    "call", "clinic", "consent", "language", "line", "menu", "outcome", "plan_version", "request", "room", "step",
    "attempt", "calls", "count", "limit", "origin", "provider", "records", "seconds", "task", "voice", "worker",
})
# fmt: on
"""What may stand beside an event. Everything else is dropped, such as LiveKit's `lk.pii.…`."""

OURS = ("agent_worker", "clinic", "phone", "django", "uvicorn")
"""Loggers at the level asked for; their numbers are row ids, ports, statuses. Others speak from WARNING up."""

PLAIN_MESSAGES = (OSError, ImportError, AttributeError, NotImplementedError)
"""Exceptions whose message speaks of the machine and its code, never of what somebody said or typed."""

_QUERY = re.compile(r"\?\S*")
_DIGITS = re.compile(r"(?<![\w.:-])\+?\d(?:[ ().-]?\d){3,}(?![\w:])")


def keep_known_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop every field that is not in `FIELDS`."""
    return {name: value for name, value in event.items() if name in FIELDS}


def describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by `exception`: types and places, the cause first."""
    info = event.pop("exc_info", None)
    error = (
        info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else sys.exception()
    )
    if info and error is not None:
        event["exception"] = " → ".join(reversed(_chain(error)))
    return event


def _chain(error: BaseException) -> list[str]:
    """Such as `ValueError at clinic/patients.py:41 in find`, for the exception and each of its causes."""
    found: list[str] = []
    current: BaseException | None = error
    while current is not None and len(found) < 5:
        message = f": {current}" if isinstance(current, PLAIN_MESSAGES) else ""
        frames = traceback.extract_tb(current.__traceback__)[-3:]
        places = ", ".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in reversed(frames))
        found.append(f"{type(current).__name__}{message}" + (f" at {places}" if places else ""))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return found


class Discreet(logging.Filter):
    """Take out of a library's line what it may quote: an address's query, long numbers, a task's error."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("uvicorn.") and isinstance(record.args, tuple):
            record.args = tuple(_QUERY.sub("", arg) if isinstance(arg, str) else arg for arg in record.args)
        elif record.name == "celery.app.trace" and record.levelno >= logging.ERROR:
            # Celery quotes the exception; the formatter adds its type and place.
            record.msg, record.args = "Task %s failed", (getattr(record, "data", {}).get("name", ""),)
        elif not record.name.startswith(OURS) and isinstance(record.msg, str):
            record.msg, record.args = _DIGITS.sub("•", record.getMessage()), ()
        return True


def logging_settings(*, level: str, for_collector: bool) -> dict[str, Any]:
    """Django's `LOGGING`, on stderr: text for a person, or JSON with every request for a log collector."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer() if for_collector else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    levels = dict.fromkeys(OURS, level)
    # Starting and stopping: `manage.py serve` says it better.
    levels["uvicorn.error"] = "WARNING"
    levels["uvicorn.access"] = level if for_collector else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"discreet": {"()": Discreet}},
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    describe_exception,
                    keep_known_fields,
                    renderer,
                ],
            }
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["discreet"]}
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            name: {"level": least, "handlers": [], "propagate": True} for name, least in levels.items()
        },
    }
