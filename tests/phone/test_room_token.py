"""The phone page asks for a way into a room on the LiveKit server."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
from django.core.cache import cache
from django.test import Client
from livekit.api import TokenVerifier

from phone.livekit_settings import AGENT_NAME, LiveKitEnvironment
from phone.models import PhoneLine
from tests.phone.clinics import a_clinic

pytestmark = pytest.mark.django_db

KEY, SECRET = "clinic", "a secret of thirty-two or more letters"
OWN_PAGE = "http://testserver"


@pytest.fixture(autouse=True)
def livekit(settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.LIVEKIT = LiveKitEnvironment(
        LIVEKIT_URL="ws://livekit:7880",
        LIVEKIT_API_KEY=KEY,
        LIVEKIT_API_SECRET=SECRET,
        LIVEKIT_PUBLIC_URL="wss://livekit.clinic.example",
    )
    cache.clear()


def ask(client: Client, origin: str | None = OWN_PAGE, **headers: str):
    if origin:
        headers["HTTP_ORIGIN"] = origin
    return client.post("/phone/token/", **headers)


def test_a_caller_gets_a_way_into_a_room_of_its_own_with_an_agent_in_it(client: Client) -> None:
    answer = ask(client).json()
    assert answer["server"] == "wss://livekit.clinic.example"
    claims = TokenVerifier(KEY, SECRET).verify(answer["token"])
    assert claims.video is not None
    assert claims.video.room_join
    assert [agent.agent_name for agent in claims.room_config.agents] == [AGENT_NAME]
    other = TokenVerifier(KEY, SECRET).verify(ask(client).json()["token"])
    assert other.video is not None
    assert other.video.room != claims.video.room
    assert other.identity != claims.identity


def test_the_rooms_name_begins_as_the_lines_rooms_do(client: Client) -> None:
    a_clinic()
    PhoneLine.objects.update(room_prefix="dental-")
    claims = TokenVerifier(KEY, SECRET).verify(ask(client).json()["token"])
    assert claims.video is not None
    assert claims.video.room.startswith("dental-")


def test_the_token_is_good_for_minutes_and_for_a_microphone_and_keys_only(client: Client) -> None:
    token = ask(client).json()["token"]
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["nbf"] <= timedelta(minutes=10).total_seconds()
    grants = dict(claims["video"])
    assert grants.pop("room")
    assert grants == {
        "roomJoin": True,
        "canPublish": True,
        "canPublishSources": ["microphone"],
        "canPublishData": True,
        "canSubscribe": True,
        "canUpdateOwnMetadata": False,
    }


@pytest.mark.parametrize(
    "origin", [None, "null", "https://elsewhere.example", "http://testserver:81", "http://testserver.example"]
)
def test_another_sites_page_gets_no_token(client: Client, origin: str | None) -> None:
    refused = ask(client, origin)
    assert refused.status_code == 403
    assert "token" not in refused.json()


def test_a_host_that_is_not_ours_is_refused(client: Client) -> None:
    assert ask(client, "http://elsewhere.example", HTTP_HOST="elsewhere.example").status_code == 400


def test_one_address_may_call_so_often_a_minute_and_another_is_not_held_up(client: Client, settings) -> None:
    settings.PHONE_CALLS_PER_MINUTE = 2
    answers = [ask(client, REMOTE_ADDR="203.0.113.9") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "Too many calls from here" in answers[-1].json()["sentence"]
    assert ask(client, REMOTE_ADDR="203.0.113.10").status_code == 200


def test_refused_pages_do_not_use_up_the_addresses_calls(client: Client, settings) -> None:
    settings.PHONE_CALLS_PER_MINUTE = 1
    for _ in range(3):
        ask(client, "https://elsewhere.example")
    assert ask(client).status_code == 200


def test_the_answer_is_kept_nowhere(client: Client) -> None:
    assert "no-store" in ask(client)["Cache-Control"]


def test_tokens_are_asked_for_by_post_only(client: Client) -> None:
    assert client.get("/phone/token/").status_code == 405


@pytest.mark.parametrize("missing", ["PHONE_PAGE_ENABLED", "LIVEKIT"])
def test_there_are_no_tokens_where_nobody_can_call(client: Client, settings, missing: str) -> None:
    setattr(settings, missing, LiveKitEnvironment() if missing == "LIVEKIT" else False)
    assert ask(client).status_code == 404


def test_the_page_may_reach_the_livekit_server_and_nothing_else(client: Client) -> None:
    policy = client.get("/phone/")["Content-Security-Policy"]
    assert "connect-src 'self' wss://livekit.clinic.example https://livekit.clinic.example;" in f"{policy};"
    assert "default-src 'self'" in policy
    assert "livekit" not in client.get("/")["Content-Security-Policy"]


def test_the_page_calls_the_site_itself_without_a_livekit_server(client: Client, settings) -> None:
    settings.LIVEKIT = LiveKitEnvironment()
    page = client.get("/phone/").content.decode()
    assert 'data-line="/phone/line/"' in page
    assert "data-token" not in page


def test_a_page_without_livekit_client_is_shown_and_the_log_says_what_to_do(
    client: Client, settings, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LIVEKIT_CLIENT = tmp_path / "absent"
    page = client.get("/phone/").content.decode()
    assert 'data-client=""' in page
    assert "npm install" in caplog.text
