"""Open pages that hear of a change, where Redis carries the news."""

from __future__ import annotations

import logging

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer

from phone import live

NOBODY_LISTENS = "redis://127.0.0.1:9"


def test_without_redis_the_log_says_that_pages_were_not_told_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "get_channel_layer", lambda: RedisPubSubChannelLayer(hosts=[NOBODY_LISTENS]))
    with caplog.at_level(logging.WARNING, logger="phone.live"):
        live.office_changed()
    assert "Open pages were not told of a change: Redis does not answer" in caplog.text
