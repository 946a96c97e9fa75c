"""Where LiveKit is: its own environment variables, typed. A wrong one stops the start, with its name."""

from __future__ import annotations

from typing import Annotated

from pydantic import AnyUrl, Field, SecretStr, UrlConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clinic.environment import sentences

AGENT_NAME = "clinic-phone"
"""What dispatch rules and tokens call our workers by."""

ServerUrl = Annotated[
    AnyUrl, UrlConstraints(allowed_schemes=["ws", "wss", "http", "https"], host_required=True)
]


class LiveKitEnvironment(BaseSettings):
    """LiveKit's own variables, under LiveKit's own names."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    url: ServerUrl | None = Field(
        default=None,
        validation_alias="LIVEKIT_URL",
        description="`ws://127.0.0.1:7880` or `wss://…`. Without it only the embedded line answers.",
    )
    api_key: str = Field(
        default="", validation_alias="LIVEKIT_API_KEY", description="The key's name in livekit-server."
    )
    api_secret: SecretStr = Field(
        default=SecretStr(""), validation_alias="LIVEKIT_API_SECRET", description="The secret of that key."
    )

    @property
    def configured(self) -> bool:
        """Whether calls run through LiveKit."""
        return self.url is not None

    @model_validator(mode="after")
    def url_comes_with_its_key(self) -> LiveKitEnvironment:
        if self.url is not None and not (self.api_key and self.api_secret.get_secret_value()):
            raise ValueError(
                "LIVEKIT_URL is set: LIVEKIT_API_KEY and LIVEKIT_API_SECRET should be set with it, "
                "to a key that livekit-server knows."
            )
        return self


def read_livekit_environment() -> LiveKitEnvironment:
    """The environment, checked. Raises SystemExit with a sentence for each wrong variable."""
    try:
        return LiveKitEnvironment()
    except ValidationError as error:
        raise SystemExit("\n".join(sentences(error))) from None
