"""Remembers who is at the keyboard, for what happens after their save."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def current_user() -> User | None:
    """Who made the request that this code runs in; None for strangers, and outside requests."""
    request = _request.get()
    user: User | AnonymousUser | None = getattr(request, "user", None)
    return user if user is not None and user.is_authenticated else None


def remember_user(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: makes `current_user` know the user of this request, and of no other."""

    def middleware(request: HttpRequest) -> HttpResponse:
        # The request, not its user: asking for the user costs a query, which most requests need not pay.
        token = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(token)

    return middleware
