"""The access log: who looked at patient data, played it or took it out."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from clinic.models import AccessRecord


def record_access(
    request: HttpRequest, action: AccessRecord.Action, obj_or_model: Model | type[Model], count: int = 1
) -> AccessRecord:
    """Note that the user of `request` did `action` to one object, or to `count` objects of a model."""
    return AccessRecord.objects.create(
        user_id=request.user.pk,
        username=request.user.get_username(),
        action=action,
        model=obj_or_model._meta.label_lower,
        object_id=str(obj_or_model.pk) if isinstance(obj_or_model, Model) else "",
        count=count,
        address=request.META.get("REMOTE_ADDR") or None,
    )


class RecordsAccess:
    """Mixin for a ModelAdmin of patient data, before its other bases.

    Opening an object's page leaves a record, and so does taking objects out (with `import_export`'s ExportMixin
    among the bases). Titles, which browsers keep in their history, do not name the object.
    """

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"subtitle": None} | (extra_context or {})
        response: HttpResponse = super().change_view(request, object_id, form_url, context)  # type: ignore[misc]
        # Anything but 200 showed nothing: a redirect, because it was saved or there is no such object.
        if response.status_code == 200:
            model: type[Model] = self.model  # type: ignore[attr-defined]
            shown = model(pk=model._meta.pk.to_python(unquote(object_id)))
            record_access(request, AccessRecord.Action.VIEW, shown)
        return response

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": "Change history"} | (extra_context or {})
        response: HttpResponse = super().history_view(request, object_id, context)  # type: ignore[misc]
        return response

    def get_export_data(
        self, file_format: Any, request: HttpRequest, queryset: QuerySet[Any], **kwargs: Any
    ) -> str | bytes:
        data: str | bytes = super().get_export_data(file_format, request, queryset, **kwargs)  # type: ignore[misc]
        record_access(request, AccessRecord.Action.EXPORT, queryset.model, count=queryset.count())
        return data
