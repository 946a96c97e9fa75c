"""“What callers hear”: the live version, newer edits, publishing, older versions to compare or bring back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from clinic.languages import LANGUAGES
from clinic.models import Clinic
from phone.admin.lists import parse_row_id
from phone.building import build_plan
from phone.differences import Difference, compare
from phone.middleware import current_user
from phone.models import PlanVersion
from phone.plan import Menu, PhonePlan
from phone.plan_state import moment_at, plan_state
from phone.publishing import PlanInvalid, live_version, publish, roll_back
from phone.wording import Utterance, WordingError, greeting, menu_prompt

MAY_PUBLISH = "phone.publish_plan"


@admin.register(PlanVersion)
class PlanVersionAdmin(ModelAdmin):
    """Read-only but for two buttons, each a POST: publish, and bring back."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: PlanVersion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PlanVersion | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("publish/<int:clinic_id>/", view(self.publish_view), name="phone_plan_publish"),
            path("<int:pk>/bring-back/", view(self.roll_back_view), name="phone_plan_roll_back"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._check_may_look(request)
        clinics = list(Clinic.objects.all())
        clinic = next((each for each in clinics if str(each.pk) == request.GET.get("clinic")), None)
        clinic = clinic or next(iter(clinics), None)
        context: dict[str, Any] = {"title": "What callers hear", "clinics": clinics}
        if clinic:
            state = plan_state(clinic.pk)
            plan = build_plan(state.clinic)
            context |= {
                "state": state,
                "newer": differences(state.live, plan),
                "prompts": prompts_of(plan),
                "versions": [
                    (version, moment_at(clinic, version.published_at))
                    for version in clinic.plan_versions.select_related("published_by", "restores")
                ],
                "phone_page": reverse("phone-page") if settings.PHONE_PAGE_ENABLED else "",
            }
        return self._page(request, "admin/phone/plan/page.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One version: what it changed, how it differs from the live one, what it said."""
        self._check_may_look(request)
        version = get_object_or_404(
            PlanVersion.objects.select_related("clinic", "published_by"), pk=parse_row_id(object_id)
        )
        plan = readable(version)
        live = live_version(version.clinic)
        before = version.clinic.plan_versions.filter(number=version.number - 1).first()
        context = {
            "title": f"Version {version.number}",
            "version": version,
            "published_at": moment_at(version.clinic, version.published_at),
            "readable": plan is not None,
            "before": before,
            "changed": differences(before, plan),
            "is_live": live == version,
            "live": live,
            "to_live": differences(live, plan),
            "prompts": prompts_of(plan) if plan else [],
        }
        return self._page(request, "admin/phone/plan/version.html", context)

    def publish_view(self, request: HttpRequest, clinic_id: int) -> HttpResponse:
        if refused := self._refused(request):
            return refused
        clinic = get_object_or_404(Clinic, pk=clinic_id)
        try:
            version = publish(clinic.pk, current_user(), note=request.POST.get("note", "")[:200])
        except PlanInvalid as invalid:
            for problem in invalid.problems:
                messages.error(request, problem.sentence)
        else:
            if version:
                messages.success(request, f"Version {version.number} is live: callers hear it from now on.")
            else:
                messages.info(request, "Callers hear just that already.")
        return self._back(clinic)

    def roll_back_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if refused := self._refused(request):
            return refused
        version = get_object_or_404(PlanVersion.objects.select_related("clinic"), pk=pk)
        try:
            back = roll_back(version, current_user())
        except PlanInvalid as invalid:
            messages.error(request, str(invalid))
        else:
            if back:
                messages.success(
                    request,
                    f"Version {version.number} is back: callers hear it from now on, as {back.number}.",
                )
            else:
                messages.info(request, "Callers hear just that already.")
        return self._back(version.clinic)

    def _check_may_look(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _refused(self, request: HttpRequest) -> HttpResponse | None:
        if not request.user.has_perm(MAY_PUBLISH):
            raise PermissionDenied
        return None if request.method == "POST" else HttpResponseNotAllowed(["POST"])

    def _back(self, clinic: Clinic) -> HttpResponse:
        return redirect(f"{reverse('admin:phone_planversion_changelist')}?clinic={clinic.pk}")

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        return TemplateResponse(
            request,
            template,
            self.admin_site.each_context(request)
            | {"opts": self.opts, "model_admin": self, "may_publish": request.user.has_perm(MAY_PUBLISH)}
            | context,
        )


def readable(version: PlanVersion) -> PhonePlan | None:
    """The version's plan; None for one from before a change of what a plan holds."""
    try:
        return PhonePlan.model_validate(version.content)
    except ValueError:
        return None


def differences(version: PlanVersion | None, plan: PhonePlan | None) -> list[Difference]:
    """What callers meet differently in `plan`, as against `version`."""
    old = readable(version) if version else None
    return compare(old, plan) if old and plan else []


def prompts_of(plan: PhonePlan) -> list[tuple[str, list[tuple[str, str]]]]:
    """The greeting and each menu as they are spoken, each by the language's name."""
    now = timezone.now()
    spoken = {"Greeting": partial(greeting, plan, at=now, keys=True)}
    for menu in sorted(plan.menus, key=lambda menu: _rank(plan, menu)):
        spoken[f"Menu “{menu.name}”"] = partial(menu_prompt, plan, menu, keys=True)
    return [
        (title, [(LANGUAGES[language], _shown(speak, language)) for language in plan.clinic.languages])
        for title, speak in spoken.items()
    ]


def _rank(plan: PhonePlan, menu: Menu) -> int:
    """The main menu comes first, then the one for closed hours."""
    return {plan.closed_menu: 1, plan.main_menu: 0}.get(menu.name, 2)


def _shown(speak: Callable[..., Utterance], language: str) -> str:
    try:
        return speak(language=language).text
    except WordingError:
        return "(This cannot be said until its wording is put right.)"
