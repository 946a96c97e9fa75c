"""A file is encrypted in chunks: any part can be read, and nothing can be cut off, swapped or moved unnoticed."""

from __future__ import annotations

import io
import secrets

import pytest

from clinic.crypto import CannotDecrypt, add_encryption_key
from clinic.encrypted_files import CHUNK_BYTES, HEADER, TAG_BYTES, EncryptedFile, encrypt_file

SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES
THREE_CHUNKS = secrets.token_bytes(2 * CHUNK_BYTES + 1000)


@pytest.fixture(autouse=True)
def keys_of_its_own(settings, tmp_path) -> None:
    settings.CLINIC_KEY_FILE = tmp_path / "keys.json"


def encrypted(plain: bytes, context: str = "recording:1") -> bytes:
    target = io.BytesIO()
    encrypt_file(io.BytesIO(plain), target, size=len(plain), context=context)
    return target.getvalue()


def opened(sealed: bytes, context: str = "recording:1") -> EncryptedFile:
    return EncryptedFile(io.BytesIO(sealed), context=context)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, len(THREE_CHUNKS)])
def test_what_went_in_comes_out(size: int) -> None:
    plain = THREE_CHUNKS[:size]
    sealed = encrypted(plain)
    assert opened(sealed).read() == plain
    assert opened(sealed).size == size
    assert size < 16 or plain[:16] not in sealed


@pytest.mark.parametrize("begin", [0, 5, CHUNK_BYTES - 3, CHUNK_BYTES, 2 * CHUNK_BYTES + 990])
def test_any_part_can_be_read_by_itself(begin: int) -> None:
    file = io.BufferedReader(opened(encrypted(THREE_CHUNKS)))
    file.seek(begin)
    assert file.read(20) == THREE_CHUNKS[begin : begin + 20]


def test_a_part_is_read_without_reading_the_rest() -> None:
    sealed = bytearray(encrypted(THREE_CHUNKS))
    sealed[HEADER.size] ^= 1
    file = opened(bytes(sealed))
    file.seek(CHUNK_BYTES)
    assert file.read() == THREE_CHUNKS[CHUNK_BYTES:]
    file.seek(0)
    with pytest.raises(CannotDecrypt):
        file.read(1)


@pytest.mark.parametrize("missing", [1, TAG_BYTES, 1000 + TAG_BYTES, SEALED_CHUNK + 1000 + TAG_BYTES])
def test_a_file_that_was_cut_off_is_not_opened(missing: int) -> None:
    with pytest.raises(CannotDecrypt):
        opened(encrypted(THREE_CHUNKS)[:-missing])


def test_a_file_that_was_cut_off_and_says_so_does_not_decrypt() -> None:
    sealed = encrypted(THREE_CHUNKS)
    magic, salt, _, key_id = HEADER.unpack(sealed[: HEADER.size])
    shorter = HEADER.pack(magic, salt, CHUNK_BYTES, key_id) + sealed[HEADER.size : HEADER.size + SEALED_CHUNK]
    with pytest.raises(CannotDecrypt):
        opened(shorter).read()


def test_chunks_that_changed_places_do_not_decrypt() -> None:
    sealed = encrypted(THREE_CHUNKS)
    header, body = sealed[: HEADER.size], sealed[HEADER.size :]
    first, second, rest = body[:SEALED_CHUNK], body[SEALED_CHUNK : 2 * SEALED_CHUNK], body[2 * SEALED_CHUNK :]
    with pytest.raises(CannotDecrypt):
        opened(header + second + first + rest).read()


def test_a_file_in_another_recordings_place_does_not_decrypt() -> None:
    with pytest.raises(CannotDecrypt):
        opened(encrypted(b"hello"), context="recording:2").read()


def test_what_is_no_encrypted_file_is_not_opened() -> None:
    with pytest.raises(CannotDecrypt):
        opened(b"OggS" + bytes(500))


def test_files_from_before_a_new_key_still_open() -> None:
    sealed = encrypted(b"hello")
    add_encryption_key()
    assert opened(sealed).read() == b"hello"
    assert HEADER.unpack(encrypted(b"hello")[: HEADER.size])[3].startswith(b"k2")


def test_a_file_whose_key_is_not_there_is_not_opened(settings, tmp_path) -> None:
    sealed = encrypted(b"hello").replace(b"k1\0", b"k9\0", 1)
    with pytest.raises(CannotDecrypt, match="k9"):
        opened(sealed)
