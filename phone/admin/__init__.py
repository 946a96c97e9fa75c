"""The office's pages for the phone."""

from phone.admin import calls, directory, lines, plans, readiness, requests, retention, setup

__all__ = ["calls", "directory", "lines", "plans", "readiness", "requests", "retention", "setup"]
