"""The wording of the model: what it is told to be, the tools it is told of, and what it must never say."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def text(name: str) -> str:
    """The instructions in `<name>.md`."""
    return files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8").strip()


@cache
def table(name: str) -> dict[str, Any]:
    """The table in `<name>.toml`. Callers must not change it."""
    return tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
