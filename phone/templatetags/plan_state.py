"""The banner on every page of the plan: which version callers hear, and why newer edits are not live."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import NoReverseMatch, reverse

from clinic.models import Clinic
from phone.models import Menu, MenuOption
from phone.plan_state import PlanState, plan_state
from phone.validation import Problem

register = template.Library()


@register.simple_tag(takes_context=True)
def plan_states(context: dict[str, Any]) -> list[PlanState]:
    """The state of the page's clinic, or of every clinic on a page that is about none in particular."""
    row = context.get("page_clinic") or context.get("original")
    if isinstance(row, MenuOption):
        row = row.menu
    clinic_id = row.pk if isinstance(row, Clinic) else getattr(row, "clinic_id", None)
    ids = [clinic_id] if clinic_id else Clinic.objects.order_by("pk").values_list("pk", flat=True)
    return [plan_state(pk) for pk in ids]


@register.simple_tag
def problem_link(problem: Problem) -> str:
    """The page on which staff put a problem right, at its field. Empty where there is no such page."""
    row = problem.row.menu if isinstance(problem.row, MenuOption) else problem.row
    if row is None:
        return ""
    page = f"admin:{row._meta.app_label}_{row._meta.model_name}"
    try:
        link = reverse(f"{page}_change", args=(row.pk,)) if row.pk else reverse(f"{page}_add")
    except NoReverseMatch:
        return ""
    return link if isinstance(row, Menu) else f"{link}#id_{problem.field}"
