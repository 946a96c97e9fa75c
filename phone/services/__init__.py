"""Every write to what happened: calls as the worker reports them, requests as the office works on them.

All functions take keyword arguments (`write_records` aside) and say what they did, or raise.
"""

from phone.services.calls import (
    call_end_failed,
    call_end_stale,
    call_end_with_person,
    call_missed,
    call_send_agent,
)
from phone.services.requests import request_done, request_reopen, request_take
from phone.services.worker_reports import write_records

__all__ = [
    "call_end_failed",
    "call_end_stale",
    "call_end_with_person",
    "call_missed",
    "call_send_agent",
    "request_done",
    "request_reopen",
    "request_take",
    "write_records",
]
