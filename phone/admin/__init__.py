"""The office's pages for the phone."""

from phone.admin import calls, plans, requests, setup

__all__ = ["calls", "plans", "requests", "setup"]
