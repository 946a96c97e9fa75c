"""Publishing: from the rows that staff edit to the version that callers hear, and back to an older one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import celery
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.utils import timezone
from kombu.exceptions import OperationalError

from clinic.hours import Switch
from clinic.models import Clinic
from phone.building import build_plan, clinic_with_setup, settings_of
from phone.middleware import current_user
from phone.models import Call, PhoneLine, PhoneSettings, PlanVersion
from phone.plan import PhonePlan
from phone.room_lines import line_of_room
from phone.validation import Problem, problems_of

logger = logging.getLogger(__name__)

RENDER_PROMPTS = "agent_worker.tasks.render_prompts"
"""The Celery task that speaks a version's prompts ahead of the calls. Takes the version's primary key."""

NO_END = datetime(9998, 1, 1, tzinfo=UTC)
"""Until when a switch without an end counts."""


class PlanInvalid(Exception):
    """The rows do not make a plan that callers could use. `problems` says why, in staff's words."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(" ".join(problem.sentence for problem in problems))


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """What a call starts with: row ids to be recorded, and the plan with the clinic's switch as it is now."""

    clinic_id: int
    line_id: int | None
    number: str
    version_id: int
    version_number: int
    plan: PhonePlan


def live_plan(dialled: str) -> LoadedPlan | None:
    """The plan behind the number `dialled` (E.164), in one query. None when no enabled line has a plan.

    An empty `dialled` is a call that came in by no number, such as the browser's: it gets the first enabled
    line, or, where there are no lines, the first clinic.
    """
    versions = PlanVersion.objects.select_related("clinic")
    if dialled:
        lines = PhoneLine.objects.filter(number=dialled, enabled=True)
        versions = versions.filter(clinic__phone_lines__in=lines).annotate(
            line=F("clinic__phone_lines"), line_number=F("clinic__phone_lines__number")
        )
        return _loaded(versions.order_by("-number"))
    return _loaded(_with_first_line(versions).order_by(F("line").asc(nulls_last=True), "clinic", "-number"))


def line_called(dialled: str, room: str) -> PhoneLine | None:
    """The line with the number `dialled` (E.164), enabled or not, published or not; else that of this LiveKit room."""
    lines = list(PhoneLine.objects.order_by("pk"))
    by_number = next((line for line in lines if str(line.number) == dialled), None)
    return by_number or line_of_room(room, lines)


def live_plan_of(clinic_id: int) -> LoadedPlan | None:
    """This clinic's plan, on its first enabled line if any, in one query. None before the first version."""
    versions = PlanVersion.objects.select_related("clinic").filter(clinic=clinic_id)
    return _loaded(_with_first_line(versions).order_by("-number"))


def live_plans() -> Iterator[LoadedPlan]:
    """The plan of each clinic that has one: `live_plan_of`, clinic by clinic, without those that are too old."""
    for clinic in Clinic.objects.order_by("pk").values_list("pk", flat=True):
        try:
            loaded = live_plan_of(clinic)
        except ValueError:
            logger.warning("the live plan of clinic %s cannot be read by this release", clinic)
            continue
        if loaded:
            yield loaded


def plan_of_call(call: Call) -> LoadedPlan | None:
    """The plan that `call` began with, in one query; None where it had none."""
    versions = PlanVersion.objects.select_related("clinic").filter(calls=call)
    lines = PhoneLine.objects.filter(calls=call)
    return _loaded(
        versions.annotate(line=Subquery(lines.values("pk")), line_number=Subquery(lines.values("number")))
    )


def plan_of_version(version_id: int) -> PhonePlan | None:
    """The plan that this version published, or None when there is no such version."""
    content = PlanVersion.objects.filter(pk=version_id).values_list("content", flat=True).first()
    return PhonePlan.model_validate(content) if content else None


def live_version(clinic: Clinic) -> PlanVersion | None:
    """The version that the clinic's callers hear, or None before the first one."""
    return clinic.plan_versions.select_related("published_by", "restores").order_by("-number").first()


@transaction.atomic
def publish(clinic_id: int, user: User | None = None, note: str = "") -> PlanVersion | None:
    """Make what the rows say the version that callers hear.

    Returns the new version, or None when callers hear just that already. Raises PlanInvalid when the rows do
    not make a usable plan; the last good version then stays live.
    """
    _lock(clinic_id)
    clinic = clinic_with_setup(clinic_id)
    problems = [problem for problem in problems_of(clinic) if problem.blocks]
    if problems:
        raise PlanInvalid(problems)
    plan = build_plan(clinic)
    live = live_version(clinic)
    if live and live.content_hash == plan.content_hash():
        return None
    return _store(clinic, plan, live, user=user, note=note)


@transaction.atomic
def roll_back(version: PlanVersion, user: User | None = None) -> PlanVersion | None:
    """Bring an older version back, as a new one. The rows stay as they are, and wait for the next publishing.

    Returns the new version, or None when callers hear just that already. Raises PlanInvalid when the version
    cannot be read by this release any more.
    """
    _lock(version.clinic_id)
    live = live_version(version.clinic)
    if live and live.content_hash == version.content_hash:
        return None
    try:
        plan = PhonePlan.model_validate(version.content)
    except ValueError as error:
        raise PlanInvalid([Problem(f"Version {version.number} is too old to be brought back.")]) from error
    return _store(
        version.clinic, plan, live, user=user, note=f"Version {version.number} again", restores=version
    )


