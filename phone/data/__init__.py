"""The product's own sentences and phrases, one TOML file per language, read once."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def load(name: str) -> dict[str, Any]:
    """The table in `phone/data/<name>.toml`. Callers must not change it. Raises FileNotFoundError."""
    return tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def load_all() -> None:
    """Load every table, so that nobody has to wait for one."""
    for file in files(__name__).iterdir():
        name, _, ending = file.name.rpartition(".")
        if ending == "toml":
            load(name)
