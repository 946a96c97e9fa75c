"""The line check's pages: beside the phone lines how each stands, and for one line what became of every key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.admin import ModelAdmin

from clinic.admin.rows import staff_user
from phone.line_check import SEQUENCE, SPACINGS
from phone.line_checks import begin_check, told, why_not
from phone.models import LineCheck, PhoneLine
from phone.plan_state import moment_at
from phone.services import line_check_end_overdue

MAY_CHECK, MAY_LOOK = "phone.add_linecheck", "phone.view_linecheck"

CHECKS_SHOWN = 20

State = LineCheck.State


@dataclass(frozen=True)
class Cell:
    """What became of one key in one round; `wrong` says what happened to it, empty where nothing did."""

    key: str
    pressed: bool
    milliseconds: int | None
    wrong: str


@dataclass(frozen=True)
class Round:
    """One round of a check: the seconds from key to key, and its keys in the order in which they were pressed."""

    spacing: float
    cells: tuple[Cell, ...]


class LineCheckPages(ModelAdmin):
    """What `PhoneLineAdmin` has for line checks."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("checked/", view(self.checked_view), name="phone_lines_checked"),
            path("<int:line>/checks/", view(self.checks_view), name="phone_line_checks"),
            path("<int:line>/checks/last/", view(self.last_check_view), name="phone_line_check_last"),
            path("<int:line>/check/", view(self.check_view), name="phone_line_check"),
            *super().get_urls(),
        ]

    def lines_checked(self, request: HttpRequest) -> list[dict[str, Any]]:
        """Each line with its last check."""
        line_check_end_overdue(now=timezone.now())
        return [
            {
                "line": line,
                "check": shown(line.checks.first()),
                "why_not": why_not(line),
                "may_check": request.user.has_perm(MAY_CHECK),
            }
            for line in PhoneLine.objects.select_related("clinic")
        ]

    def checked_view(self, request: HttpRequest) -> HttpResponse:
        """The lines with their last checks, to be looked at again when one has ended."""
        _let_look(request)
        context = {"lines_checked": self.lines_checked(request)}
        return TemplateResponse(request, "admin/phone/phoneline/checked.html", context)

    def checks_view(self, request: HttpRequest, line: int) -> HttpResponse:
        """One line: its last check key by key, and those before."""
        _let_look(request)
        row = get_object_or_404(PhoneLine.objects.select_related("clinic"), pk=line)
        context = self.admin_site.each_context(request) | self._last(request, row)
        context |= {
            "title": f"Line check of {row.number.as_international}",
            "opts": self.opts,
            "original": row,
            "earlier": [shown(check) for check in row.checks.select_related("started_by")[1:CHECKS_SHOWN]],
        }
        return TemplateResponse(request, "admin/phone/phoneline/checks.html", context)

    def last_check_view(self, request: HttpRequest, line: int) -> HttpResponse:
        """The last check alone, to be looked at again when it has ended."""
        _let_look(request)
        row = get_object_or_404(PhoneLine.objects.select_related("clinic"), pk=line)
        return TemplateResponse(request, "admin/phone/phoneline/last_check.html", self._last(request, row))

    def check_view(self, request: HttpRequest, line: int) -> HttpResponse:
        """Begin a check. What stands in its way is told on the line's page."""
        if not request.user.has_perm(MAY_CHECK):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = get_object_or_404(PhoneLine.objects.select_related("clinic"), pk=line)
        if cannot := why_not(row):
            messages.error(request, cannot)
            return redirect("admin:phone_line_checks", row.pk)
        check = begin_check(row, now=timezone.now(), user=staff_user(request))
        if check is None:
            messages.info(request, "This line is being checked already.")
        elif check.state == State.RUNNING:
            messages.success(request, "The line calls itself now. The result is here in less than a minute.")
        else:
            messages.error(request, check.sentence)
        return redirect("admin:phone_line_checks", row.pk)

    def _last(self, request: HttpRequest, line: PhoneLine) -> dict[str, Any]:
        line_check_end_overdue(now=timezone.now())
        check = line.checks.select_related("started_by").first()
        return {
            "line": line,
            "check": shown(check),
            "keys": SEQUENCE,
            "rounds": rounds(check) if check else [],
            "why_not": why_not(line),
            "may_check": request.user.has_perm(MAY_CHECK),
        }


def shown(check: LineCheck | None) -> dict[str, Any] | None:
    """A check for the template: `result` in a word or two, and in sentences what it found."""
    if check is None:
        return None
    by = str(check.started_by) if check.started_by else ("the schedule" if check.scheduled else "somebody")
    return {
        "result": check.get_state_display(),
        "passed": check.state == State.PASSED,
        "running": check.state == State.RUNNING,
        "wrong": check.state in (State.FAULTY, State.FAILED),
        "at": moment_at(check.line.clinic, check.started_at),
        "by": by,
        "found": " ".join(filter(None, [check.sentence, told(check.found)])),
    }


def rounds(check: LineCheck) -> list[Round]:
    """What became of every key, round by round; none where nothing was pressed."""
    arrivals = check.arrivals()
    wrong = {(finding.round, finding.key): str(finding.trouble) for finding in check.found}
    found = []
    for number, spacing in enumerate(SPACINGS):
        pressed = {each.key: each.latency for each in arrivals if each.round == number}
        if pressed:
            cells = (
                Cell(key, key in pressed, _milliseconds(pressed.get(key)), wrong.get((number, key), ""))
                for key in SEQUENCE
            )
            found.append(Round(spacing, tuple(cells)))
    return found


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _let_look(request: HttpRequest) -> None:
    if not request.user.has_perm(MAY_LOOK):
        raise PermissionDenied
