"""Stops with one sentence when the port of `make run` cannot be used. Needs the standard library only."""

import os
import socket
import sys

EXAMPLE = "Choose another: PORT=8010 make run"


def complaint(port: str) -> str:
    """What is wrong with `port` on 127.0.0.1, or an empty string."""
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        return "PORT should be a number from 1 to 65535."
    try:
        socket.create_server(("127.0.0.1", int(port))).close()
    except PermissionError:
        return f"Port {port} may be used by the administrator only. {EXAMPLE}"
    except OSError:
        return f"Port {port} is taken. Stop what is using it, or choose another: PORT=8010 make run"
    return ""


if __name__ == "__main__":
    sys.exit(complaint(os.environ.get("PORT") or "8000") or 0)
