"""The product's settings, on a data directory that is thrown away, whatever this machine's environment is."""

import atexit
import os
import shutil
import tempfile

from clinic.environment import variables

for name in list(os.environ):
    if name in variables() or name.startswith("SPEECH_") or name.endswith(("_API_KEY", "_BASE_URL")):
        del os.environ[name]
os.environ["CLINIC_DATA_DIR"] = tempfile.mkdtemp(prefix="clinic-phone-tests-")
atexit.register(shutil.rmtree, os.environ["CLINIC_DATA_DIR"], ignore_errors=True)

from clinic.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Calls, sites and tests use it from several threads. SQLite's memory would refuse them each other's tables.
DATABASES["default"]["TEST"] = {"NAME": DATA_DIR / "test.sqlite3"}  # noqa: F405
