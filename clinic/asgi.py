"""The web process: Django's pages, the office's live pages, and the phone page's calls in one event loop."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
pages = get_asgi_application()

# From here on there are models, which these modules name.
from agent_worker.answering import answer  # noqa: E402
from agent_worker.desk import Desk, make_desk  # noqa: E402
from agent_worker.lines.base import Line  # noqa: E402
from agent_worker.lines.browser_socket import BrowserSockets  # noqa: E402
from agent_worker.providers import read_speech_environment  # noqa: E402
from agent_worker.speech import log_providers  # noqa: E402
from phone.consumers import OfficeConsumer  # noqa: E402
from phone.views import LINE_ADDRESS  # noqa: E402

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class PhoneDesk:
    """The desk of the running event loop, and the calls at it."""

    def __init__(self) -> None:
        self.sockets = BrowserSockets(self.answer)
        self._desk: Desk | None = None

    def open(self) -> Desk:
        """Prepare for calls. Comes before the first one, so that its caller does not wait."""
        if self._desk is None:
            environment = read_speech_environment()
            log_providers(environment)
            self._desk = make_desk(environment)
        return self._desk

    async def answer(self, line: Line) -> None:
        await answer(line, self.open())

    async def close(self) -> None:
        """Hang up all calls, wait until each has its last row, and let go of the speech providers."""
        await self.sockets.hang_up_all()
        desk, self._desk = self._desk, None
        if desk is not None:
            await desk.speech.aclose()


phone = PhoneDesk()


async def lifespan(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Runs from the server's start to its stop (ASGI's lifespan protocol)."""
    await receive()
    phone.open()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await phone.close()
    await send({"type": "lifespan.shutdown.complete"})


async def refuse(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """A socket that nothing is behind."""
    await receive()
    await send({"type": "websocket.close"})


sockets = URLRouter(
    [
        path(LINE_ADDRESS.lstrip("/"), phone.sockets),  # type: ignore[arg-type]
        path("office/live/", AllowedHostsOriginValidator(AuthMiddlewareStack(OfficeConsumer.as_asgi()))),
        re_path("", refuse),  # type: ignore[arg-type]
    ]
)
application = ProtocolTypeRouter({"http": pages, "websocket": sockets, "lifespan": lifespan})
