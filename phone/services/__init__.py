"""Every write to what happened: calls as the worker reports them, requests as the office works on them, line checks,
deletions.

All functions take keyword arguments (`write_records` aside) and say what they did, or raise.
"""

from phone.services.calls import (
    call_end_failed,
    call_end_stale,
    call_end_with_person,
    call_missed,
    call_send_agent,
)
from phone.services.erasure import CallerIsOnTheLine, Erased, caller_erase
from phone.services.holds import call_hold, call_let_go
from phone.services.line_checks import (
    is_test_call,
    line_check_answer,
    line_check_end,
    line_check_end_overdue,
    line_check_finish,
    line_check_heard,
    line_check_start,
    line_check_take,
)
from phone.services.requests import request_done, request_reopen, request_take
from phone.services.retention import RetentionRun, recordings_delete, retention_run
from phone.services.storing import recording_store, recordings_store_soon, recordings_store_waiting
from phone.services.worker_reports import write_records

__all__ = [
    "CallerIsOnTheLine",
    "Erased",
    "RetentionRun",
    "call_end_failed",
    "call_end_stale",
    "call_end_with_person",
    "call_hold",
    "call_let_go",
    "call_missed",
    "call_send_agent",
    "caller_erase",
    "is_test_call",
    "line_check_answer",
    "line_check_end",
    "line_check_end_overdue",
    "line_check_finish",
    "line_check_heard",
    "line_check_start",
    "line_check_take",
    "recording_store",
    "recordings_delete",
    "recordings_store_soon",
    "recordings_store_waiting",
    "request_done",
    "request_reopen",
    "request_take",
    "retention_run",
    "write_records",
]
