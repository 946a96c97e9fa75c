"""What LiveKit's native part, which is written in Rust and C++, need not do in this process."""

from __future__ import annotations

import os

from livekit.rtc import _ffi_client
from livekit.rtc.version import __version__


def silence_native_log() -> None:
    """Have the native part keep its log to itself.

    The SDK hands every line to Python, some 400 for each connection, which drops nearly all of them: a third of what a
    call's start costs this process in Python. What goes wrong is raised by the SDK's calls and told by its events.
    Whoever needs these lines sets RUST_LOG; they then go to stderr as they are, callers' numbers included.
    """
    os.environ.setdefault("RUST_LOG", "off")
    # The SDK has no switch of its own for it: it asks for the log as it is loaded. Asked once more, we decline.
    _ffi_client.FfiClient.instance._ffi_lib.livekit_ffi_initialize(
        _ffi_client.ffi_event_callback, False, b"python", __version__.encode("ascii")
    )


def hide_programs() -> None:
    """Have this process find no program by its name alone.

    The native part asks `lsb_release`, a shell script with ten processes, for each connection; where it finds none it
    reads /etc/os-release.
    """
    os.environ["PATH"] = ""
