"""Cartesia's speech: one WebSocket with contexts for streaming, one POST for whole texts.

https://docs.cartesia.ai/api-reference/tts/websocket and …/tts/bytes
"""

from __future__ import annotations

import base64
import json
from typing import Any

from aiohttp import WSMsgType, web

from tests.providers.server import ProviderServer

SAMPLE = b"\x10\x20"
SECONDS_PER_TEXT = 0.2


class CartesiaServer(ProviderServer):
    """Speaks a fifth of a second of constant sound for each text. `asked` holds the messages and bodies."""

    @property
    def url(self) -> str:
        return self.address

    @property
    def spoken(self) -> str:
        """All that it was asked to say."""
        return "".join(message["transcript"] for message in self.asked)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/tts/websocket", self._stream), web.post("/tts/bytes", self._whole)]

    async def _whole(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.note(body)
        await self.behave()
        return web.Response(body=_sound(body), content_type="audio/pcm")

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        if self.mode == "failing":
            await self.behave()
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                continue
            body = json.loads(message.data)
            self.note(body)
            await self.behave()
            context = {"context_id": body["context_id"], "status_code": 200}
            if body["transcript"].strip():
                sound = base64.b64encode(_sound(body)).decode()
                await socket.send_json({"type": "chunk", "data": sound, "done": False, **context})
            if not body["continue"]:
                await socket.send_json({"type": "done", "done": True, **context})
        return socket


def _sound(body: dict[str, Any]) -> bytes:
    return SAMPLE * int(body["output_format"]["sample_rate"] * SECONDS_PER_TEXT)
