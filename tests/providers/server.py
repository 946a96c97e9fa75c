"""What the local provider servers have in common: an address, a mode, and what they were asked."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, Self

from aiohttp import web

Mode = Literal["normal", "slow", "failing", "silent"]
"""How a server behaves: as it should; only after `delay`; with HTTP 500; or it accepts and never answers."""


class ProviderServer:
    """An HTTP server on a free port of 127.0.0.1, for `async with`."""

    def __init__(self, mode: Mode = "normal", *, delay: float = 0.3) -> None:
        self.mode: Mode = mode
        self.delay = delay
        self.asked: list[dict[str, Any]] = []
        """Each request or message, decoded, in order."""
        self._heard = asyncio.Event()
        self._closing = asyncio.Event()
        self._port = 0

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()

    def note(self, what: dict[str, Any]) -> None:
        self.asked.append(what)
        self._heard.set()
        self._heard = asyncio.Event()

    async def was_asked(self, times: int = 1) -> None:
        """Wait until the server was asked so often."""
        async with asyncio.timeout(10):
            while len(self.asked) < times:
                await self._heard.wait()

    async def behave(self) -> None:
        """What the mode does before an answer. Raises HTTPInternalServerError for a failing server."""
        if self.mode == "failing":
            raise web.HTTPInternalServerError(text="the provider is down")
        if self.mode == "slow":
            await asyncio.sleep(self.delay)
        if self.mode == "silent":
            await self._closing.wait()
