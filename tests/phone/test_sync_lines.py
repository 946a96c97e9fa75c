"""LiveKit's trunks and dispatch rules follow the phone lines: the command, the list in the admin, and its button."""

from __future__ import annotations

import logging
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from phone.line_sync import line_set_outbound_password, line_set_password
from phone.livekit_api import (
    LiveKit,
    LiveKitNotSetUp,
    LiveKitRefused,
    LiveKitUnreachable,
    OutboundTrunk,
    Rule,
    Trunk,
)
from phone.models import PhoneLine
from tests.phone.clinics import a_clinic
from tests.phone.livekit import FakeLiveKit, a_server
from tests.phone.office import make_staff

pytestmark = pytest.mark.django_db

LIST = reverse("admin:phone_phoneline_changelist")
SYNC = reverse("admin:phone_lines_sync")
FOREIGN = Trunk(name="reception's", mark="", numbers=("+15559999",))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, settings: Any) -> FakeLiveKit:
    return FakeLiveKit().install(monkeypatch, settings, "phone.line_sync")


@pytest.fixture
def line(server: FakeLiveKit) -> PhoneLine:
    line = a_clinic().phone_lines.get()
    PhoneLine.objects.update(
        label="Front desk", room_prefix="dental-", allowed_addresses="203.0.113.7\n10.0.0.0/8"
    )
    line.refresh_from_db()
    return line


def sync(**options: Any) -> str:
    out = StringIO()
    call_command("sync_lines", stdout=out, stderr=out, **options)
    return out.getvalue()


