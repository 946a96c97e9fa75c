"""Asking the LiveKit server."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus

import aiohttp
import jwt
from django.conf import settings
from google.protobuf.json_format import Parse, ParseError
from livekit import api

from phone.livekit_api.answers import CallAnswer, answer_to_refused_transfer, answer_to_transfer, e164
from phone.livekit_api.errors import (
    CallNotAnswered,
    LiveKitNotSetUp,
    LiveKitRefused,
    LiveKitUnreachable,
    WebhookForged,
    WebhookMalformed,
)
from phone.livekit_api.messages import (
    moment,
    outbound_trunk_of,
    participant_of,
    put_outbound_trunk,
    put_rule,
    put_trunk,
    room_of,
    rule_of,
    trunk_of,
)
from phone.livekit_api.values import OutboundTrunk, Participant, Room, Rule, Trunk, WebhookEvent
from phone.livekit_settings import AGENT_NAME, LiveKitEnvironment

ANSWER_SECONDS = 5.0
"""How long the server may take to answer."""

TRANSFER_SECONDS = 32.0
"""How long a transfer may take at least: livekit-sip gives up after 30 s without a NOTIFY."""

WEBHOOK_LEEWAY_SECONDS = 30.0
"""How far the server's clock may be from ours when a webhook's token is checked."""


class LiveKit:
    """The server that the environment names, or another one."""

    def __init__(self, server: LiveKitEnvironment | None = None) -> None:
        self._server = server or settings.LIVEKIT

    async def list_trunks(self) -> dict[str, Trunk]:
        """Every inbound trunk, by its id; foreign ones too."""
        async with self._connected() as server:
            found = await server.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
        return {trunk.sip_trunk_id: trunk_of(trunk) for trunk in found.items}

    async def create_trunk(self, trunk: Trunk) -> str:
        """Make an inbound trunk; its id."""
        async with self._connected() as server:
            message = put_trunk(trunk, api.SIPInboundTrunkInfo())
            made = await server.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=message))
        return made.sip_trunk_id

    async def change_trunk(self, trunk_id: str, trunk: Trunk) -> None:
        """Make what we decide about this trunk as `trunk` says. The rest stays as it is."""
        async with self._connected() as server:
            found = await server.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest(trunk_ids=[trunk_id]))
            before = next(iter(found.items), api.SIPInboundTrunkInfo())
            await server.sip.update_inbound_trunk(trunk_id, put_trunk(trunk, before))

    async def list_outbound_trunks(self) -> dict[str, OutboundTrunk]:
        """Every outbound trunk, by its id; foreign ones too."""
        async with self._connected() as server:
            found = await server.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())
        return {trunk.sip_trunk_id: outbound_trunk_of(trunk) for trunk in found.items}

    async def create_outbound_trunk(self, trunk: OutboundTrunk) -> str:
        """Make an outbound trunk; its id."""
        async with self._connected() as server:
            message = put_outbound_trunk(trunk, api.SIPOutboundTrunkInfo())
            made = await server.sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=message))
        return made.sip_trunk_id

    async def change_outbound_trunk(self, trunk_id: str, trunk: OutboundTrunk) -> None:
        """Make what we decide about this trunk as `trunk` says. The rest stays as it is."""
        async with self._connected() as server:
            request = api.ListSIPOutboundTrunkRequest(trunk_ids=[trunk_id])
            found = await server.sip.list_outbound_trunk(request)
            before = next(iter(found.items), api.SIPOutboundTrunkInfo())
            await server.sip.update_outbound_trunk(trunk_id, put_outbound_trunk(trunk, before))

    async def delete_trunk(self, trunk_id: str) -> None:
        """Take a trunk away, inbound or outbound."""
        async with self._connected() as server:
            await server.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk_id))

    async def list_rules(self) -> dict[str, Rule]:
        """Every dispatch rule, by its id; foreign ones too."""
        async with self._connected() as server:
            found = await server.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
        return {rule.sip_dispatch_rule_id: rule_of(rule) for rule in found.items}

    async def create_rule(self, rule: Rule) -> str:
        """Make a dispatch rule; its id."""
        async with self._connected() as server:
            message = put_rule(rule, api.SIPDispatchRuleInfo())
            request = api.CreateSIPDispatchRuleRequest(dispatch_rule=message)
            made = await server.sip.create_dispatch_rule(request)
        return made.sip_dispatch_rule_id

    async def change_rule(self, rule_id: str, rule: Rule) -> None:
        """Make what we decide about this rule as `rule` says. The rest stays as it is."""
        async with self._connected() as server:
            request = api.ListSIPDispatchRuleRequest(dispatch_rule_ids=[rule_id])
            found = await server.sip.list_dispatch_rule(request)
            before = next(iter(found.items), api.SIPDispatchRuleInfo())
            await server.sip.update_dispatch_rule(rule_id, put_rule(rule, before))

    async def delete_rule(self, rule_id: str) -> None:
        """Take a dispatch rule away."""
        async with self._connected() as server:
            request = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule_id)
            await server.sip.delete_dispatch_rule(request)

    async def list_rooms(self) -> list[Room]:
        """Every room there is now; foreign ones too."""
        async with self._connected() as server:
            found = await server.room.list_rooms(api.ListRoomsRequest())
        return [room_of(room) for room in found.rooms]

    async def list_participants(self, room: str) -> list[Participant]:
        """Everybody in this room; nobody where there is no such room."""
        async with self._connected() as server:
            found = await server.room.list_participants(api.ListParticipantsRequest(room=room))
        return [participant_of(participant) for participant in found.participants]

    async def remove_participant(self, room: str, identity: str) -> None:
        """Put somebody out of a room. Harmless when they are out."""
        async with self._connected(missing_is_fine=True) as server:
            await server.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity))

    async def delete_room(self, room: str) -> None:
        """Close a room: everybody in it hears the line close. Harmless when it is closed."""
        async with self._connected(missing_is_fine=True) as server:
            await server.room.delete_room(api.DeleteRoomRequest(room=room))

    async def dispatch_agent(self, room: str, metadata: str) -> None:
        """Send one of our agents into a room; its job carries `metadata`."""
        async with self._connected() as server:
            await server.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(room=room, agent_name=AGENT_NAME, metadata=metadata)
            )

    async def call_number(
        self,
        *,
        room: str,
        trunk_id: str,
        number: str,
        identity: str,
        rings: timedelta,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Call `number` (E.164) through an outbound trunk, into a room; returns when it is answered.

        Whoever is called is in the room from the first ring on, as `identity` and with these attributes, and hears
        and is heard as subscriptions say. The caller's number is the trunk's. Raises CallNotAnswered when nobody takes
        the call within `rings`, and ValueError for a number that is not E.164.
        """
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=trunk_id,
            sip_call_to=e164(number),
            room_name=room,
            participant_identity=identity,
            participant_attributes=attributes or {},
            wait_until_answered=True,
        )
        request.ringing_timeout.FromTimedelta(rings)
        async with self._connected() as server:
            try:
                await server.sip.create_sip_participant(request)
            except api.SipCallError as error:
                status = error.sip_status_code
                said = f"{status} {error.sip_status or ''}".strip()
                raise CallNotAnswered(
                    f"The call was not taken: the other side says {said}.", status
                ) from error
            except api.TwirpError as error:
                if error.code == api.TwirpErrorCode.DEADLINE_EXCEEDED:
                    raise CallNotAnswered(
                        "The number was called, and nobody took the call in time.", None
                    ) from error
                raise

    async def transfer(self, *, room: str, identity: str, number: str, rings: timedelta) -> CallAnswer:
        """Hand the telephone `identity` over to `number` (E.164) by REFER (RFC 3515); how that was answered.

        Where it is accepted, the telephone has left the room, or is about to. Otherwise its call goes on. Raises
        ValueError for a number that is not E.164.
        """
        request = api.TransferSIPParticipantRequest(
            room_name=room, participant_identity=identity, transfer_to=f"tel:{e164(number)}"
        )
        request.ringing_timeout.FromTimedelta(rings)
        async with self._connected() as server:
            try:
                done = await server.sip.transfer_sip_participant(request, timeout=TRANSFER_SECONDS)
            except api.TwirpError as error:
                answer = answer_to_refused_transfer(error)
                if answer is None:
                    raise
                return answer
            except TimeoutError:
                return "no_word"
        return answer_to_transfer(done)

    async def set_subscriptions(
        self, room: str, identity: str, track_ids: Sequence[str], *, wanted: bool
    ) -> None:
        """Let `identity` receive these tracks, or not."""
        request = api.UpdateSubscriptionsRequest(
            room=room, identity=identity, track_sids=track_ids, subscribe=wanted
        )
        async with self._connected() as server:
            await server.room.update_subscriptions(request)

    async def allow_receiving(self, room: str, identity: str, *, allowed: bool) -> None:
        """Whether `identity`, who may speak and press keys, may receive anything at all."""
        permission = api.ParticipantPermission(
            can_publish=True, can_publish_data=True, can_subscribe=allowed, can_update_metadata=True
        )
        request = api.UpdateParticipantRequest(room=room, identity=identity, permission=permission)
        async with self._connected() as server:
            await server.room.update_participant(request)

    def browser_token(self, *, room: str, identity: str, lifetime: timedelta, empty_seconds: int) -> str:
        """What lets a browser into this room within `lifetime`, with a microphone and keys and nothing more.

        As it comes in, the server makes the room, sends one of our agents there, and closes the room when it
        was empty for `empty_seconds`. Raises nothing, and asks the server nothing.
        """
        grants = api.VideoGrants(
            room_join=True,
            room=room,
            can_publish=True,
            can_publish_sources=["microphone"],
            can_publish_data=True,
            can_subscribe=True,
            can_update_own_metadata=False,
        )
        agents = [api.RoomAgentDispatch(agent_name=AGENT_NAME)]
        return (
            api.AccessToken(self._server.api_key, self._server.api_secret.get_secret_value())
            .with_identity(identity)
            .with_attributes({"sip.sendDtmf": "true"})
            .with_grants(grants)
            .with_room_config(api.RoomConfiguration(agents=agents, empty_timeout=empty_seconds))
            .with_ttl(lifetime)
            .to_jwt()
        )

    @asynccontextmanager
    async def _connected(self, *, missing_is_fine: bool = False) -> AsyncIterator[api.LiveKitAPI]:
        if self._server.url is None:
            raise LiveKitNotSetUp("There is no LiveKit server: LIVEKIT_URL is not set.")
        address = str(self._server.url)
        try:
            async with api.LiveKitAPI(
                address,
                self._server.api_key,
                self._server.api_secret.get_secret_value(),
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
                failover=False,
            ) as server:
                yield server
        except api.TwirpError as error:
            if not (missing_is_fine and error.code == api.TwirpErrorCode.NOT_FOUND):
                raise LiveKitRefused(_refusal(error, address), error.code) from error
        except (aiohttp.ClientError, OSError) as error:  # OSError: TimeoutError too
            raise LiveKitUnreachable(
                f"The LiveKit server at {address} does not answer. Is it running, and is LIVEKIT_URL right?"
            ) from error

    def webhook(self, body: bytes, token: str) -> WebhookEvent:
        """What a webhook says. Raises WebhookForged, WebhookMalformed and LiveKitNotSetUp.

        `token` is its Authorization header: a JWT signed with our secret that holds the body's SHA-256.
        """
        if self._server.url is None:
            raise LiveKitNotSetUp("There is no LiveKit server: LIVEKIT_URL is not set.")
        verifier = api.TokenVerifier(
            self._server.api_key,
            self._server.api_secret.get_secret_value(),
            leeway=timedelta(seconds=WEBHOOK_LEEWAY_SECONDS),
        )
        try:
            signed = base64.b64decode(verifier.verify(token).sha256 or "", validate=True)
        except (jwt.PyJWTError, binascii.Error, TypeError, ValueError) as error:
            raise WebhookForged from error
        if not hmac.compare_digest(signed, hashlib.sha256(body).digest()):
            raise WebhookForged
        try:
            event = Parse(body, api.WebhookEvent(), ignore_unknown_fields=True)
            if not event.event:
                raise ValueError("an event without a name")
            return WebhookEvent(
                event=event.event,
                at=moment(event.created_at),
                room=room_of(event.room) if event.HasField("room") else None,
                participant=participant_of(event.participant) if event.HasField("participant") else None,
            )
        except (ParseError, UnicodeDecodeError, OverflowError, OSError, ValueError) as error:
            raise WebhookMalformed from error


def _refusal(error: api.TwirpError, address: str) -> str:
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return (
            f"The LiveKit server at {address} does not accept our key: LIVEKIT_API_KEY and "
            "LIVEKIT_API_SECRET should be one of the pairs in its configuration."
        )
    if not error.message:
        return (
            f"What answers at {address} is no LiveKit server (status {error.status}): is LIVEKIT_URL right?"
        )
    return f"LiveKit says: {error.message.rstrip('.')}."
