"""Where the LiveKit server is, from the environment under LiveKit's own names. A wrong value stops the start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

from pydantic import AnyUrl, Field, SecretStr, UrlConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clinic.environment import misspelt, sentences

PREFIX = "LIVEKIT_"

AGENT_NAME = "clinic-phone"
"""The name under which our workers register, and by which rooms ask for one of them."""

LiveKitUrl = Annotated[
    AnyUrl, UrlConstraints(allowed_schemes=["ws", "wss", "http", "https"], host_required=True)
]


class LiveKitEnvironment(BaseSettings):
    """Each field is one variable. LiveKit is configured when `url` is set; then key and secret must be, too."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    url: LiveKitUrl | None = Field(
        default=None,
        validation_alias="LIVEKIT_URL",
        description="`ws://host:7880`, the LiveKit server. Without it, the phone page calls this process itself.",
    )
    api_key: str = Field(
        default="",
        validation_alias="LIVEKIT_API_KEY",
        description="The LiveKit server's key for this system.",
    )
    api_secret: SecretStr = Field(
        default=SecretStr(""), validation_alias="LIVEKIT_API_SECRET", description="That key's secret."
    )
    public_url: LiveKitUrl | None = Field(
        default=None,
        validation_alias="LIVEKIT_PUBLIC_URL",
        description="The LiveKit server's address as browsers reach it: `wss://…`. Without it: `LIVEKIT_URL`.",
    )

    @model_validator(mode="after")
    def key_and_secret_come_with_the_url(self) -> LiveKitEnvironment:
        if self.url is None:
            return self
        for name, value in (
            ("LIVEKIT_API_KEY", self.api_key),
            ("LIVEKIT_API_SECRET", self.api_secret.get_secret_value()),
        ):
            if not value:
                raise ValueError(f"{name}: is needed with LIVEKIT_URL.")
        return self

    @property
    def configured(self) -> bool:
        """Whether calls go through a LiveKit server."""
        return self.url is not None

    @property
    def server(self) -> str:
        """The server's address for this process, without a slash at its end; empty where there is none."""
        return str(self.url or "").rstrip("/")

    @property
    def browsers_server(self) -> str:
        """The server's address for callers' browsers, as a WebSocket address."""
        address = str(self.public_url or self.url or "").rstrip("/")
        return "ws" + address.removeprefix("http") if address.startswith("http") else address


def read_livekit_environment(environ: Mapping[str, str] = os.environ) -> LiveKitEnvironment:
    """The environment, checked. Raises SystemExit with a sentence for each wrong or misspelt variable."""
    known = {str(field.validation_alias) for field in LiveKitEnvironment.model_fields.values()}
    if complaints := misspelt(environ, PREFIX, known, shared=True):
        raise SystemExit("\n".join(complaints))
    try:
        return LiveKitEnvironment()
    except ValidationError as error:
        raise SystemExit("\n".join(sentences(error))) from None
