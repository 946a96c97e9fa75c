"""Files that must not lie readable on a disk, in a back-up or at a provider, and of which any part can be read.

    magic, version   8 bytes   b"CLINICF1"
    salt            32 bytes   of this file's own key (`clinic.crypto.derived_key`)
    size             8 bytes   of the plain file, big-endian
    key id          16 bytes   ASCII, filled up with zeros
    chunks                     64 KiB of the plain file each, the last one shorter: AES-256-GCM, with its tag

A chunk's nonce is its number: the key is the file's own, so none is used twice (NIST SP 800-38D, section 8.2.1).
The header, the chunk's number and the `context` are authenticated with each chunk. A file that was cut off, put
together anew, or moved to another context does not decrypt.
"""

from __future__ import annotations

import io
import secrets
import struct
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clinic.crypto import NONCE_BYTES, CannotDecrypt, derived_key

MAGIC = b"CLINICF1"
HEADER = struct.Struct(">8s32sQ16s")
CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
PURPOSE = "file"


def encrypt_file(source: BinaryIO, target: BinaryIO, *, size: int, context: str) -> str:
    """Write the first `size` bytes of `source` into `target`, encrypted under the newest key; that key's id.

    `context` says what this is, such as "recording:018f…". Raises ValueError where `source` is shorter than `size`,
    KeysUnavailable, and OSError.
    """
    salt = secrets.token_bytes(32)
    key, key_id = derived_key(salt, PURPOSE)
    header = HEADER.pack(MAGIC, salt, size, key_id.encode("ascii"))
    target.write(header)
    cipher = AESGCM(key)
    for number in range(_chunks(size)):
        plain = source.read(min(CHUNK_BYTES, size - number * CHUNK_BYTES))
        if len(plain) != _plain_bytes(number, size):
            raise ValueError("The file became shorter while it was encrypted.")
        target.write(cipher.encrypt(_nonce(number), plain, _bound_to(header, number, context)))
    return key_id


class EncryptedFile(io.RawIOBase):
    """What `encrypt_file` wrote, to be read from any place on; only the chunks that are asked for are read.

    `file` must be seekable, and is closed with this. `size` is that of the plain file. Raises CannotDecrypt where
    `file` is not whole, is something else, or belongs to another `context`; then nothing of the damaged chunk is given
    out. Raises KeysUnavailable.
    """

    def __init__(self, file: BinaryIO, *, context: str) -> None:
        super().__init__()
        self._file = file
        self._context = context
        self._header = file.read(HEADER.size)
        self._position = 0
        self._chunk_number = -1
        self._chunk = b""
        if len(self._header) != HEADER.size or not self._header.startswith(MAGIC):
            raise CannotDecrypt("This is no encrypted file.")
        _, salt, self.size, key_id = HEADER.unpack(self._header)
        whole = HEADER.size + self.size + _chunks(self.size) * TAG_BYTES
        if file.seek(0, io.SEEK_END) != whole:
            raise CannotDecrypt("The encrypted file is not as long as it says.")
        key, _ = derived_key(salt, PURPOSE, key_id.rstrip(b"\0").decode("ascii", "replace"))
        self._cipher = AESGCM(key)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._position >= self.size or not len(buffer):
            return 0
        number, begin = divmod(self._position, CHUNK_BYTES)
        part = self._read_chunk(number)[begin : begin + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _read_chunk(self, number: int) -> bytes:
        if number != self._chunk_number:
            self._file.seek(HEADER.size + number * (CHUNK_BYTES + TAG_BYTES))
            sealed = self._file.read(_plain_bytes(number, self.size) + TAG_BYTES)
            try:
                self._chunk = self._cipher.decrypt(
                    _nonce(number), sealed, _bound_to(self._header, number, self._context)
                )
            except (InvalidTag, ValueError):
                raise CannotDecrypt(f"Chunk {number} of the encrypted file does not decrypt.") from None
            self._chunk_number = number
        return self._chunk


def _chunks(size: int) -> int:
    # An empty file has one chunk all the same: its tag proves that it is meant to be empty.
    return max(1, -(-size // CHUNK_BYTES))


def _plain_bytes(number: int, size: int) -> int:
    return min(CHUNK_BYTES, size - number * CHUNK_BYTES)


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def _bound_to(header: bytes, number: int, context: str) -> bytes:
    return header + number.to_bytes(8, "big") + context.encode()
