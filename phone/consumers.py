"""The socket behind every open admin page: how many requests wait, and a word when one comes in."""

from __future__ import annotations

from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth.models import AbstractUser
from django.urls import reverse
from django.utils import timezone

from phone.live import OFFICE, web_loop
from phone.models import Call, Request

NOT_ALLOWED = 4403


class OfficeConsumer(AsyncJsonWebsocketConsumer):
    """Sends counts when a page opens and whenever something changes. Reads nothing. No patient data passes."""

    groups: list[str] = []

    async def connect(self) -> None:
        await self.accept()
        if not await database_sync_to_async(may_see_requests)(self.scope.get("user")):
            await self.close(NOT_ALLOWED)
            return
        web_loop.remember()
        await self.channel_layer.group_add(OFFICE, self.channel_name)
        await self._send(new_requests=0, urgent=False)

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(OFFICE, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **_: Any) -> None:
        """Pages have nothing to say."""

    async def office_changed(self, message: dict[str, Any]) -> None:
        """What `phone.live.office_changed` sent."""
        await self._send(new_requests=message["new_requests"], urgent=message["urgent"])

    async def _send(self, *, new_requests: int, urgent: bool) -> None:
        news = await database_sync_to_async(office_news)()
        await self.send_json(news | {"new_requests": new_requests, "urgent": urgent})


def may_see_requests(user: AbstractUser | None) -> bool:
    """Whether `user` works in the office."""
    return bool(user and user.is_active and user.is_staff and user.has_perm("phone.view_request"))


def office_news() -> dict[str, Any]:
    """The counts that every page shows."""
    requests = Request.objects.of_real_calls()
    return {
        "open_requests": requests.open().count(),
        "overdue_requests": requests.overdue(now=timezone.now()).count(),
        "running_calls": Call.objects.of_people().running().count(),
        "requests_url": reverse("admin:phone_request_changelist"),
    }
