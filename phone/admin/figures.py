"""The dashboard page, and “today at a glance” on the admin's first page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from clinic.models import Clinic
from phone.admin.lists import at_clinic, parse_day
from phone.dashboards import Chart, Figure, Figures, call_figures
from phone.keys_heard import alert_about, lines_without_keys
from phone.late_sounds import alerts_about_late_sounds
from phone.line_checks import alert_about_check, checks_that_alert
from phone.models import Call, Request

DEFAULT_DAYS = 30


def figures_page(request: HttpRequest, model_admin: ModelAdmin[Any]) -> HttpResponse:
    """The figures of the days asked for, the last 30 by default."""
    context = model_admin.admin_site.each_context(request) | {"title": "Figures", "opts": Call._meta}
    clinics = list(Clinic.objects.order_by("pk"))
    clinic = next((one for one in clinics if str(one.pk) == request.GET.get("clinic")), None)
    clinic = clinic or next(iter(clinics), None)
    if clinic is not None:
        today = timezone.now().astimezone(ZoneInfo(clinic.time_zone)).date()
        last = parse_day(request.GET.get("day_to")) or today
        first = parse_day(request.GET.get("day_from")) or last - timedelta(days=DEFAULT_DAYS - 1)
        figures = call_figures(clinic=clinic, first=first, last=last)
        context |= {
            "clinics": clinics,
            "figures": figures,
            "totals": [_linked(figures, figure) for figure in figures.totals],
            "charts": [_drawn(figures, chart) for chart in figures.charts],
            "periods": _periods(figures),
        }
    return TemplateResponse(request, "admin/phone/call/figures.html", context)


def today_at_a_glance(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds today's figures, the open requests and the running calls to the admin's first page."""
    if not request.user.has_perm("phone.view_call"):
        return context
    now = timezone.now()
    glances = []
    for clinic in Clinic.objects.order_by("pk"):
        today = now.astimezone(ZoneInfo(clinic.time_zone)).date()
        requests = Request.objects.filter(clinic=clinic).of_real_calls()
        work_list = reverse("admin:phone_request_changelist")
        figures = call_figures(clinic=clinic, first=today, last=today)
        glances.append(
            {
                "clinic": clinic,
                "today": at_clinic(now, clinic),
                "totals": [
                    {"label": "Open requests", "count": requests.open().count(), "link": work_list},
                    {
                        "label": "Overdue requests",
                        "count": requests.overdue(now=now).count(),
                        "link": f"{work_list}?due=overdue",
                    },
                    *(_linked(figures, figure) for figure in figures.totals),
                ],
            }
        )
    alerts = [alert_about(line) for line in lines_without_keys()]
    alerts += [alert_about_check(check) for check in checks_that_alert()]
    alerts += alerts_about_late_sounds(now=now)
    return context | {"glances": glances, "alerts": alerts}


def _linked(figures: Figures, figure: Figure) -> dict[str, Any]:
    filters = {
        "clinic": str(figures.clinic.pk),
        "day_from": str(figures.first),
        "day_to": str(figures.last),
    }
    link = f"{reverse('admin:phone_call_changelist')}?{urlencode(filters | figure.filters)}"
    return {"label": figure.label, "count": figure.count, "link": link}


def _drawn(figures: Figures, chart: Chart) -> dict[str, Any]:
    """A chart for the template: each figure with its link, its bar's width and, of a whole, its share in %."""
    bars = [
        _linked(figures, figure)
        | {
            "width": round(100 * figure.count / chart.highest, 1) if chart.highest else 0,
            "share": f"{100 * figure.count / chart.whole:.0f} %" if chart.whole else "",
        }
        for figure in chart.figures
    ]
    return {"title": chart.title, "note": chart.note, "bars": bars}


def _periods(figures: Figures) -> list[dict[str, str]]:
    """Links to the usual stretches of days, each ending today."""
    today = timezone.now().astimezone(ZoneInfo(figures.clinic.time_zone)).date()
    return [
        {
            "label": label,
            "link": "?"
            + urlencode(
                {
                    "clinic": figures.clinic.pk,
                    "day_from": str(today - timedelta(days=days - 1)),
                    "day_to": str(today),
                }
            ),
        }
        for label, days in (("Today", 1), ("7 days", 7), ("30 days", 30), ("90 days", 90), ("A year", 365))
    ]
