"""The product's settings, on a data directory that is thrown away, whatever this machine's environment is."""

import atexit
import os
import shutil
import tempfile

from clinic.environment import variables

for name in variables():
    os.environ.pop(name, None)
os.environ["CLINIC_DATA_DIR"] = tempfile.mkdtemp(prefix="clinic-phone-tests-")
atexit.register(shutil.rmtree, os.environ["CLINIC_DATA_DIR"], ignore_errors=True)

from clinic.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
