"""What a test needs of the machine besides Python. Where that is missing, the test is left out and named."""

from __future__ import annotations

import os

import pytest

LEFT_OUT = "left out: "


def require_service(name: str, available: object, reason: str) -> None:
    """Leave the calling test or module out unless `available`; `make test` says at the end what and why.

    `name` is the group of tests ("browser tests"), `reason` what is missing ("chromium is not installed").
    With REQUIRE_SERVICES=1 it fails instead. Call it in a test, in a fixture, or at a module's top.
    """
    if available:
        return
    if os.environ.get("REQUIRE_SERVICES", "0") not in ("", "0"):
        pytest.fail(f"{name} cannot run: {reason}", pytrace=False)
    pytest.skip(f"{LEFT_OUT}{name}: {reason}", allow_module_level=True)
