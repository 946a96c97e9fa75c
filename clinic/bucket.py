"""Django's storage in an S3 bucket, impatient: a storage that is away must not hold up whoever waits for it.

Needs the `prod` extra; `CLINIC_S3_BUCKET` chooses it.
"""

from __future__ import annotations

from botocore.config import Config
from storages.backends.s3 import S3Storage

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
TRIES = 2


class Bucket(S3Storage):
    """Gives up on a server that does not answer after seconds, not minutes."""

    def __init__(self, **options: object) -> None:
        patience = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": TRIES},
            # Storages that are not Amazon's often refuse the checksums that boto3 adds to the end of what it sends.
            # What is stored here proves itself as it is decrypted.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        super().__init__(client_config=patience, **options)
