"""What LiveKit's native part logs, and what it finds on the machine."""

from __future__ import annotations

import logging
import shutil

import pytest
from livekit import rtc

from agent_worker.lines.native import hide_programs, silence_native_log

NOBODY_LISTENS = "ws://127.0.0.1:9"


async def test_none_of_its_lines_comes_to_python(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The SDK would log all of them here.
    monkeypatch.setenv("LIVEKIT_RTC_DEBUG", "true")
    monkeypatch.setenv("RUST_LOG", "off")
    caplog.set_level(logging.DEBUG, logger="livekit")
    silence_native_log()
    with pytest.raises(rtc.ConnectError):
        await rtc.Room().connect(NOBODY_LISTENS, "no token")
    lines = [record.message for record in caplog.records if record.name == "livekit"]
    # What it had to say until it was asked to be silent.
    assert [line for line in lines if "initializing" not in line] == []


def test_no_program_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert shutil.which("sh")
    hide_programs()
    assert shutil.which("sh") is None
