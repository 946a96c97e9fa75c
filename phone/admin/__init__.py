"""The office's pages for the phone."""

from phone.admin import calls, lines, plans, readiness, requests, setup

__all__ = ["calls", "lines", "plans", "readiness", "requests", "setup"]
