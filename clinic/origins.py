"""Whether a request comes from one of our own pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host


def own_page(*, origin: str, host: str) -> bool:
    """Whether the page at `origin` is our own: it is the `host` that it asks, or a trusted one.

    Both are headers, empty where the request has none. Without Origin or Host, or for a host that is not ours,
    it is not (RFC 6455 section 10.2, and against DNS rebinding).
    """
    origin, host = origin.lower(), host.lower()
    if not origin or not host:
        return False
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    parts = urlsplit(origin)
    hostname = urlsplit(f"//{host}").hostname or ""
    return (
        parts.scheme in ("http", "https")
        and parts.netloc == host
        and validate_host(hostname, settings.ALLOWED_HOSTS)
    )
