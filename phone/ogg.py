"""How much of an OGG/Opus file is whole, and how long it plays, read from its pages (RFC 3533, RFC 7845)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

PAGE = struct.Struct("<4sBBqIIIB")
"""Capture pattern, version, flags, granule position, serial number, sequence number, CRC, number of segments."""

OPUS_RATE = 48_000
"""Granule positions of Opus count samples at this rate, whatever was recorded (RFC 7845, section 4)."""

HEAD = b"OpusHead"
NO_PACKET_ENDS_HERE = -1


@dataclass(frozen=True, slots=True)
class WholePages:
    """The pages that are there to their last byte: how many `bytes` they have, and how many `seconds` they play."""

    bytes: int
    seconds: float


def whole_pages(file: BinaryIO) -> WholePages:
    """What can be played of `file`, from its beginning. A torn last page, as a killed writer leaves it, is left out.

    A file that is no OGG, or has no sound yet, has 0 seconds.
    """
    length = samples = pre_skip = 0
    while True:
        header = file.read(PAGE.size)
        if len(header) < PAGE.size or not header.startswith(b"OggS"):
            break
        granule, segments = PAGE.unpack(header)[3], header[-1]
        lacing = file.read(segments)
        body = file.read(sum(lacing))
        if len(lacing) < segments or len(body) < sum(lacing):
            break
        length += PAGE.size + segments + len(body)
        if body.startswith(HEAD):
            pre_skip = int.from_bytes(body[10:12], "little")
        elif granule != NO_PACKET_ENDS_HERE:
            samples = granule
    return WholePages(length, max(0, samples - pre_skip) / OPUS_RATE)
