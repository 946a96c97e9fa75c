"""“Ready?”: what still stands between this system and its callers, and the ticks that only staff can give."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from clinic.models import Clinic
from phone.middleware import current_user
from phone.models import Confirmation
from phone.readiness import not_ready, readiness

MAY_CONFIRM = "phone.add_confirmation"


class ConfirmationForm(forms.ModelForm):
    """When it was done, and a word about it."""

    class Meta:
        model = Confirmation
        fields = ["done_on", "note"]
        error_messages = {"done_on": {"required": "Enter the day on which it was done."}}

    def clean_done_on(self) -> date:
        done_on: date = self.cleaned_data["done_on"]
        if done_on > office_today():
            raise forms.ValidationError("This day is yet to come. Enter the day on which it was done.")
        return done_on


def office_today() -> date:
    """Today, by the first clinic's calendar."""
    clinic = Clinic.objects.order_by("pk").first()
    return timezone.localdate(timezone=ZoneInfo(clinic.time_zone) if clinic else None)


@admin.register(Confirmation)
class ConfirmationAdmin(ModelAdmin):
    """One page, and a POST for each tick."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Ticks are given on the page itself.
        return False

    def has_change_permission(self, request: HttpRequest, obj: Confirmation | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Confirmation | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        confirm = self.admin_site.admin_view(self.confirm_view)
        return [
            path("confirm/<slug:subject>/", confirm, name="phone_confirmation_confirm"),
            path("", self.admin_site.admin_view(self.changelist_view), name="phone_confirmation_changelist"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        groups = readiness(now=timezone.now(), secure=request.is_secure())
        context = self.admin_site.each_context(request) | {
            "title": "Ready?",
            "opts": self.opts,
            "groups": groups,
            "not_ready": not_ready(groups),
            "today": office_today().isoformat(),
            "may_confirm": request.user.has_perm(MAY_CONFIRM),
        }
        return TemplateResponse(request, "admin/phone/readiness/page.html", context)

    def confirm_view(self, request: HttpRequest, subject: str) -> HttpResponse:
        if not request.user.has_perm(MAY_CONFIRM):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if subject not in Confirmation.Subject.values:
            raise Http404
        tick = Confirmation(subject=subject, confirmed_by=current_user())
        form = ConfirmationForm(request.POST, instance=tick)
        if form.is_valid():
            form.save()
            messages.success(request, "Thank you. It is written down with your name.")
        for errors in form.errors.values():
            for error in errors:
                messages.error(request, str(error))
        return redirect(reverse("admin:phone_confirmation_changelist"))
