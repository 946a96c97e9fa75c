"""Speech providers by name: which LiveKit plugins the environment asks for, and how each is made.

A provider is used only when its key is set, under the provider's own name for it (`DEEPGRAM_API_KEY`), with an
optional address of its own (`DEEPGRAM_BASE_URL`). A wrong value stops the start with the variable's name.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic.networks import HttpUrl
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from clinic.environment import misspelt, sentences

PREFIX = "SPEECH_"

Kind = Literal["STT", "LLM", "TTS"]

KEY_NAMES = {"elevenlabs": "ELEVEN_API_KEY", "mistralai": "MISTRAL_API_KEY", "azure": "AZURE_SPEECH_KEY"}
"""Plugins that call their key otherwise than `<NAME>_API_KEY`."""

ALWAYS = {("deepgram", "STT"): {"mip_opt_out": True, "smart_format": False}}
"""What a plugin is always told. Deepgram: callers' voices are not used to improve its models."""

MULTILINGUAL = {"deepgram": "multi"}
"""What a recogniser calls "whichever of its languages is spoken"; callers may switch in mid-call."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One plugin and the model to ask it for; an empty model is the plugin's own choice."""

    plugin: str
    model: str = ""

    @property
    def key_name(self) -> str:
        return KEY_NAMES.get(self.plugin, f"{self.plugin.upper()}_API_KEY")

    @property
    def url_name(self) -> str:
        return f"{self.plugin.upper()}_BASE_URL"


def _providers(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = []
    for entry in filter(None, (entry.strip() for entry in value.split(","))):
        plugin, _, model = entry.partition(":")
        if not plugin.isidentifier() or importlib.util.find_spec(f"livekit.plugins.{plugin}") is None:
            raise ValueError(
                f"there is no LiveKit plugin “{plugin}” here; it comes with livekit-plugins-{plugin}"
            )
        found.append(Provider(plugin, model))
    return tuple(found)


def _voices(value: object) -> object:
    if not isinstance(value, str):
        return value
    if "=" not in value:
        return {"": value.strip()} if value.strip() else {}
    return {language.strip(): voice.strip() for language, _, voice in map(_pair, value.split(","))}


def _pair(text: str) -> tuple[str, str, str]:
    if "=" not in text:
        raise ValueError("should be one voice, or one per language such as “en=…,es=…”")
    return text.partition("=")


Providers = Annotated[tuple[Provider, ...], NoDecode, BeforeValidator(_providers)]


class SpeechEnvironment(BaseSettings):
    """Each field is one variable. Providers are plugins in the order of use: `deepgram:nova-3,assemblyai`."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    stt: Providers = Field(
        default=(Provider("deepgram", "nova-3"),),
        validation_alias="SPEECH_STT",
        description="Who understands callers: LiveKit plugins with their models, in the order of use.",
    )
    llm: Providers = Field(
        default=(Provider("openai", "gpt-4o-mini"),),
        validation_alias="SPEECH_LLM",
        description="Who thinks for the talking receptionist.",
    )
    tts: Providers = Field(
        default=(Provider("cartesia"),),
        validation_alias="SPEECH_TTS",
        description="Who speaks: fixed sentences ahead of calls, and for the talking receptionist.",
    )
    stt_local: bool = Field(
        default=False,
        validation_alias="SPEECH_STT_LOCAL",
        description="The recogniser runs on this machine: it needs no key and no consent, and may hear IDs.",
    )
    stt_language: str = Field(
        default="",
        validation_alias="SPEECH_STT_LANGUAGE",
        description="What the recogniser listens for, where “any of its languages” is not wanted.",
    )
    voices: Annotated[dict[str, str], NoDecode, BeforeValidator(_voices)] = Field(
        default={},
        validation_alias="SPEECH_VOICE",
        description="The provider's voice: one, or one per language such as `en=…,es=…`.",
    )
    timeout: float = Field(
        default=4.0,
        ge=0.2,
        le=30,
        validation_alias="SPEECH_TIMEOUT",
        description="Seconds until a provider that does not answer counts as failed.",
    )

    def voice(self, language: str) -> str:
        """The provider's voice in `language`; empty is the plugin's own choice."""
        return self.voices.get(language) or self.voices.get("", "")


def read_speech_environment(environ: Mapping[str, str] = os.environ) -> SpeechEnvironment:
    """The environment, checked. Raises SystemExit with a sentence for each wrong or unknown variable."""
    known = {str(field.validation_alias) for field in SpeechEnvironment.model_fields.values()}
    if complaints := misspelt(environ, PREFIX, known):
        raise SystemExit("\n".join(complaints))
    try:
        environment = SpeechEnvironment()
    except ValidationError as error:
        raise SystemExit("\n".join(sentences(error))) from None
    for provider in {*environment.stt, *environment.llm, *environment.tts}:
        base_url(provider)
    return environment


def has_key(provider: Provider, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment holds this provider's key."""
    return bool(environ.get(provider.key_name))


def base_url(provider: Provider, environ: Mapping[str, str] = os.environ) -> str:
    """The address that replaces the provider's own, or empty. Raises SystemExit when it is no address."""
    url = environ.get(provider.url_name, "")
    try:
        return url and str(TypeAdapter(HttpUrl).validate_python(url)).rstrip("/")
    except ValidationError:
        raise SystemExit(
            f"{provider.url_name}: should be an address such as http://127.0.0.1:9000."
        ) from None


def load(provider: Provider, kind: Kind) -> Callable[..., Any]:
    """The plugin's STT, LLM or TTS class. The first time in a process, on the main thread only.

    (livekit-agents registers plugins there.) Raises SystemExit where the plugin has no such part.
    """
    module = importlib.import_module(f"livekit.plugins.{provider.plugin}")
    factory: Callable[..., Any] | None = getattr(module, kind, None)
    if factory is None:
        raise SystemExit(f"SPEECH_{kind}: the LiveKit plugin “{provider.plugin}” has no {kind}.")
    return factory


def make(provider: Provider, kind: Kind, **wanted: Any) -> Any:
    """A new STT, LLM or TTS of this provider, with those of the `wanted` options that it knows.

    Empty options are left to the plugin. Raises as `load` does.
    """
    factory = load(provider, kind)
    options = {
        "model": provider.model,
        "api_key": os.environ.get(provider.key_name, ""),
        "base_url": base_url(provider),
        **wanted,
    }
    known = inspect.signature(factory).parameters
    given = {name: value for name, value in options.items() if value and name in known}
    return factory(**given, **ALWAYS.get((provider.plugin, kind), {}))
