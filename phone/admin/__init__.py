"""The office's pages for the phone."""

from phone.admin import calls, lines, plans, readiness, requests, retention, setup

__all__ = ["calls", "lines", "plans", "readiness", "requests", "retention", "setup"]
