"""Takes WebSockets from the phone page, guards them, and runs one call on each (the protocol: `browser`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent_worker.lines.base import KeyPress, Line
from agent_worker.lines.browser import MAX_TEXT, MICROPHONE_RATES, BrowserLine, Send
from agent_worker.lines.limits import Allowance, AllowancePerAddress
from clinic.origins import own_page

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Answer = Callable[[Line], Awaitable[None]]

MAX_MESSAGE = 4096
"""Characters of a text frame, bytes of a binary one."""

MESSAGES_PER_SECOND = 100
"""From one page: fifty microphone frames, and keys as fast as fingers go."""

MESSAGES_AT_ONCE = 400

LAST_ROW_SECONDS = 5.0
"""How long a call may take to end once its caller is gone."""


class BadMessage(Exception):
    """A message that closes its socket with `code`; the text is the reason the page gets."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)


class KeyMessage(_Message):
    type: Literal["key"]
    key: str = Field(min_length=1, max_length=1)
    id: str | None = Field(default=None, max_length=64)


class TextMessage(_Message):
    type: Literal["text"]
    text: str = Field(min_length=1, max_length=MAX_TEXT)


class MicrophoneMessage(_Message):
    type: Literal["mic"]
    on: bool


class HangUpMessage(_Message):
    type: Literal["hangup"]


Message = KeyMessage | TextMessage | MicrophoneMessage | HangUpMessage

_parser: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def parse(text: str) -> Message:
    """One text frame as a message. Raises BadMessage."""
    if len(text) > MAX_MESSAGE:
        raise BadMessage(1009, "That message is too long.")
    try:
        return _parser.validate_json(text)
    except ValidationError as error:
        kinds = {problem["type"] for problem in error.errors(include_input=False, include_url=False)}
        if "union_tag_invalid" in kinds:
            raise BadMessage(1003, "That type of message is unknown.") from None
        if "string_too_long" in kinds:
            raise BadMessage(1009, "That message is too long.") from None
        raise BadMessage(1007, "That message could not be read.") from None


def origin_allowed(scope: Mapping[str, Any]) -> bool:
    """Whether the page that opens this socket is our own."""
    headers = dict(scope["headers"])
    return own_page(
        origin=headers.get(b"origin", b"").decode("latin-1"), host=headers.get(b"host", b"").decode("latin-1")
    )


class BrowserSockets:
    """The ASGI application behind the phone page's socket: one call per socket, all in one event loop.

    `answer` runs one whole call on the line it gets and returns when that call is over. Whatever ends the
    socket (a closed tab, a dead connection, a bad message, the server's shutdown) is a hang-up to the call,
    and the socket's task lives until the call has written its last row.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._calls: dict[BrowserLine, asyncio.Task[None]] = {}
        self._new_calls = AllowancePerAddress()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        if not settings.PHONE_PAGE_ENABLED or not origin_allowed(scope):
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        address = (scope.get("client") or ("",))[0]
        if not self._new_calls.take(address, per_minute=settings.PHONE_CALLS_PER_MINUTE):
            reason = "Too many calls from here in a short time. Please call again in a minute."
            await send({"type": "websocket.close", "code": 1013, "reason": reason})
            return
        await self._run(BrowserLine(send), receive)

    async def hang_up_all(self) -> None:
        """Hang up every call, and wait until each has written its last row (at most `LAST_ROW_SECONDS`)."""
        calls = list(self._calls.items())
        for line, _ in calls:
            line.caller_gone()
        if calls:
            await asyncio.wait([call for _, call in calls], timeout=LAST_ROW_SECONDS)

    async def _run(self, line: BrowserLine, receive: Receive) -> None:
        writer = asyncio.create_task(line.outbox.run(), name="phone-page-writer")
        line.open()
        call = self._calls[line] = asyncio.create_task(self._hold_call(line), name="phone-page-call")
        try:
            await self._read(line, receive)
        except BadMessage as error:
            line.close(error.code, str(error))
        finally:
            line.caller_gone()
            await asyncio.wait([call], timeout=LAST_ROW_SECONDS)
            if not call.done():
                logger.error("A call did not end in time after its caller was gone.")
                call.cancel()
            self._calls.pop(line)
            await self._finish(writer, line)

    async def _hold_call(self, line: BrowserLine) -> None:
        try:
            await self._answer(line)
        except Exception:
            logger.exception("A call on the phone page failed.")
            line.close(1011, "The call failed. Please call again.")
        await line.hang_up()

    async def _finish(self, writer: asyncio.Task[None], line: BrowserLine) -> None:
        """Let the closing frame out; a page that reads nothing is not waited for."""
        line.close(1000)
        await asyncio.wait([writer], timeout=1.0)
        line.outbox.abandon()

    async def _read(self, line: BrowserLine, receive: Receive) -> None:
        """Hand everything the page sends to `line` until the socket is closed. Raises BadMessage."""
        allowance = Allowance(MESSAGES_AT_ONCE, per_second=MESSAGES_PER_SECOND)
        while (event := await receive())["type"] != "websocket.disconnect":
            if not allowance.take():
                raise BadMessage(1008, "Too many messages in a short time.")
            text = event.get("text")
            if text is None:
                self._take_audio(line, event.get("bytes") or b"")
            else:
                self._take(line, parse(text))

    def _take(self, line: BrowserLine, message: Message) -> None:
        match message:
            case KeyMessage(key=key, id=press_id):
                line.pressed(KeyPress(key, press_id))
            case TextMessage(text=text):
                line.typed(text)
            case MicrophoneMessage(on=on):
                line.switch_microphone(on)
            case HangUpMessage():
                line.caller_gone()

    def _take_audio(self, line: BrowserLine, pcm: bytes) -> None:
        if len(pcm) > MAX_MESSAGE:
            raise BadMessage(1009, "That message is too long.")
        if len(pcm) not in MICROPHONE_RATES:
            raise BadMessage(1007, "Audio comes in frames of 20 milliseconds.")
        line.heard(pcm)
