"""The product's settings, on a data directory that is thrown away, whatever this machine's environment is.

TEST_DATABASE_URL names a PostgreSQL server on which the tests make their own databases; without it they use SQLite.
"""

import atexit
import os
import shutil
import tempfile

from clinic.environment import variables

for name in list(os.environ):
    if (
        name in variables()
        or name.startswith(("SPEECH_", "LIVEKIT_"))
        or name.endswith(("_API_KEY", "_BASE_URL"))
    ):
        del os.environ[name]
if os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
    # A pool would keep connections open that stand in the way of making and dropping the databases.
    os.environ["CLINIC_DATABASE_POOL"] = "false"
os.environ["CLINIC_DATA_DIR"] = tempfile.mkdtemp(prefix="clinic-phone-tests-")
atexit.register(shutil.rmtree, os.environ["CLINIC_DATA_DIR"], ignore_errors=True)

from clinic.settings import *  # noqa: E402, F403

MIDDLEWARE = [
    each.replace("servestatic.middleware.ServeStaticMiddleware", "tests.static_files.OnceListedStaticFiles")
    for each in MIDDLEWARE  # noqa: F405
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # Calls, sites and tests use it from several threads. SQLite's memory would refuse them each other's tables.
    DATABASES["default"]["TEST"] = {"NAME": DATA_DIR / "test.sqlite3"}  # noqa: F405
