"""What must not lie readable in the database: AES-GCM with named keys, and keyed hashes to find it by; signatures.

The keys live in a file of their own (`settings.CLINIC_KEY_FILE`, by default `keys.json` in the data
directory), never in the database: whoever has the database alone reads no patient ID. So a backup of the
database needs one of this file, kept apart from it.

Several encryption keys may be in it. The last one encrypts; the others still decrypt what was written under
them (`add_encryption_key`). The HMAC key stays: under a new one no stored hash would be found again, and no seal
would hold. So does the signing key, of which others keep the public half; a file from before there was one gets it by
`complete_key_file`.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from pydantic import AfterValidator, Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

log = logging.getLogger(__name__)

KEY_BYTES = 32
NONCE_BYTES = 12
"""NIST SP 800-38D, section 8.2: a nonce of 96 bits, random for each message."""

BACK_UP = "Back up this file apart from the database: without it nobody can read or find a patient ID again."


class KeysUnavailable(Exception):
    """The key file is missing or unusable. The message names the file, never a key."""


class CannotDecrypt(Exception):
    """The ciphertext is damaged, belongs to another context, or its key is not in the key file."""


def _whole(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return key


KeyBytes = Annotated[Base64Bytes, AfterValidator(_whole)]
Key = Annotated[KeyBytes, Field(repr=False)]


class EncryptionKey(BaseModel):
    """One AES-256 key, in base64 in the file. `id` stands beside every ciphertext written under it."""

    model_config = ConfigDict(frozen=True)

    id: str
    key: Key


class Keys(BaseModel):
    """The key file's content, as JSON. The encryption keys are in order of age; the last one encrypts.

    `signing` is an Ed25519 private key (RFC 8032, section 5.1.5).
    """

    model_config = ConfigDict(frozen=True)

    encryption: Annotated[tuple[EncryptionKey, ...], Field(min_length=1)]
    hmac: Key
    signing: Annotated[KeyBytes | None, Field(repr=False)] = None

    def key(self, key_id: str) -> bytes | None:
        """The encryption key called `key_id`, or None."""
        return next((each.key for each in self.encryption if each.id == key_id), None)


def encrypt(plaintext: str, context: str) -> tuple[bytes, str]:
    """`plaintext` under the newest key: (nonce and ciphertext, that key's id). Store both.

    `context` says what this is, such as "patient-id:7". It is authenticated: a ciphertext that is moved
    to another place does not decrypt there. Raises KeysUnavailable.
    """
    newest = _keys().encryption[-1]
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(newest.key).encrypt(nonce, plaintext.encode(), context.encode()), newest.id


def decrypt(ciphertext: bytes | memoryview, key_id: str, context: str) -> str:
    """The text that `encrypt` was given, for the same `context`. Raises CannotDecrypt and KeysUnavailable."""
    # Another process may have added the key since this one read the file.
    key = _keys().key(key_id) or _keys(fresh=True).key(key_id)
    if key is None:
        raise CannotDecrypt(f"The key “{key_id}” is not in {key_file()}.")
    sealed = bytes(ciphertext)
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode()).decode()
    except (InvalidTag, ValueError):
        raise CannotDecrypt(f"What was stored under the key “{key_id}” does not decrypt.") from None


def keyed_hash(text: str, purpose: str) -> str:
    """A hash (64 hex digits) that equal texts share for one `purpose`, and that nobody makes without the key.

    HMAC-SHA-256 (RFC 2104) over `purpose`, its length and `text`. Raises KeysUnavailable.
    """
    message = f"{len(purpose)}:{purpose}{text}".encode()
    return hmac.new(_keys().hmac, message, hashlib.sha256).hexdigest()


def sign(message: bytes) -> bytes:
    """The Ed25519 signature (RFC 8032; 64 bytes) of this system under `message`. Raises KeysUnavailable."""
    return _signing_key().sign(message)


def public_key() -> bytes:
    """What others check this system's signatures with: 32 bytes. Raises KeysUnavailable."""
    return _signing_key().public_key().public_bytes_raw()


def is_signed_by(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether whoever has the private half of `key` signed `message`."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def derived_key(salt: bytes, purpose: str, key_id: str = "") -> tuple[bytes, str]:
    """A key (32 bytes) of its own for one thing, made of the newest key or the one called `key_id`; and that key's id.

    HKDF-SHA-256 (RFC 5869). `salt` is random and stored beside what is encrypted. Raises CannotDecrypt where the key
    file has no such key, and KeysUnavailable.
    """
    keys = _keys()
    chosen = key_id or keys.encryption[-1].id
    # Another process may have added the key since this one read the file.
    key = keys.key(chosen) or _keys(fresh=True).key(chosen)
    if key is None:
        raise CannotDecrypt(f"The key “{chosen}” is not in {key_file()}.")
    return HKDF(SHA256(), KEY_BYTES, salt, purpose.encode()).derive(key), chosen


def key_file() -> Path:
    """Where the keys are."""
    return Path(getattr(settings, "CLINIC_KEY_FILE", "") or settings.DATA_DIR / "keys.json")


def ensure_key_file() -> Path | None:
    """Make the key file if there is none, for its owner only (0600). Its path if it was made now, else None.

    Two processes that start at once agree on one file.
    """
    path = key_file()
    if path.exists():
        return None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keys.model_construct(
        encryption=(EncryptionKey.model_construct(id="k1", key=secrets.token_bytes(KEY_BYTES)),),
        hmac=secrets.token_bytes(KEY_BYTES),
        signing=secrets.token_bytes(KEY_BYTES),
    )
    draft = _draft(path, keys)
    try:
        # A link fails where the file has appeared meanwhile: nobody overwrites it, nobody reads half of it.
        path.hardlink_to(draft)
    except FileExistsError:
        return None
    finally:
        draft.unlink()
    log.warning("Keys for patient data were made in %s. %s", path, BACK_UP)
    return path


def add_encryption_key() -> str:
    """Add a key that encrypts from now on, in this process and in those that start later; its id.

    Raises KeysUnavailable.
    """
    path = key_file()
    keys = _read(path)
    key_id = f"k{len(keys.encryption) + 1}"
    newest = EncryptionKey.model_construct(id=key_id, key=secrets.token_bytes(KEY_BYTES))
    _draft(path, keys.model_copy(update={"encryption": (*keys.encryption, newest)})).replace(path)
    _keys(fresh=True)
    return key_id


def complete_key_file() -> bool:
    """Add a signing key to a key file from before there was one. False where it has one. Raises KeysUnavailable."""
    path = key_file()
    keys = _read(path)
    if keys.signing is not None:
        return False
    _draft(path, keys.model_copy(update={"signing": secrets.token_bytes(KEY_BYTES)})).replace(path)
    _keys(fresh=True)
    log.warning("A signing key was added to %s. %s", path, BACK_UP)
    return True


def check_key_file(**_: object) -> list[CheckMessage]:
    """The system check: the key file is there, whole and private. The demo makes a missing one by itself."""
    path = key_file()
    if settings.DEMO and not path.exists():
        return []
    try:
        keys = _read(path)
    except KeysUnavailable as unavailable:
        return [
            Error(
                str(unavailable),
                hint=f"A new system runs “manage.py make_keys” once. {BACK_UP}",
                id="clinic.E001",
            )
        ]
    if path.stat().st_mode & 0o077:
        return [Error(f"Others on this machine can read {path}.", hint=f"chmod 600 {path}", id="clinic.E002")]
    if keys.signing is None and not settings.DEMO:
        return [
            Warning(
                f"{path} has no signing key: consent evidence cannot be taken out.",
                hint=f"Run “manage.py make_keys”. {BACK_UP}",
                id="clinic.W004",
            )
        ]
    return []


_lock = threading.Lock()
_loaded: dict[Path, Keys] = {}


def _keys(*, fresh: bool = False) -> Keys:
    path = key_file()
    with _lock:
        if fresh or path not in _loaded:
            if settings.DEMO:
                ensure_key_file()
            _loaded[path] = _read(path)
        return _loaded[path]


def _signing_key() -> Ed25519PrivateKey:
    # Another process may have added the key since this one read the file.
    if _keys().signing is None and _keys(fresh=True).signing is None and settings.DEMO:
        complete_key_file()
    private = _keys().signing
    if private is None:
        raise KeysUnavailable(f"{key_file()} has no signing key. “manage.py make_keys” adds one.")
    return Ed25519PrivateKey.from_private_bytes(private)


def _read(path: Path) -> Keys:
    # The errors' own words are left out: they quote what they could not read.
    try:
        return Keys.model_validate_json(path.read_text())
    except FileNotFoundError:
        raise KeysUnavailable(
            f"The key file {path} is missing: patient IDs cannot be read or found."
        ) from None
    except (OSError, UnicodeDecodeError, ValidationError):
        raise KeysUnavailable(f"The key file {path} cannot be read, or is damaged.") from None


def _draft(path: Path, keys: Keys) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(keys.model_dump_json(indent=2, exclude_none=True))
    return draft
