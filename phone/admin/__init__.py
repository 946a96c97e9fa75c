"""The office's pages for the phone."""

from phone.admin import calls, plans, readiness, requests, setup

__all__ = ["calls", "plans", "readiness", "requests", "setup"]
