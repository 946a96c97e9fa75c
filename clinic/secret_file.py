"""A secret that the demo makes for itself, once, readable by its owner only."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def secret_from_file(path: Path) -> str:
    """The secret in `path`, made there at the first call (mode 0600). Two processes at once agree on one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600, exist_ok=True)
        draft.write_text(secrets.token_urlsafe(64), encoding="ascii")
        # A link fails where the file has appeared meanwhile: the first one wins, and nobody reads half of it.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text(encoding="ascii").strip()
