"""Patient IDs are unreadable without the key file, and the key file is looked after."""

from __future__ import annotations

import json
import threading
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from clinic import crypto


def test_what_was_encrypted_is_read_again() -> None:
    ciphertext, key_id = crypto.encrypt("0042", "patient-id:1")
    assert b"0042" not in ciphertext
    assert crypto.decrypt(ciphertext, key_id, "patient-id:1") == "0042"
    assert crypto.decrypt(memoryview(ciphertext), key_id, "patient-id:1") == "0042"


def test_equal_texts_look_different() -> None:
    assert crypto.encrypt("4821", "here") != crypto.encrypt("4821", "here")


def test_a_ciphertext_means_nothing_in_another_place() -> None:
    ciphertext, key_id = crypto.encrypt("4821", "patient-id:1")
    with pytest.raises(crypto.CannotDecrypt):
        crypto.decrypt(ciphertext, key_id, "patient-id:2")


@pytest.mark.parametrize("damaged", [b"", b"short", bytes(40)])
def test_a_damaged_ciphertext_is_refused(damaged: bytes) -> None:
    _, key_id = crypto.encrypt("4821", "here")
    with pytest.raises(crypto.CannotDecrypt):
        crypto.decrypt(damaged, key_id, "here")


def test_a_hash_is_the_same_each_time_but_not_for_another_purpose() -> None:
    assert crypto.keyed_hash("4821", "patient") == crypto.keyed_hash("4821", "patient")
    assert crypto.keyed_hash("4821", "patient") != crypto.keyed_hash("4821", "caller")
    assert crypto.keyed_hash("14821", "patient") != crypto.keyed_hash("4821", "patient1")


def test_the_file_is_made_once_and_for_its_owner_only(key_file: Path) -> None:
    assert crypto.ensure_key_file() == key_file
    assert key_file.stat().st_mode & 0o777 == 0o600
    content = key_file.read_text()
    assert crypto.ensure_key_file() is None
    assert key_file.read_text() == content
    assert list(key_file.parent.iterdir()) == [key_file]


def test_callers_at_the_same_moment_share_one_key_file() -> None:
    hashes: set[str] = set()
    threads = [threading.Thread(target=lambda: hashes.add(crypto.keyed_hash("4821", "x"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hashes) == 1


def test_after_a_new_key_the_old_ciphertexts_are_still_read() -> None:
    old, old_id = crypto.encrypt("4821", "here")
    hashed = crypto.keyed_hash("4821", "patient")
    new_id = crypto.add_encryption_key()
    assert crypto.encrypt("4821", "here")[1] == new_id != old_id
    assert crypto.decrypt(old, old_id, "here") == "4821"
    assert crypto.keyed_hash("4821", "patient") == hashed


def test_a_key_that_another_process_added_is_picked_up(key_file: Path, settings: Settings) -> None:
    crypto.encrypt("4821", "here")
    # The same file under another name is another process's view of it.
    settings.CLINIC_KEY_FILE = key_file.parent / "." / ".." / key_file.parent.name / key_file.name
    crypto.add_encryption_key()
    ciphertext, key_id = crypto.encrypt("4821", "here")
    settings.CLINIC_KEY_FILE = key_file
    assert crypto.decrypt(ciphertext, key_id, "here") == "4821"


def test_keys_do_not_show_in_a_repr(key_file: Path) -> None:
    crypto.ensure_key_file()
    keys = crypto._read(key_file)
    assert repr(keys.hmac) not in repr(keys)
    assert repr(keys.encryption[0].key) not in repr(keys)


def test_only_the_other_half_of_the_key_accepts_a_signature() -> None:
    signature = crypto.sign(b"yes")
    assert crypto.is_signed_by(crypto.public_key(), signature, b"yes")
    assert not crypto.is_signed_by(crypto.public_key(), signature, b"no")
    assert not crypto.is_signed_by(bytes(32), signature, b"yes")
    assert not crypto.is_signed_by(b"short", signature, b"yes")


def without_signing_key(key_file: Path) -> None:
    """As a key file is from before there were signatures."""
    crypto.ensure_key_file()
    old = json.loads(key_file.read_text())
    del old["signing"]
    key_file.write_text(json.dumps(old))


def test_the_demo_adds_a_signing_key_to_an_old_file_and_keeps_the_rest(key_file: Path) -> None:
    without_signing_key(key_file)
    hashed = crypto.keyed_hash("4821", "patient")
    assert crypto.is_signed_by(crypto.public_key(), crypto.sign(b"yes"), b"yes")
    assert crypto.keyed_hash("4821", "patient") == hashed
    assert key_file.stat().st_mode & 0o777 == 0o600


class TestInProduction:
    @pytest.fixture(autouse=True)
    def production(self, settings: Settings) -> None:
        settings.DEMO = False

    def test_a_missing_key_file_stops_everything_and_is_not_made_in_passing(self, key_file: Path) -> None:
        with pytest.raises(crypto.KeysUnavailable, match=r"keys\.json is missing"):
            crypto.encrypt("4821", "here")
        assert not key_file.exists()
        [error] = crypto.check_key_file()
        assert "missing" in error.msg
        assert "apart from the database" in (error.hint or "")

    @pytest.mark.parametrize("content", ["", "{}", '{"encryption": [], "hmac": ""}', "\x00\xff"])
    def test_a_damaged_key_file_is_named_without_its_content(self, key_file: Path, content: str) -> None:
        key_file.write_text(content, encoding="latin-1")
        with pytest.raises(crypto.KeysUnavailable, match="damaged"):
            crypto.keyed_hash("4821", "here")
        assert crypto.check_key_file()

    def test_a_key_file_that_others_can_read_is_an_error(self, key_file: Path) -> None:
        crypto.ensure_key_file()
        assert crypto.check_key_file() == []
        key_file.chmod(0o644)
        [error] = crypto.check_key_file()
        assert "Others" in error.msg

    def test_make_keys_makes_them_once(self, key_file: Path) -> None:
        out = StringIO()
        call_command("make_keys", stdout=out)
        assert f"made in {key_file}" in out.getvalue()
        assert "Back up this file apart from the database" in out.getvalue()
        content = key_file.read_text()
        call_command("make_keys", stdout=out)
        assert key_file.read_text() == content
        call_command("make_keys", "--add", stdout=out)
        assert crypto.encrypt("4821", "here")[1] == "k2"

    def test_an_old_key_file_gets_its_signing_key_by_make_keys_alone(self, key_file: Path) -> None:
        without_signing_key(key_file)
        crypto.keyed_hash("4821", "patient")
        with pytest.raises(crypto.KeysUnavailable, match="make_keys"):
            crypto.sign(b"yes")
        [warning] = crypto.check_key_file()
        assert "signing key" in warning.msg
        out = StringIO()
        call_command("make_keys", stdout=out)
        assert "A signing key was added" in out.getvalue()
        assert crypto.check_key_file() == []
        assert crypto.sign(b"yes")
        public = crypto.public_key()
        call_command("make_keys", "--add", stdout=out)
        assert crypto.public_key() == public

    def test_make_keys_adds_nothing_to_a_missing_file(self) -> None:
        with pytest.raises(CommandError, match="missing"):
            call_command("make_keys", "--add")


def test_the_demo_needs_no_key_file_before_its_first_start() -> None:
    assert crypto.check_key_file() == []
