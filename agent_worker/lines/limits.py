"""How often something may happen: token buckets on the event loop's clock."""

from __future__ import annotations

import asyncio
import ipaddress

ADDRESSES_KEPT = 1000
"""Addresses remembered before those that have been quiet long enough are forgotten."""


class Allowance:
    """Lets `at_once` things happen in a burst, and `per_second` in the long run."""

    def __init__(self, at_once: float, *, per_second: float) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._left = at_once
        self._clock = asyncio.get_running_loop().time
        self._counted_at = self._clock()

    def take(self) -> bool:
        """Whether one more may happen now; it is counted if so."""
        self._refill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def full(self) -> bool:
        """Nothing happened for so long that this allowance is as good as a new one."""
        self._refill()
        return self._left >= self._at_once

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now


class AllowancePerAddress:
    """One allowance for each network address; an IPv6 network of 64 bits, which one customer has, counts as one."""

    def __init__(self) -> None:
        self._allowances: dict[str, Allowance] = {}

    def take(self, address: str, *, per_minute: int) -> bool:
        """Whether `address` may do it once more; `per_minute` is also how many may come at once."""
        if len(self._allowances) >= ADDRESSES_KEPT:
            self._allowances = {
                known: allowance for known, allowance in self._allowances.items() if not allowance.full
            }
        allowance = Allowance(per_minute, per_second=per_minute / 60)
        return self._allowances.setdefault(_network(address), allowance).take()

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._allowances)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