class TestTheCommand:
    def test_makes_a_trunk_and_a_rule_for_each_line(self, server: FakeLiveKit, line: PhoneLine) -> None:
        said = sync()
        line.refresh_from_db()
        trunk, rule = server.trunks[line.trunk_id], server.rules[line.dispatch_rule_id]
        assert (trunk.numbers, trunk.allowed_addresses) == (("+15550100",), ("10.0.0.0/8", "203.0.113.7"))
        assert (trunk.username, trunk.encryption, trunk.krisp) == ("", "off", False)
        assert (rule.room_prefix, rule.trunk_ids, rule.agents) == (
            "dental-",
            (line.trunk_id,),
            ("clinic-phone",),
        )
        assert rule.attributes == (("sip.sendDtmf", "true"),)
        assert said.count("Done: make the") == 2

    def test_does_nothing_the_second_time(self, server: FakeLiveKit, line: PhoneLine) -> None:
        sync()
        server.asked.clear()
        assert "in step with the phone lines (1)" in sync()
        assert server.asked == []

    def test_a_dry_run_tells_and_changes_nothing(self, server: FakeLiveKit, line: PhoneLine) -> None:
        assert "Would make the trunk of Front desk +15550100" in sync(dry_run=True)
        line.refresh_from_db()
        assert (server.asked, line.trunk_id) == ([], "")

    @pytest.mark.parametrize(
        ("where", "drift", "told"),
        [
            ("trunk_id", {"krisp": True}, "trunk: noise suppression on instead of off"),
            ("trunk_id", {"numbers": ()}, "trunk: numbers none instead of +15550100"),
            ("trunk_id", {"mark": "mine"}, "trunk: mark as ours “mine” instead of"),
            ("dispatch_rule_id", {"room_prefix": "x-"}, "dispatch rule: room prefix “x-” instead of “dental-”"),
            ("dispatch_rule_id", {"attributes": ()}, "attributes none instead of sip.sendDtmf=true"),
            ("dispatch_rule_id", {"agents": ("other",)}, "agent other instead of clinic-phone"),
            ("dispatch_rule_id", {"pin": "99"}, "PIN “99” instead of none"),
        ],
    )  # fmt: skip
    def test_drift_is_told_and_mended(
        self, server: FakeLiveKit, line: PhoneLine, where: str, drift: dict[str, Any], told: str
    ) -> None:
        sync()
        line.refresh_from_db()
        server.change(getattr(line, where), **drift)
        assert told in sync(dry_run=True)
        assert told in sync()
        assert "in step" in sync()

    def test_a_trunk_that_is_gone_is_made_again_and_its_rule_follows(
        self, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        sync()
        server.trunks.clear()
        sync()
        line.refresh_from_db()
        (rule,) = server.rules.values()
        assert rule.trunk_ids == (line.trunk_id,)
        assert list(server.trunks) == [line.trunk_id]

    def test_what_is_not_ours_is_never_touched(self, server: FakeLiveKit, line: PhoneLine) -> None:
        rule = Rule("reception's", "", ("ST_foreign",), "desk-", (), ())
        server.trunks["ST_foreign"], server.rules["SDR_foreign"] = FOREIGN, rule
        sync()
        line.delete()
        sync()
        assert server.trunks == {"ST_foreign": FOREIGN}
        assert server.rules == {"SDR_foreign": rule}

    def test_what_another_system_made_on_the_same_server_is_not_ours(
        self, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        other = Trunk("theirs", f"clinic-phone 0123456789ab line {line.pk}", ("+15558888",))
        server.trunks["ST_theirs"] = other
        sync()
        assert server.trunks["ST_theirs"] == other
        assert len(server.trunks) == 2

    def test_a_line_that_is_switched_off_or_gone_is_taken_away(
        self, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        sync()
        PhoneLine.objects.update(enabled=False)
        assert "remove the dispatch rule of Front desk" in sync()
        line.refresh_from_db()
        assert (server.trunks, server.rules, line.trunk_id) == ({}, {}, "")

    def test_ids_that_were_lost_with_the_database_are_found_again_by_the_mark(
        self, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        sync()
        PhoneLine.objects.update(trunk_id="", dispatch_rule_id="")
        assert "in step" in sync()
        line.refresh_from_db()
        assert line.trunk_id in server.trunks

    def test_a_refused_trunk_leaves_nothing_and_does_not_hold_up_the_others(
        self, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        server.trunks["ST_foreign"] = Trunk("reception's", "", ("+15550100",))
        other = PhoneLine.objects.create(clinic=line.clinic, number="+15550101")
        out = StringIO()
        with pytest.raises(CommandError, match="refused"):
            call_command("sync_lines", stdout=out, stderr=out)
        assert "Could not make the trunk of Front desk +15550100. LiveKit says: Conflicting" in out.getvalue()
        line.refresh_from_db()
        other.refresh_from_db()
        assert line.trunk_id == line.dispatch_rule_id == ""
        assert other.trunk_id and other.dispatch_rule_id

    def test_a_refused_rule_takes_its_new_trunk_with_it(self, server: FakeLiveKit, line: PhoneLine) -> None:
        server.trouble["create_rule"] = LiveKitRefused("LiveKit says: no.", "invalid_argument")
        with pytest.raises(CommandError):
            sync()
        line.refresh_from_db()
        assert (server.trunks, line.trunk_id) == ({}, "")

    def test_an_unreachable_server_is_a_sentence(self, server: FakeLiveKit, line: PhoneLine) -> None:
        server.trouble["list_trunks"] = LiveKitUnreachable("The LiveKit server does not answer.")
        with pytest.raises(CommandError, match=r"does not answer\."):
            sync()

    @pytest.mark.usefixtures("db")
    def test_without_a_server_it_says_which_variable_is_missing(self) -> None:
        with pytest.raises(CommandError, match="LIVEKIT_URL is not set"):
            sync()

    def test_the_password_is_stored_sealed_and_never_told(
        self, server: FakeLiveKit, line: PhoneLine, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        PhoneLine.objects.update(auth_username="desk")
        line_set_password(line=line, password="open sesame")
        said = sync()
        line.refresh_from_db()
        assert server.trunks[line.trunk_id].password == "open sesame"
        server.change(line.trunk_id, password="another")
        said += sync(dry_run=True) + sync()
        assert "trunk: another password" in said
        with connection.cursor() as cursor:
            cursor.execute("SELECT auth_password_ciphertext FROM phone_phoneline")
            (stored,) = cursor.fetchone()
        assert b"sesame" not in bytes(stored)
        assert "sesame" not in said + caplog.text + repr(server.trunks)


class TestCallsOut:
    @pytest.fixture
    def line(self, line: PhoneLine) -> PhoneLine:
        PhoneLine.objects.update(outbound_address="sip.example.com", outbound_transport="tls")
        line.refresh_from_db()
        return line

    def test_a_line_that_may_call_out_gets_an_outbound_trunk_under_its_own_number(
        self, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        assert "Done: make the outbound trunk of Front desk +15550100" in sync()
        line.refresh_from_db()
        trunk = server.outbound[line.outbound_trunk_id]
        assert (trunk.address, trunk.transport, trunk.numbers) == ("sip.example.com", "tls", ("+15550100",))
        assert (trunk.username, trunk.password) == ("", "")
        server.asked.clear()
        assert "in step" in sync()
        assert server.asked == []

    @pytest.mark.parametrize(
        ("drift", "told"),
        [
            ({"address": "elsewhere.example"}, "provider's host “elsewhere.example” instead of “sip.example.com”"),
            ({"numbers": ("+15559999",)}, "outbound trunk: numbers +15559999 instead of +15550100"),
            ({"transport": "udp"}, "outbound trunk: signalling “udp” instead of “tls”"),
        ],
    )  # fmt: skip
    def test_drift_is_told_and_mended(
        self, server: FakeLiveKit, line: PhoneLine, drift: dict[str, Any], told: str
    ) -> None:
        sync()
        line.refresh_from_db()
        server.change(line.outbound_trunk_id, **drift)
        assert told in sync(dry_run=True)
        assert told in sync()
        assert "in step" in sync()

    @pytest.mark.parametrize("change", [{"outbound_address": ""}, {"enabled": False}])
    def test_a_line_that_may_no_longer_call_out_loses_its_trunk(
        self, server: FakeLiveKit, line: PhoneLine, change: dict[str, Any]
    ) -> None:
        sync()
        PhoneLine.objects.update(**change)
        assert "remove the outbound trunk of Front desk" in sync()
        line.refresh_from_db()
        assert (server.outbound, line.outbound_trunk_id) == ({}, "")

    def test_foreign_trunks_stay_and_lost_ids_are_found_again_by_the_mark(
        self, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        foreign = OutboundTrunk("reception's", "", "sip.example.com", ("+15559999",))
        server.outbound["ST_foreign"] = foreign
        sync()
        PhoneLine.objects.update(outbound_trunk_id="")
        assert "in step" in sync()
        line.refresh_from_db()
        assert line.outbound_trunk_id in server.outbound
        line.delete()
        sync()
        assert server.outbound == {"ST_foreign": foreign}

    def test_a_refused_outbound_trunk_leaves_calls_coming_in(
        self, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        server.trouble["create_outbound_trunk"] = LiveKitRefused("LiveKit says: no.", "invalid_argument")
        with pytest.raises(CommandError):
            sync()
        line.refresh_from_db()
        assert line.trunk_id in server.trunks
        assert line.dispatch_rule_id in server.rules
        assert line.outbound_trunk_id == ""

    def test_the_password_is_stored_sealed_and_never_told(
        self, server: FakeLiveKit, line: PhoneLine, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        PhoneLine.objects.update(outbound_username="clinic")
        line_set_outbound_password(line=line, password="open sesame")
        said = sync()
        line.refresh_from_db()
        assert server.outbound[line.outbound_trunk_id].password == "open sesame"
        server.change(line.outbound_trunk_id, password="another")
        assert "outbound trunk: another password" in (told := sync())
        assert b"sesame" not in bytes(line.outbound_password_ciphertext)
        assert "sesame" not in said + told + caplog.text + repr(server.outbound)


class TestTheAdmin:
    @pytest.fixture
    def office(self, client: Client) -> Client:
        client.force_login(make_staff("mo", "view_phoneline", "change_phoneline", "add_phoneline"))
        return client

    def page(self, client: Client) -> str:
        return client.get(LIST).content.decode()

    def test_says_that_a_line_is_missing_and_the_button_makes_it(
        self, office: Client, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        assert "Missing" in self.page(office)
        answer = office.post(SYNC, follow=True).content.decode()
        assert "Done: make the trunk of Front desk" in answer
        assert "In step" in answer
        assert "Bring LiveKit in step" not in answer

    def test_says_how_a_line_differs(self, office: Client, server: FakeLiveKit, line: PhoneLine) -> None:
        sync()
        line.refresh_from_db()
        server.change(line.trunk_id, krisp=True)
        page = self.page(office)
        assert "Differs" in page
        assert "noise suppression on instead of off" in page

    def test_says_what_a_deleted_line_left(
        self, office: Client, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        sync()
        line.delete()
        assert "Left over" in self.page(office)
        office.post(SYNC)
        assert server.trunks == {}

    def test_says_that_the_server_does_not_answer(
        self, office: Client, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        server.trouble["list_trunks"] = LiveKitUnreachable("The LiveKit server does not answer.")
        assert "does not answer" in self.page(office)
        assert "does not answer" in office.post(SYNC, follow=True).content.decode()

    def test_without_a_server_the_list_says_so(self, office: Client) -> None:
        a_clinic()
        assert "has no LiveKit server" in self.page(office)

    def test_the_button_needs_the_right_to_change_lines(
        self, client: Client, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        client.force_login(make_staff("rita", "view_phoneline"))
        assert "Bring LiveKit in step" not in self.page(client)
        assert client.post(SYNC).status_code == 403
        assert server.asked == []

    def test_the_button_is_no_link(self, office: Client, server: FakeLiveKit, line: PhoneLine) -> None:
        assert office.get(SYNC).status_code == 405
        assert server.asked == []

    def form(self, **values: str) -> dict[str, str]:
        fields = {
            "number": "+1 202 555 0142",
            "room_prefix": "dental-",
            "media_encryption": "off",
            "enabled": "on",
            "outbound_transport": "auto",
        }
        return fields | {"allowed_addresses": "", "auth_username": "", "password": "", "label": ""} | values

    def save(self, office: Client, line: PhoneLine, **values: str) -> str:
        url = reverse("admin:phone_phoneline_change", args=(line.pk,))
        return office.post(url, self.form(**values), follow=True).content.decode()

    def test_a_password_is_kept_until_its_user_name_goes(
        self, office: Client, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        self.save(office, line, auth_username="desk", password="open sesame")
        assert "sesame" not in self.save(office, line, auth_username="desk")
        sync()
        assert {trunk.password for trunk in server.trunks.values()} == {"open sesame"}
        self.save(office, line)
        sync()
        assert {trunk.password for trunk in server.trunks.values()} == {""}

    def test_an_outbound_password_is_kept_until_its_user_name_goes(
        self, office: Client, server: FakeLiveKit, line: PhoneLine
    ) -> None:
        way_out = {"outbound_address": "sip.example.com", "outbound_username": "clinic"}
        self.save(office, line, **way_out, outbound_password="open sesame")
        assert "sesame" not in self.save(office, line, **way_out)
        sync()
        assert {trunk.password for trunk in server.outbound.values()} == {"open sesame"}
        self.save(office, line, outbound_address="sip.example.com")
        sync()
        assert {trunk.password for trunk in server.outbound.values()} == {""}

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"outbound_username": "clinic"}, "A user name needs a password."),
            ({"outbound_address": "sip:sip.example.com"}, "is no address to send calls to."),
            ({"auth_username": "desk"}, "A user name needs a password."),
            ({"password": "open sesame"}, "A password needs a user name."),
            ({"allowed_addresses": "10.0.0.1\nprovider"}, "“provider” is no IP address."),
        ],
    )
    def test_what_does_not_fit_is_said_beside_its_field(
        self, office: Client, line: PhoneLine, values: dict[str, str], sentence: str
    ) -> None:
        assert sentence in self.save(office, line, **values)


async def test_an_unfaked_call_of_the_server_fails_loudly(settings: Any) -> None:
    with pytest.raises(AssertionError, match="fake"):
        await LiveKit(a_server()).list_rooms()


async def test_without_a_server_nothing_is_asked() -> None:
    with pytest.raises(LiveKitNotSetUp):
        await LiveKit().list_rooms()
