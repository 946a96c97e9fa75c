"""The environment variables that the system reads, typed. A wrong one stops the start, with its name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import (
    AnyUrl,
    Field,
    HttpUrl,
    RedisDsn,
    SecretStr,
    UrlConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "CLINIC_"
SECRET_KEY_LENGTH = 50
ALIKE, ALL_BUT_THE_SAME = 0.6, 0.9
"""How alike (difflib's ratio) two names are of which one may be, or surely is, a slip of the pen."""
DatabaseUrl = Annotated[
    AnyUrl, UrlConstraints(allowed_schemes=["postgresql", "postgres"], host_required=True)
]
MailUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["smtp", "smtps"], host_required=True)]


class Environment(BaseSettings):
    """Each field is one variable: its name in capitals after `CLINIC_`, or its alias. README lists them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True)

    mode: Literal["demo", "production"] = Field(
        default="demo",
        description="`demo` runs at once with a made-up clinic; `production` refuses everything unsafe.",
    )
    data_dir: Path = Field(
        default=Path("var"), description="Prompt cache, keys, recordings and, with SQLite, the database."
    )
    key_file: Path | None = Field(
        default=None,
        description="The keys of patient data, `keys.json` in the data directory by default. "
        "Back it up apart from the database.",
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description=f"Signs sessions. Production needs one of {SECRET_KEY_LENGTH} characters or more.",
    )
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default=["127.0.0.1", "localhost", "[::1]"],
        description="Host names that the site answers to, separated by commas. Production needs them.",
    )
    database_url: DatabaseUrl | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="`postgresql://user:password@host:5432/name`. Without it: SQLite in the data directory.",
    )
    database_pool: bool = Field(
        default=True, description="Keep a pool of PostgreSQL connections. Off where a process needs only one."
    )
    redis_url: RedisDsn | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="`redis://host:6379/0`. Needed as soon as there is more than one process.",
    )
    smtp_url: MailUrl | None = Field(
        default=None,
        description="`smtp://user:password@host:587` (STARTTLS) or `smtps://…`. Without it mail is printed.",
    )
    mail_from: str = Field(default="phone@localhost", description="The sender of the system's mail.")
    s3_bucket: str = Field(
        default="",
        description="The bucket of an S3 storage that keeps recordings, encrypted. Without it they are kept in "
        "the data directory.",
    )
    s3_endpoint: HttpUrl | None = Field(
        default=None, description="That storage's address: `https://…`. Without it: Amazon's."
    )
    s3_region: str = Field(default="", description="That storage's region, where it has regions.")
    port: int = Field(
        default=8000,
        ge=1,
        le=65535,
        validation_alias="PORT",
        description="Where `make run` listens, on 127.0.0.1.",
    )
    public_url: HttpUrl | None = Field(
        default=None, description="The site's address as staff open it, for links in mail: `https://…`."
    )
    phone_page: bool = Field(
        default=False, description="Offer the phone page outside the demo, to everyone who can reach it."
    )
    phone_calls_per_minute: int = Field(
        default=30, ge=1, description="Calls that one address may start on the phone page within a minute."
    )
    recording: bool = Field(
        default=True,
        description="Record calls after a consent that covers it. Off: none, whatever callers say.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least important log lines that are written."
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return [host.strip() for host in value.split(",") if host.strip()]
        return value

    @model_validator(mode="after")
    def production_has_no_defaults(self) -> Environment:
        if self.mode != "production":
            return self
        if len(self.secret_key.get_secret_value()) < SECRET_KEY_LENGTH:
            raise ValueError(
                f"CLINIC_SECRET_KEY should be {SECRET_KEY_LENGTH} or more random characters in production."
            )
        if "allowed_hosts" not in self.model_fields_set:
            raise ValueError(
                "CLINIC_ALLOWED_HOSTS should name the site's host in production, "
                "for example phone.clinic.example."
            )
        return self


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable that `Environment.name` is read from."""
    return field.validation_alias if isinstance(field.validation_alias, str) else PREFIX + name.upper()


