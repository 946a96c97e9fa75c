"""Digits that only the step that needs them can read: encrypted in memory, masked everywhere else."""

from __future__ import annotations

from dataclasses import dataclass

from clinic import crypto

CONTEXT = "keypad-entry"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted digits. Its repr, and so any log of it, shows none of them."""

    ciphertext: bytes
    key_id: str
    length: int

    @classmethod
    def seal(cls, digits: str) -> Sealed:
        ciphertext, key_id = crypto.encrypt(digits, CONTEXT)
        return cls(ciphertext, key_id, len(digits))

    def open(self) -> str:
        """The digits, for reading back and looking up. Never keep, log or pass them on."""
        return crypto.decrypt(self.ciphertext, self.key_id, CONTEXT)

    @property
    def masked(self) -> str:
        return "•" * self.length
