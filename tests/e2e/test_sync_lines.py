"""`sync_lines` against a real livekit-server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from livekit import api

from phone.line_sync import line_set_outbound_password, line_set_password
from phone.livekit_api import LiveKit
from phone.livekit_settings import LiveKitEnvironment
from phone.models import PhoneLine
from tests.e2e.servers import LiveKitServer
from tests.phone.clinics import a_clinic
from tests.phone.office import make_staff

pytestmark = pytest.mark.django_db

NUMBER = "+12125550177"


@pytest.fixture
def server(livekit: LiveKitServer, settings: Any) -> Iterator[LiveKitServer]:
    settings.LIVEKIT = LiveKitEnvironment(**livekit.environment)
    yield livekit
    asked = LiveKit()
    for rule in async_to_sync(asked.list_rules)():
        async_to_sync(asked.delete_rule)(rule)
    for trunk in (*async_to_sync(asked.list_trunks)(), *async_to_sync(asked.list_outbound_trunks)()):
        async_to_sync(asked.delete_trunk)(trunk)


@pytest.fixture
def line(server: LiveKitServer) -> PhoneLine:
    line = a_clinic(number=NUMBER).phone_lines.get()
    line.room_prefix, line.allowed_addresses, line.auth_username = "dental-", "203.0.113.7", "desk"
    line.media_encryption = PhoneLine.Encryption.REQUIRE
    line.save()
    line_set_password(line=line, password="open sesame")
    return line


def ask(server: LiveKitServer, question: Callable[[api.LiveKitAPI], Any]) -> Any:
    """Ask the server as somebody would who does not know us."""

    async def asked() -> Any:
        async with api.LiveKitAPI(server.url, server.key, server.secret) as connection:
            return await question(connection)

    return async_to_sync(asked)()


def trunks(server: LiveKitServer) -> list[api.SIPInboundTrunkInfo]:
    return list(ask(server, lambda it: it.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())).items)


def outbound_trunks(server: LiveKitServer) -> list[api.SIPOutboundTrunkInfo]:
    found = ask(server, lambda it: it.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest()))
    return list(found.items)


def rules(server: LiveKitServer) -> list[api.SIPDispatchRuleInfo]:
    return list(ask(server, lambda it: it.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items)


def make_trunk(server: LiveKitServer, number: str) -> api.SIPInboundTrunkInfo:
    trunk = api.SIPInboundTrunkInfo(name="the reception's own", numbers=[number])
    request = api.CreateSIPInboundTrunkRequest(trunk=trunk)
    return ask(server, lambda it: it.sip.create_inbound_trunk(request))  # type: ignore[no-any-return]


def sync(**options: Any) -> str:
    out = StringIO()
    call_command("sync_lines", stdout=out, stderr=out, **options)
    return out.getvalue()


def test_a_line_has_what_a_call_needs_and_the_second_run_does_nothing(
    server: LiveKitServer, line: PhoneLine
) -> None:
    assert sync().count("Done: make the") == 2
    (trunk,), (rule,) = trunks(server), rules(server)
    assert (trunk.numbers, trunk.allowed_addresses, trunk.krisp_enabled) == ([NUMBER], ["203.0.113.7"], False)
    assert (trunk.auth_username, trunk.auth_password) == ("desk", "open sesame")
    assert trunk.media.encryption == api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
    assert rule.rule.dispatch_rule_individual.room_prefix == "dental-"
    assert list(rule.trunk_ids) == [trunk.sip_trunk_id]
    assert dict(rule.attributes) == {"sip.sendDtmf": "true"}
    assert [agent.agent_name for agent in rule.room_config.agents] == ["clinic-phone"]

    assert "in step" in sync()
    assert (trunks(server), rules(server)) == ([trunk], [rule])


def test_a_line_that_may_call_out_has_an_outbound_trunk_that_is_mended_and_taken_away(
    server: LiveKitServer, line: PhoneLine
) -> None:
    line.outbound_address, line.outbound_username, line.outbound_transport = (
        "sip.example.com",
        "clinic",
        "tls",
    )
    line.save()
    line_set_outbound_password(line=line, password="open sesame")
    assert "Done: make the outbound trunk" in sync()
    (trunk,) = outbound_trunks(server)
    assert (trunk.address, trunk.numbers) == ("sip.example.com", [NUMBER])
    assert (trunk.auth_username, trunk.auth_password) == ("clinic", "open sesame")
    assert trunk.transport == api.SIPTransport.SIP_TRANSPORT_TLS
    assert trunk.media.encryption == api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
    assert "in step" in sync()

    moved = api.SIPOutboundTrunkInfo()
    moved.CopyFrom(trunk)
    moved.address, moved.headers["X-Ours"] = "elsewhere.example", "yes"
    ask(server, lambda it: it.sip.update_outbound_trunk(moved.sip_trunk_id, moved))
    assert "provider's host “elsewhere.example” instead of “sip.example.com”" in sync()
    (mended,) = outbound_trunks(server)
    assert (mended.address, dict(mended.headers)) == ("sip.example.com", {"X-Ours": "yes"})

    line.refresh_from_db()
    line.outbound_address = ""
    line.save()
    assert "remove the outbound trunk" in sync()
    assert outbound_trunks(server) == []
    assert len(trunks(server)) == 1


def test_a_dry_run_makes_nothing(server: LiveKitServer, line: PhoneLine) -> None:
    assert "Would make the trunk" in sync(dry_run=True)
    assert trunks(server) == rules(server) == []


def test_what_somebody_changed_by_hand_is_mended_and_the_rest_of_theirs_stays(
    server: LiveKitServer, line: PhoneLine
) -> None:
    sync()
    (before,), (rule,) = trunks(server), rules(server)
    trunk = api.SIPInboundTrunkInfo()
    trunk.CopyFrom(before)
    trunk.krisp_enabled, trunk.headers["X-Ours"] = True, "yes"
    trunk.media.encryption = api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE
    trunk.allowed_addresses.append("198.51.100.9")
    ask(server, lambda it: it.sip.update_inbound_trunk(trunk.sip_trunk_id, trunk))
    direct = api.SIPDispatchRule(dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name="one-room"))
    ask(server, lambda it: it.sip.update_dispatch_rule_fields(rule.sip_dispatch_rule_id, rule=direct))

    said = sync()
    assert "noise suppression on instead of off" in said
    assert "audio encryption “off” instead of “require”" in said
    assert "kind “dispatch_rule_direct” instead of “dispatch_rule_individual”" in said
    (mended,) = trunks(server)
    assert (mended.krisp_enabled, mended.allowed_addresses) == (False, ["203.0.113.7"])
    assert dict(mended.headers) == {"X-Ours": "yes"}
    assert rules(server) == [rule]
    assert "in step" in sync()


def test_a_foreign_trunk_is_never_touched(server: LiveKitServer, line: PhoneLine) -> None:
    foreign = make_trunk(server, "+12125550199")
    sync()
    line.delete()
    assert "remove the trunk of a line that is gone" in sync()
    assert (trunks(server), rules(server)) == ([foreign], [])


def test_a_number_that_a_foreign_trunk_has_is_refused_and_nothing_is_half_made(
    server: LiveKitServer, line: PhoneLine
) -> None:
    foreign = make_trunk(server, NUMBER)
    out = StringIO()
    with pytest.raises(CommandError, match="refused"):
        call_command("sync_lines", stdout=out, stderr=out)
    assert "LiveKit says: Conflicting inbound SIP Trunks" in out.getvalue()
    assert (trunks(server), rules(server)) == ([foreign], [])
    line.refresh_from_db()
    assert line.trunk_id == line.dispatch_rule_id == ""


@pytest.fixture
def office(client: Client) -> Client:
    client.force_login(make_staff("mo", "view_phoneline", "change_phoneline"))
    return client


def test_the_page_of_phone_lines_says_what_the_server_refuses_and_nothing_is_half_made(
    server: LiveKitServer, line: PhoneLine, office: Client
) -> None:
    foreign = make_trunk(server, NUMBER)
    page = office.post(reverse("admin:phone_lines_sync"), follow=True).content.decode()
    assert "Could not make the trunk" in page
    assert "LiveKit says: Conflicting inbound SIP Trunks" in page
    assert (trunks(server), rules(server)) == ([foreign], [])


WRONG = pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("LIVEKIT_API_SECRET", "another secret of thirty-two letters", "does not accept our key"),
        ("LIVEKIT_API_KEY", "somebody", "does not accept our key"),
        ("LIVEKIT_URL", "ws://127.0.0.1:1", "does not answer"),
    ],
)


@WRONG
def test_a_wrong_setting_is_a_sentence(
    server: LiveKitServer, settings: Any, variable: str, value: str, sentence: str
) -> None:
    right = settings.LIVEKIT
    settings.LIVEKIT = LiveKitEnvironment(**{**server.environment, variable: value})
    with pytest.raises(CommandError, match=sentence):
        sync()
    settings.LIVEKIT = right


@WRONG
def test_a_wrong_setting_is_a_sentence_on_the_page_of_phone_lines(
    server: LiveKitServer,
    line: PhoneLine,
    office: Client,
    settings: Any,
    variable: str,
    value: str,
    sentence: str,
) -> None:
    right = settings.LIVEKIT
    settings.LIVEKIT = LiveKitEnvironment(**{**server.environment, variable: value})
    assert sentence in office.get(reverse("admin:phone_phoneline_changelist")).content.decode()
    assert sentence in office.post(reverse("admin:phone_lines_sync"), follow=True).content.decode()
    settings.LIVEKIT = right
    assert trunks(server) == []
