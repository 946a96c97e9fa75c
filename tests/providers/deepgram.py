"""Deepgram's live transcription: one WebSocket, audio in, results out.

https://developers.deepgram.com/reference/speech-to-text/listen-streaming
"""

from __future__ import annotations

from typing import Any

from aiohttp import WSMsgType, web

from tests.providers.server import ProviderServer


class DeepgramServer(ProviderServer):
    """`hears(text)` is what it understands on every open connection. `asked` holds each connection's query."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.audio_bytes = 0
        self._sockets: set[web.WebSocketResponse] = set()

    @property
    def url(self) -> str:
        return f"{self.address}/v1/listen"

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/listen", self._listen)]

    async def hears(self, text: str, connection: web.WebSocketResponse | None = None) -> None:
        """The caller's words, as they grow and then whole; on one connection where it is given."""
        words = text.split()
        to = {connection} if connection else self._sockets
        await self._send({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.0}, to)
        await self._send(_result(words[:1], final=False), to)
        await self._send(_result(words, final=True), to)

    async def received(self, connection: web.WebSocketResponse, pcm: bytes, rate: int) -> None:
        """A caller's sound has come: 16 bit samples, one channel, `rate` a second."""
        self.audio_bytes += len(pcm)

    async def hang_up(self) -> None:
        """Close every connection, as a provider that goes down in mid-call."""
        for socket in list(self._sockets):
            await socket.close()

    async def _listen(self, request: web.Request) -> web.WebSocketResponse:
        if self.mode != "silent":
            await self.behave()
        self.note({**request.query, "authorization": request.headers["Authorization"]})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    await self.received(socket, message.data, int(request.query["sample_rate"]))
                elif message.json()["type"] == "CloseStream":
                    break
        finally:
            self._sockets.discard(socket)
        return socket

    async def _send(self, message: dict[str, Any], to: set[web.WebSocketResponse]) -> None:
        if self.mode == "silent":
            return
        for socket in list(to):
            await socket.send_json(message)


def _result(words: list[str], *, final: bool) -> dict[str, Any]:
    timed = [
        {"word": word, "punctuated_word": word, "start": i * 0.3, "end": i * 0.3 + 0.2, "confidence": 0.99}
        for i, word in enumerate(words)
    ]
    alternative = {
        "transcript": " ".join(words),
        "confidence": 0.99,
        "words": timed,
        "languages": ["en"],
    }
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": 1.0,
        "start": 0.0,
        "is_final": final,
        "speech_final": final,
        "channel": {"alternatives": [alternative]},
        "metadata": {"request_id": "local"},
    }
