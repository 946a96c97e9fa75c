"""The phone lines: the office's numbers, how each stands at the LiveKit server, and the button that mends it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminPasswordWidget

from clinic.admin.rows import TIMES_IN_MINUTES, ClinicRowForm
from clinic.crypto import CannotDecrypt, KeysUnavailable
from phone.admin.line_checks import LineCheckPages
from phone.admin.setup import SetupAdmin
from phone.line_sync import line_set_outbound_password, line_set_password, lines_at_server, sync_lines
from phone.livekit_api import LiveKitError
from phone.models import PhoneLine

TROUBLES = (LiveKitError, KeysUnavailable, CannotDecrypt)


def password_field(label: str | None = None) -> forms.CharField:
    """A field for a password that is kept encrypted."""
    return forms.CharField(
        required=False,
        strip=False,
        max_length=80,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Empty keeps the one that is stored. It is kept encrypted, and never shown.",
        label=label,
    )


class PhoneLineForm(ClinicRowForm):
    password = password_field()
    outbound_password = password_field(label="Password for calls out")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        line = self.instance
        self._check_login(cleaned, "auth_username", "password", line.auth_password_ciphertext)
        self._check_login(
            cleaned, "outbound_username", "outbound_password", line.outbound_password_ciphertext
        )
        return cleaned

    def _check_login(self, cleaned: dict[str, Any], name: str, password: str, stored: object) -> None:
        if cleaned.get(name) and not cleaned.get(password) and stored is None:
            self.add_error(password, "A user name needs a password.")
        if cleaned.get(password) and not cleaned.get(name):
            self.add_error(name, "A password needs a user name.")


@admin.register(PhoneLine)
class PhoneLineAdmin(LineCheckPages, SetupAdmin):
    form = PhoneLineForm
    list_display = ("number", "label", "clinic", "enabled")
    list_before_template = "admin/phone/phoneline/list_before.html"
    fieldsets = (
        (None, {"fields": ("clinic", "number", "label", "enabled")}),
        (
            "The way from the telephone provider",
            {
                "fields": (
                    "allowed_addresses",
                    ("auth_username", "password"),
                    "media_encryption",
                    "krisp",
                    "room_prefix",
                ),
                "description": "For calls through a LiveKit server. What is changed here counts once the list of "
                "phone lines says that LiveKit is in step.",
            },
        ),
        (
            "The way out, to the telephone provider",
            {
                "fields": (
                    ("outbound_address", "outbound_transport"),
                    ("outbound_username", "outbound_password"),
                ),
                "description": "Needed to fetch a person into a call, and to check the line. Only numbers of the "
                "directory, and the line's own, are ever called.",
            },
        ),
        ("The line check", {"fields": ("line_check_at",)}),
    )
    formfield_overrides = TIMES_IN_MINUTES

    def get_urls(self) -> list[URLPattern]:
        sync = self.admin_site.admin_view(self.sync_view)
        return [path("sync/", sync, name="phone_lines_sync"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context: dict[str, Any] = {
            "may_sync": self.has_change_permission(request),
            "lines_checked": self.lines_checked(request),
        }
        if settings.LIVEKIT.configured:
            try:
                context["at_server"] = lines_at_server()
            except TROUBLES as trouble:
                context["server_trouble"] = str(trouble)
        return super().changelist_view(request, context | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: PhoneLine, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        password = form.cleaned_data.get("password", "")
        if password or not obj.auth_username:
            line_set_password(line=obj, password=password)
        outbound_password = form.cleaned_data.get("outbound_password", "")
        if outbound_password or not obj.outbound_username:
            line_set_outbound_password(line=obj, password=outbound_password)

    def sync_view(self, request: HttpRequest) -> HttpResponse:
        """What `manage.py sync_lines` does; each step, and what was refused, is told on the list."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        done = 0
        try:
            for each in sync_lines():
                done += 1
                if each.refused:
                    messages.error(request, f"Could not {each.step}. {each.refused}")
                else:
                    messages.success(request, f"Done: {each.step}.")
        except TROUBLES as trouble:
            messages.error(request, str(trouble))
        else:
            if not done:
                messages.info(request, "LiveKit was in step already.")
        return redirect("admin:phone_phoneline_changelist")
