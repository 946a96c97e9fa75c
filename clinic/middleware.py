"""What surrounds each page: its Content-Security-Policy and, in the admin, the clinic's clock."""

from __future__ import annotations

from collections.abc import Callable

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from clinic.models import Clinic


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """`CONTENT_SECURITY_POLICY`; in the admin with the directives of `ADMIN_CONTENT_SECURITY_POLICY`.

    Strict, and under /admin/ as loose as the admin's own scripts need.
    """

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only and request.path.startswith(reverse("admin:index")):
            parts.replace = settings.ADMIN_CONTENT_SECURITY_POLICY | (parts.replace or {})
        return parts


def on_the_clinics_clock(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: the admin shows and reads times as the first clinic's wall clock has them."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(reverse("admin:index")):
            return get_response(request)
        zone = Clinic.objects.order_by("pk").values_list("time_zone", flat=True).first()
        with timezone.override(zone):
            return get_response(request)

    return middleware
