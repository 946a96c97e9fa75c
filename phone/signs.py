"""What LiveKit's side has to give signs of life of."""

from __future__ import annotations

from datetime import timedelta

from clinic.signs_of_life import SignOfLife

SIGNS_EVERY = timedelta(seconds=20)
"""How often a worker that livekit-server can reach says so."""

WORKER_READY = SignOfLife("worker-ready")
"""A worker can be offered calls: livekit-server names no workers, and callers who find none ring until they give up."""

WEBHOOK_TAKEN = SignOfLife("webhook-taken", kept=None)
"""A webhook came that is signed with our key."""
