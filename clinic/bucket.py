"""Django's storage in an S3 bucket, impatient: a storage that is away must not hold up whoever waits for it.

Needs the `prod` extra; `CLINIC_S3_BUCKET` chooses it.
"""

from __future__ import annotations

from botocore.config import Config
from storages.backends.s3 import S3Storage


class Bucket(S3Storage):
    """Gives up on a server that does not answer after seconds, not minutes."""

    def __init__(self, **options: object) -> None:
        patience = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})
        super().__init__(client_config=patience, **options)
