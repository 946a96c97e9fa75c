"""What callers hear of a clinic now, and why newer edits are not live: said on every page of the plan."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format

from clinic.models import Clinic
from phone.building import build_plan, clinic_with_setup, settings_of
from phone.models import PhoneSettings, PlanVersion
from phone.publishing import live_version, was_taken_back
from phone.validation import Problem, problems_of


@dataclass(frozen=True, slots=True)
class PlanState:
    """`live` is the version that callers hear; `changed` says that the rows say something else by now."""

    clinic: Clinic
    live: PlanVersion | None
    changed: bool
    problems: list[Problem]
    heard: str
    waiting: str

    @property
    def blocked(self) -> bool:
        """Whether the edits cannot go live as they are."""
        return self.changed and any(problem.blocks for problem in self.problems)


def plan_state(clinic_id: int, now: datetime | None = None) -> PlanState:
    """The state of a clinic's plan at `now` (aware), with its sentences. Raises Clinic.DoesNotExist."""
    now = now or timezone.now()
    clinic = clinic_with_setup(clinic_id)
    live = live_version(clinic)
    plan = build_plan(clinic)
    changed = live is None or live.content_hash != plan.content_hash()
    problems = problems_of(clinic, now)
    blocked = any(problem.blocks for problem in problems)
    return PlanState(
        clinic=clinic,
        live=live,
        changed=changed,
        problems=problems,
        heard=_heard(clinic, live),
        waiting=_waiting(clinic, now, blocked=blocked, live=live) if changed else "",
    )


def moment_at(clinic: Clinic, moment: datetime) -> str:
    """`moment` (aware) as the clinic's wall clock shows it."""
    return date_format(timezone.localtime(moment, zoneinfo.ZoneInfo(clinic.time_zone)), "F j, Y, g:i A")


def _heard(clinic: Clinic, live: PlanVersion | None) -> str:
    if live is None:
        return "Nothing is published yet: callers hear only that the office cannot take their call."
    heard = f"Callers hear version {live.number}, since {moment_at(clinic, live.published_at)}."
    if live.restores:
        heard += f" It brought version {live.restores.number} back."
    return heard


def _waiting(clinic: Clinic, now: datetime, *, blocked: bool, live: PlanVersion | None) -> str:
    settings = settings_of(clinic)
    what = "Newer changes are" if live else "What these pages say is"
    they = "They go" if live else "It goes"
    if blocked:
        return f"{what} not live, because something has to be put right first."
    if settings.publish_mode == PhoneSettings.PublishMode.BY_HAND:
        return f"{what} not live. {they} live when somebody presses Publish."
    if settings.publish_mode == PhoneSettings.PublishMode.AT:
        if settings.publish_at is None:
            return f"{what} not live. No date to publish at is chosen."
        if settings.publish_at <= now:
            return f"{what} not live yet. {they} live within a minute."
        return f"{what} not live. {they} live on {moment_at(clinic, settings.publish_at)}."
    if was_taken_back(clinic):
        return (
            "What was taken back is still on these pages, and not live. The next change makes all of it live."
        )
    return f"{what} not live yet. {they} live with the next save, or when somebody presses Publish."
