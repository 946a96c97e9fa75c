"""Every write to what happened: calls as the worker reports them, requests as the office works on them, line checks.

All functions take keyword arguments (`write_records` aside) and say what they did, or raise.
"""

from phone.services.calls import call_end_failed, call_end_stale, call_missed, call_send_agent
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
from phone.services.worker_reports import write_records

__all__ = [
    "call_end_failed",
    "call_end_stale",
    "call_missed",
    "call_send_agent",
    "is_test_call",
    "line_check_answer",
    "line_check_end",
    "line_check_end_overdue",
    "line_check_finish",
    "line_check_heard",
    "line_check_start",
    "line_check_take",
    "request_done",
    "request_reopen",
    "request_take",
    "write_records",
]
