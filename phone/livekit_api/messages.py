"""LiveKit's messages, and our values in their place."""

from __future__ import annotations

from datetime import UTC, datetime

from livekit import api

from phone.livekit_api.values import Encryption, OutboundTrunk, Participant, Room, Rule, Transport, Trunk

ENCRYPTIONS: dict[Encryption, api.SIPMediaEncryption] = {
    "off": api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE,
    "allow": api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW,
    "require": api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE,
}
TRANSPORTS: dict[Transport, api.SIPTransport] = {
    "auto": api.SIPTransport.SIP_TRANSPORT_AUTO,
    "udp": api.SIPTransport.SIP_TRANSPORT_UDP,
    "tcp": api.SIPTransport.SIP_TRANSPORT_TCP,
    "tls": api.SIPTransport.SIP_TRANSPORT_TLS,
}
KINDS: dict[int, str] = {
    api.ParticipantInfo.Kind.STANDARD: "browser",
    api.ParticipantInfo.Kind.SIP: "sip",
    api.ParticipantInfo.Kind.AGENT: "agent",
}


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def encryption_of(message: api.SIPInboundTrunkInfo | api.SIPOutboundTrunkInfo) -> Encryption:
    # The server keeps the older of the two fields, and obeys the newer where it is set.
    newer = message.media.HasField("encryption")
    encryption = message.media.encryption if newer else message.media_encryption
    return next((name for name, value in ENCRYPTIONS.items() if value == encryption), "off")


def trunk_of(message: api.SIPInboundTrunkInfo) -> Trunk:
    return Trunk(
        name=message.name,
        mark=message.metadata,
        numbers=tuple(sorted(message.numbers)),
        allowed_addresses=tuple(sorted(message.allowed_addresses)),
        username=message.auth_username,
        password=message.auth_password,
        encryption=encryption_of(message),
        krisp=message.krisp_enabled,
        allowed_callers=tuple(sorted(message.allowed_numbers)),
    )


def put_trunk(trunk: Trunk, message: api.SIPInboundTrunkInfo) -> api.SIPInboundTrunkInfo:
    message.name = trunk.name
    message.metadata = trunk.mark
    message.numbers[:] = trunk.numbers
    message.allowed_addresses[:] = trunk.allowed_addresses
    message.auth_username = trunk.username
    message.auth_password = trunk.password
    message.media_encryption = message.media.encryption = ENCRYPTIONS[trunk.encryption]
    message.krisp_enabled = trunk.krisp
    message.allowed_numbers[:] = trunk.allowed_callers
    return message


def outbound_trunk_of(message: api.SIPOutboundTrunkInfo) -> OutboundTrunk:
    return OutboundTrunk(
        name=message.name,
        mark=message.metadata,
        address=message.address,
        numbers=tuple(sorted(message.numbers)),
        transport=next((name for name, value in TRANSPORTS.items() if value == message.transport), "auto"),
        username=message.auth_username,
        password=message.auth_password,
        encryption=encryption_of(message),
    )


def put_outbound_trunk(trunk: OutboundTrunk, message: api.SIPOutboundTrunkInfo) -> api.SIPOutboundTrunkInfo:
    message.name = trunk.name
    message.metadata = trunk.mark
    message.address = trunk.address
    message.numbers[:] = trunk.numbers
    message.transport = TRANSPORTS[trunk.transport]
    message.auth_username = trunk.username
    message.auth_password = trunk.password
    message.media_encryption = message.media.encryption = ENCRYPTIONS[trunk.encryption]
    return message


def rule_of(message: api.SIPDispatchRuleInfo) -> Rule:
    return Rule(
        name=message.name,
        mark=message.metadata,
        trunk_ids=tuple(sorted(message.trunk_ids)),
        room_prefix=message.rule.dispatch_rule_individual.room_prefix,
        agents=tuple(agent.agent_name for agent in message.room_config.agents),
        attributes=tuple(sorted(message.attributes.items())),
        kind=message.rule.WhichOneof("rule") or "",
        pin=message.rule.dispatch_rule_individual.pin,
        only_callers=tuple(sorted(message.inbound_numbers)),
        hides_callers=message.hide_phone_number,
    )


def put_rule(rule: Rule, message: api.SIPDispatchRuleInfo) -> api.SIPDispatchRuleInfo:
    message.name = rule.name
    message.metadata = rule.mark
    message.trunk_ids[:] = rule.trunk_ids
    message.rule.dispatch_rule_individual.room_prefix = rule.room_prefix
    message.rule.dispatch_rule_individual.pin = rule.pin
    message.inbound_numbers[:] = rule.only_callers
    message.hide_phone_number = rule.hides_callers
    del message.room_config.agents[:]
    message.room_config.agents.extend(api.RoomAgentDispatch(agent_name=agent) for agent in rule.agents)
    message.attributes.clear()
    message.attributes.update(rule.attributes)
    return message


def room_of(message: api.Room) -> Room:
    return Room(name=message.name, id=message.sid, created_at=moment(message.creation_time))


def participant_of(message: api.ParticipantInfo) -> Participant:
    return Participant(
        identity=message.identity,
        kind=KINDS.get(message.kind, "other"),
        joined_at=moment(message.joined_at),
        attributes=dict(message.attributes),
    )
