"""UUIDv7 (RFC 9562, section 5.7): ids that sort by the moment they were made."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime


def uuid7(at: datetime) -> uuid.UUID:
    """A new id. `at` is aware; its millisecond leads the id, 74 random bits follow."""
    milliseconds = int(at.timestamp() * 1000) & (1 << 48) - 1
    random_a, random_b = divmod(secrets.randbits(74), 1 << 62)
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | random_a << 64 | 0b10 << 62 | random_b)
