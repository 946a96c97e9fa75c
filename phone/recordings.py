"""Where the sound of calls is: first in a folder of the machine that recorded it, then in Django's default storage.

The worker writes `<recording id>.ogg` into the folder while the call goes on. `phone.services.recording_store` brings
it into the storage when it is complete, encrypted, and takes it out of the folder. Nothing here writes to the database.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage

from clinic.encrypted_files import CHUNK_BYTES, EncryptedFile, encrypt_file
from phone.models import Recording
from phone.ogg import whole_pages

IN_MEMORY = 32 * 1024 * 1024
"""How many encrypted bytes are held on their way to the storage before they go to a file: about an hour of sound."""

SOUND_TYPE = "audio/ogg"


class SoundNotHere(Exception):
    """The sound is not (or no longer) where this process can read it: deleted, or still on another machine."""


@dataclass(frozen=True, slots=True)
class StoredSound:
    """What the storage was given: `size` and `sha256` (hex) are of the plain sound, `key` names the encryption key."""

    file: str
    size: int
    sha256: str
    seconds: float
    key: str


def waiting_folder() -> Path:
    """Where the worker writes `<recording id>.ogg` while a call is recorded, and where it waits for its storage."""
    folder = Path(settings.DATA_DIR) / "recordings"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def waiting_file(recording: uuid.UUID) -> Path:
    """The file of `recording` on this machine, which may not (or no longer) be there."""
    return waiting_folder() / f"{recording}.ogg"


def waiting_recordings() -> Iterator[uuid.UUID]:
    """The recordings whose files are in this machine's folder."""
    for path in sorted(waiting_folder().glob("*.ogg")):
        with suppress(ValueError):
            yield uuid.UUID(path.stem)


def stored_name(recording: uuid.UUID) -> str:
    """The name of its file in the storage. It follows from the id, so that what an interrupted run left is found."""
    return f"recordings/{recording.hex[:2]}/{recording}.ogg.encrypted"


def store_file(recording: uuid.UUID) -> StoredSound | None:
    """Bring the sound of `recording` from this machine's folder into the storage; None where there is no sound.

    The file in the folder stays. Raises FileNotFoundError where it is not there, KeysUnavailable, and whatever the
    storage raises that cannot be reached or is full: then nothing is lost, and it can be tried again.
    """
    with waiting_file(recording).open("rb") as sound:
        playable = whole_pages(sound)
        if not playable.seconds:
            return None
        sound.seek(0)
        digest = hashlib.sha256()
        for begin in range(0, playable.bytes, CHUNK_BYTES):
            digest.update(sound.read(min(CHUNK_BYTES, playable.bytes - begin)))
        sound.seek(0)
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(waiting_folder())) as encrypted:
            key = encrypt_file(
                sound, cast(BinaryIO, encrypted), size=playable.bytes, context=_context(recording)
            )
            encrypted.seek(0)
            name = stored_name(recording)
            # What a run left that was interrupted; without this the storage would choose another name.
            default_storage.delete(name)
            file = default_storage.save(name, File(encrypted, name=name))
    return StoredSound(file, playable.bytes, digest.hexdigest(), playable.seconds, key)


def open_sound(recording: Recording) -> BinaryIO:
    """The sound of `recording` as it is played, to be read from any place on; also while it waits for its storage.

    Raises SoundNotHere, CannotDecrypt, KeysUnavailable, and whatever a storage raises that cannot be reached.
    """
    if recording.state == Recording.State.STORED:
        try:
            stored = default_storage.open(recording.file)
        except FileNotFoundError:
            raise SoundNotHere from None
        plain = EncryptedFile(cast(BinaryIO, stored), context=_context(recording.pk))
        return io.BufferedReader(plain, CHUNK_BYTES)
    if recording.state == Recording.State.WAITING:
        try:
            return waiting_file(recording.pk).open("rb")
        except FileNotFoundError:
            raise SoundNotHere from None
    raise SoundNotHere


def remove_file(recording: Recording) -> None:
    """Take the sound of `recording` away for good, wherever it is. Again makes no difference.

    Raises OSError, or what the storage raises, where it cannot be reached: then it may still be there.
    """
    waiting_file(recording.pk).unlink(missing_ok=True)
    for name in {recording.file, stored_name(recording.pk)} - {""}:
        default_storage.delete(name)


def _context(recording: uuid.UUID) -> str:
    return f"recording:{recording}"
