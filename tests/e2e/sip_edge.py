"""A stand-in for livekit-sip, which has no package here, at the edge of two requests: call a number, and transfer.

It stands between a worker and a real livekit-server. Everything passes through untouched but the Twirp requests
`SIP/CreateSIPParticipant` and `SIP/TransferSIPParticipant`, which livekit-server would hand to livekit-sip. What
becomes of those, the telephone network beyond the edge says: `looping_trunk` or `exchange`. What is assumed was
measured on the real stack (livekit-server 1.13.5, livekit-sip of August 2026), or else says where it comes from:

- a call or transfer that is refused is a Twirp error whose `meta` has `sip_status_code` and `sip_status`. The codes
  resource_exhausted and permission_denied were seen. That a carrier which refuses the REFER itself comes out as
  `sip_status_code` 405 was not measured: it follows RFC 3261, section 21.4.6;
- with `wait_until_answered` the request to call a number returns once that was answered;
- a transfer that is accepted returns after the NOTIFY with 200, and the caller's leg leaves the room; one of which
  nobody says anything is `deadline_exceeded` after 30 s. But for the one that was accepted, the call stays up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message

from tests.e2e.servers import LiveKitServer, free_port

T = TypeVar("T")

CALL = "CreateSIPParticipant"
TRANSFER = "TransferSIPParticipant"


@dataclass(frozen=True)
class Answer:
    """What a request gets: an HTTP response."""

    http: int
    kind: str
    content: bytes


REASONS = {
    405: ("Method Not Allowed", "unimplemented", 501),
    480: ("Temporarily Unavailable", "unavailable", 503),
    486: ("Busy Here", "resource_exhausted", 429),
    603: ("Decline", "permission_denied", 403),
}
"""SIP status (RFC 3261 section 21) → its reason, Twirp's code, and the HTTP status that goes with that."""


def accepted(message: Message) -> Answer:
    return Answer(200, "application/protobuf", message.SerializeToString())


def refused(status: int) -> Answer:
    """The other side says no, with this SIP status."""
    reason, code, http = REASONS[status]
    return _error(code, http, sip_status_code=str(status), sip_status=reason)


def out_of_time() -> Answer:
    """Nobody has said anything."""
    return _error("deadline_exceeded", 408)


def given_up() -> Answer:
    """Whoever was called was taken out of the room before they answered."""
    return _error("canceled", 408)


def _error(code: str, http: int, **meta: str) -> Answer:
    content = json.dumps({"code": code, "msg": "twirp error", "meta": meta}).encode()
    return Answer(http, "application/json", content)


class SipEdge:
    """livekit-server's address for a worker. Runs on a thread of its own, from `__init__` to `stop`.

    `take` is the network beyond it: given `CALL` or `TRANSFER` and the request's body, on the edge's loop, it answers.
    """

    def __init__(self, server: LiveKitServer) -> None:
        self.port = free_port()
        self.take: Callable[[str, bytes], Awaitable[Answer]] | None = None
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sip edge", daemon=True)
        self._thread.start()
        self._listening = self.run(asyncio.start_server(self._accept, "127.0.0.1", self.port))

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this on the edge's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def stop(self) -> None:
        self._listening.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            request = path.removeprefix("/twirp/livekit.SIP/")
            if request in (CALL, TRANSFER):
                await self._answer(request, head, reader, writer)
            else:
                await self._hand_on(head, reader, writer)
        writer.close()

    async def _answer(
        self, request: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        fields = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:] if b": " in line)
        body = await reader.readexactly(int(fields[b"content-length"]))
        assert self.take, "nobody is there to answer"
        answer = await self.take(request, body)
        writer.write(
            f"HTTP/1.1 {answer.http} X\r\nContent-Type: {answer.kind}\r\n"
            f"Content-Length: {len(answer.content)}\r\nConnection: close\r\n\r\n".encode()
            + answer.content
        )
        await writer.drain()

    async def _hand_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._server.port)
        back.write(head)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