def publish_saved(clinic_id: int, user: User | None = None) -> PlanVersion | None:
    """Publish after a save by `user`, where the clinic publishes on save and the plan is valid. Returns what went live.

    After a roll back, what was taken back stays back until somebody changes it: saving the same again, or
    turning the open/closed switch, does not bring it to the callers.
    """
    clinic = clinic_with_setup(clinic_id)
    if settings_of(clinic).publish_mode != PhoneSettings.PublishMode.ON_SAVE or was_taken_back(clinic):
        return None
    try:
        return publish(clinic_id, user)
    except PlanInvalid:
        # The pages that staff edit say so, with each problem; see plan_state.
        return None


def publish_due(now: datetime | None = None) -> list[PlanVersion]:
    """Publish for each clinic whose date has come by `now` (aware), which then publishes by hand again.

    A plan that is not valid at its date goes live as soon as it is, at a later run.
    """
    due = PhoneSettings.objects.filter(
        publish_mode=PhoneSettings.PublishMode.AT, publish_at__lte=now or timezone.now()
    )
    published = []
    for settings in due:
        try:
            version = publish(settings.clinic_id, note="At the chosen date")
        except PlanInvalid:
            continue
        PhoneSettings.objects.filter(pk=settings.pk, publish_at=settings.publish_at).update(
            publish_mode=PhoneSettings.PublishMode.BY_HAND, publish_at=None
        )
        if version:
            published.append(version)
    return published


class _Waiting(threading.local):
    """The clinics that changed in this thread's transaction and are not looked at yet."""

    def __init__(self) -> None:
        self.clinics: set[int] = set()


_waiting = _Waiting()


def publish_on_commit(clinic_id: int) -> None:
    """Call `publish_saved` once this transaction is committed, however often the clinic changed in it."""
    _waiting.clinics.add(clinic_id)
    user = current_user()
    transaction.on_commit(lambda: _publish_waiting(clinic_id, user), robust=True)


def _publish_waiting(clinic_id: int, user: User | None) -> None:
    # Every change registers a callback, because a savepoint that is rolled back takes its own away; the first
    # to run does the work for all.
    if clinic_id in _waiting.clinics:
        _waiting.clinics.discard(clinic_id)
        if Clinic.objects.filter(pk=clinic_id).exists():
            publish_saved(clinic_id, user)


def _lock(clinic_id: int) -> None:
    Clinic.objects.select_for_update().get(pk=clinic_id)


def was_taken_back(clinic: Clinic) -> bool:
    """Whether the rows still say what the last roll back took away from the callers."""
    live = live_version(clinic)
    if live is None or live.restores_id is None:
        return False
    taken_back = clinic.plan_versions.filter(restores=None).order_by("-number").first()
    return taken_back is not None and taken_back.content_hash == build_plan(clinic).content_hash()


def _store(
    clinic: Clinic,
    plan: PhonePlan,
    live: PlanVersion | None,
    *,
    user: User | None,
    note: str,
    restores: PlanVersion | None = None,
) -> PlanVersion:
    version = PlanVersion.objects.create(
        clinic=clinic,
        number=live.number + 1 if live else 1,
        content=plan.model_dump(mode="json"),
        content_hash=plan.content_hash(),
        published_by=user,
        note=note,
        restores=restores,
    )
    transaction.on_commit(lambda: _render_prompts(version.pk), robust=True)
    return version


def _render_prompts(version_id: int) -> None:
    try:
        celery.current_app.send_task(RENDER_PROMPTS, args=[version_id], retry=False)
    except OperationalError:
        # A prompt that nobody rendered ahead is rendered in the call.
        logger.warning("plan %s is live, but its prompts could not be ordered: no broker", version_id)


def _with_first_line(versions: QuerySet[PlanVersion]) -> QuerySet[PlanVersion]:
    first = PhoneLine.objects.filter(clinic=OuterRef("clinic"), enabled=True).order_by("pk")
    return versions.annotate(
        line=Subquery(first.values("pk")[:1]), line_number=Subquery(first.values("number")[:1])
    )


def _loaded(versions: QuerySet[PlanVersion]) -> LoadedPlan | None:
    version = versions.first()
    if version is None:
        return None
    plan = PhonePlan.model_validate(version.content)
    schedule = plan.schedule.model_copy(update={"switch": _switch(version.clinic)})
    return LoadedPlan(
        clinic_id=version.clinic_id,
        line_id=version.line,  # type: ignore[attr-defined]  # annotated by both callers
        number=str(version.line_number or ""),  # type: ignore[attr-defined]
        version_id=version.pk,
        version_number=version.number,
        plan=plan.model_copy(update={"schedule": schedule}),
    )


def _switch(clinic: Clinic) -> Switch | None:
    if not clinic.switch:
        return None
    return Switch(state=clinic.switch, until=clinic.switch_until or NO_END)
