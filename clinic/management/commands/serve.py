"""One process for everything: the pages, the embedded line and, without Redis, the background work."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import OperationalError

from clinic.background import background_work
from clinic.demo import DEMO_LOGINS, DEMO_PASSWORD

GRACE_SECONDS = 6
"""How long calls have to write their last rows, and pages to be sent, once the server stops."""

LARGEST_MESSAGE = 64 * 1024
"""Bytes; a longer WebSocket message closes its socket with code 1009 (RFC 6455 section 7.4.1)."""


class Command(BaseCommand):
    """Serve until Ctrl-C. The demo is prepared first: database, keys, clinic, logins."""

    help = "Serves the pages, the phone page's calls and background work in one process, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port (default: %(default)s)")

    def handle(self, *, host: str, port: int, **_: Any) -> None:
        with listen(host, port) as listener:
            try:
                self.prepare()
            except OperationalError as error:
                raise CommandError(f"The database cannot be used: {error}") from None
            self.stdout.flush()
            with stopped_by_signals(), contextlib.ExitStack() as running:
                with contextlib.suppress(KeyboardInterrupt):
                    Server(self, listener, running).run(sockets=[listener])
                self.stdout.write("Stopping …")
                self.stdout.flush()
        self.stdout.write("Stopped.")

    def prepare(self) -> None:
        """Bring the demo's database and clinic up to date; elsewhere refuse what is left of a demo."""
        if settings.DEMO:
            call_command("migrate", verbosity=0, interactive=False)
            call_command("seed_demo", verbosity=0)
        else:
            self.check(databases=["default"])

    def announce(self, address: str) -> None:
        """Tell the person at the terminal where to go."""
        lines = [f"  The office:        {address}/admin/"]
        if settings.PHONE_PAGE_ENABLED:
            lines.insert(0, f"  Call the clinic:   {address}/phone/")
        if settings.DEMO:
            lines.append(f"  Log in as:         {', '.join(DEMO_LOGINS)} (password: {DEMO_PASSWORD})")
        lines.append("  Stop everything:   Ctrl-C")
        self.stdout.write("\n".join(["", "The clinic's line is open.", "", *lines, ""]))
        self.stdout.flush()


class Server(uvicorn.Server):
    """uvicorn, which says where it listens in our own words, and brings the background work along.

    That begins after the line is open: speech plugins load in the main thread, and only there.
    """

    def __init__(self, command: Command, listener: socket.socket, running: contextlib.ExitStack) -> None:
        config = uvicorn.Config(
            "clinic.asgi:application",
            lifespan="on",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ws_max_size=LARGEST_MESSAGE,
            # Audio does not compress; trying costs a third of the time that a frame takes.
            ws_per_message_deflate=False,
            # A caller whose network died without a word is gone after ten seconds.
            ws_ping_interval=5,
            ws_ping_timeout=5,
        )
        super().__init__(config)
        host, port = listener.getsockname()[:2]
        self._address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._command = command
        self._running = running

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and settings.CELERY_BROKER_URL.startswith("memory:"):
            await asyncio.to_thread(self._running.enter_context, background_work())
        if self.started:
            self._command.announce(self._address)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises CommandError with a sentence where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=512)
    except OverflowError:
        raise CommandError(f"{port} is not a port: choose one from 1 to 65535.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"Port {port} is taken. Stop what is using it, or choose another: PORT=8010 make run"
            ) from None
        raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
    # asyncio leaves this off for a socket it was handed, and then a key's answer waits 40 ms for the next packet.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    return listener


@contextlib.contextmanager
def stopped_by_signals() -> Any:
    """Let `kill` and a closed terminal end the process as Ctrl-C does: calls get their last rows.

    uvicorn stops by itself first, and then passes on the signal that stopped it.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, stop)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, hang_up)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
