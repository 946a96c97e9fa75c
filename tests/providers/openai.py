"""OpenAI's chat completions, streamed as server-sent events, with tool calls and refusals.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.providers.server import ProviderServer


@dataclass(frozen=True)
class Reply:
    """One answer of the model: words, a tool call, a refusal, or nothing at all. `stalls` never finishes it."""

    text: str = ""
    tool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    refusal: str = ""
    stalls: bool = False


class OpenAIServer(ProviderServer):
    """`replies` are given in order, the last one again and again; or `answer(request)` makes each.

    `asked` holds the decoded bodies.
    """

    def __init__(self, *replies: Reply, answer: Callable[[dict[str, Any]], Reply] | None = None) -> None:
        super().__init__()
        self.replies = list(replies) or [Reply("Hello.")]
        self.answer = answer

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    @property
    def seen(self) -> str:
        """Everything that the model was ever given."""
        return json.dumps(self.asked, ensure_ascii=False)

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/chat/completions", self._complete)]

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.note(body)
        await self.behave()
        reply = self.answer(body) if self.answer else self._next()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for delta, finish in _deltas(reply):
            chunk = {
                "id": "chatcmpl-local",
                "object": "chat.completion.chunk",
                "created": 0,
                "model": body["model"],
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
            if reply.stalls:
                await self._closing.wait()
        await response.write(b"data: [DONE]\n\n")
        return response

    def _next(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def _deltas(reply: Reply) -> Iterator[tuple[dict[str, Any], str | None]]:
    yield {"role": "assistant", "content": ""}, None
    for position, word in enumerate(reply.text.split(" ") if reply.text else []):
        yield {"content": word if position == 0 else f" {word}"}, None
    if reply.refusal:
        yield {"refusal": reply.refusal}, None
    if not reply.tool:
        yield {}, "stop"
        return
    call = {
        "index": 0,
        "id": "call_local",
        "type": "function",
        "function": {"name": reply.tool, "arguments": ""},
    }
    yield {"tool_calls": [call]}, None
    arguments = json.dumps(reply.arguments)
    for start in range(0, len(arguments), 8):
        piece = {"index": 0, "function": {"arguments": arguments[start : start + 8]}}
        yield {"tool_calls": [piece]}, None
    yield {}, "tool_calls"
