"""How this machine's worker runs: environment variables, typed. A wrong one stops the start, with its name."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from clinic.environment import misspelt, sentences

PREFIX = "WORKER_"


class WorkerEnvironment(BaseSettings):
    """Each field is one variable."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    calls: int = Field(
        default=20,
        ge=1,
        le=500,
        validation_alias="WORKER_CALLS",
        description="Calls that this worker answers at once. Further callers hear that all lines are busy.",
    )
    warm: int = Field(
        default=10,
        ge=1,
        le=64,
        validation_alias="WORKER_WARM",
        description="Processes that wait for the next calls, so that nobody waits for a process.",
    )
    host: str = Field(
        default="127.0.0.1",
        validation_alias="WORKER_HOST",
        description="Where the worker's health page and metrics listen.",
    )
    port: int = Field(
        default=8081,
        ge=0,
        le=65535,
        validation_alias="WORKER_PORT",
        description="The port of the worker's health page: `/` says OK, `/worker` its load.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        validation_alias="WORKER_METRICS_PORT",
        description="The port of the worker's Prometheus metrics. Without it there are none.",
    )
    drain_seconds: int = Field(
        default=3600,
        ge=1,
        validation_alias="WORKER_DRAIN_SECONDS",
        description="How long live calls may go on once the worker is told to stop.",
    )


def read_worker_environment(environ: Mapping[str, str] = os.environ) -> WorkerEnvironment:
    """The environment, checked. Raises SystemExit with a sentence for each wrong or unknown variable."""
    known = {str(field.validation_alias) for field in WorkerEnvironment.model_fields.values()}
    if complaints := misspelt(environ, PREFIX, known):
        raise SystemExit("\n".join(complaints))
    try:
        return WorkerEnvironment()
    except ValidationError as error:
        raise SystemExit("\n".join(sentences(error))) from None