def variables() -> dict[str, FieldInfo]:
    """Every environment variable that the system reads, with its type, default and description."""
    return {variable(name, field): field for name, field in Environment.model_fields.items()}


def read_environment(environ: Mapping[str, str] = os.environ) -> Environment:
    """The environment, checked. Raises SystemExit with a sentence for each wrong or unknown variable."""
    if complaints := misspelt(environ, PREFIX, variables()):
        raise SystemExit("\n".join(complaints))
    try:
        environment = Environment()
    except ValidationError as error:
        raise SystemExit("\n".join(sentences(error))) from None
    for name, library, wanted in (
        ("DATABASE_URL", "psycopg", environment.database_url),
        ("REDIS_URL", "channels_redis", environment.redis_url),
        ("CLINIC_S3_BUCKET", "storages", environment.s3_bucket),
    ):
        if wanted and find_spec(library) is None:
            raise SystemExit(f"{name}: needs {library}. Run: python3 scripts/environment.py production")
    return environment


def misspelt(
    environ: Mapping[str, str], prefix: str, known: Collection[str], *, shared: bool = False
) -> list[str]:
    """A sentence for each variable with this `prefix` that nothing reads: most likely a slip of the pen.

    Where others have variables with a `shared` prefix, only those count that are all but one of ours.
    """
    complaints = []
    for name in sorted(environ):
        if name.startswith(prefix) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=ALL_BUT_THE_SAME if shared else ALIKE)
            if shared and not close:
                continue
            hint = f" Did you mean {close[0]}?" if close else " README.md lists the variables."
            complaints.append(f"{name} is not a variable that this system reads.{hint}")
    return complaints


def sentences(error: ValidationError) -> list[str]:
    """What is wrong, one sentence per variable. Values are left out: some are secrets."""
    by_variable: dict[str, str] = {}
    for problem in error.errors(include_input=False, include_url=False):
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            by_variable[message] = message
            continue
        field = str(problem["loc"][0])
        name = (
            variable(field, Environment.model_fields[field]) if field in Environment.model_fields else field
        )
        by_variable.setdefault(name, f"{name}: {message.rstrip('.')}.")
    return list(by_variable.values())


def postgres_settings(url: DatabaseUrl, *, pool: bool) -> dict[str, Any]:
    """Django's database settings for `url`; its query (`?sslmode=require`) becomes connection options."""
    # Whoever waits for a server that is gone without a word would wait for minutes: a caller, in the end.
    options: dict[str, Any] = {"connect_timeout": 5, "tcp_user_timeout": 10_000} | dict(url.query_params())
    if pool:
        options["pool"] = {"min_size": 1, "max_size": 10, "timeout": 5}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote((url.path or "/").removeprefix("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.host or "",
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": 0 if pool else 60,
        # Whoever gets a connection gets one that works, also after the server was restarted.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def storage_settings(environment: Environment) -> dict[str, Any]:
    """Django's default storage, where recordings are kept: a folder that only its owner reads, or an S3 bucket.

    The bucket's credentials come under their own names, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or from
    wherever else boto3 finds them.
    """
    if not environment.s3_bucket:
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
        }
    return {
        "BACKEND": "clinic.bucket.Bucket",
        "OPTIONS": {
            "bucket_name": environment.s3_bucket,
            "endpoint_url": str(environment.s3_endpoint) if environment.s3_endpoint else None,
            "region_name": environment.s3_region or None,
            "default_acl": None,
            "file_overwrite": True,
        },
    }


def mail_settings(url: AnyUrl | None) -> dict[str, Any]:
    """Django's `EMAIL_…` settings for `url`: SMTP with STARTTLS or TLS, or print mail where there is none."""
    if url is None:
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    encrypted = url.scheme == "smtps"
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": url.host,
        "EMAIL_PORT": url.port or (465 if encrypted else 587),
        "EMAIL_HOST_USER": unquote(url.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(url.password or ""),
        "EMAIL_USE_SSL": encrypted,
        "EMAIL_USE_TLS": not encrypted and bool(url.username),
        "EMAIL_TIMEOUT": 10,
    }
