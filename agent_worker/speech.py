"""What can understand, think and speak on calls: made once a process from the environment.

Without any provider a call has this machine's voice, keys and typed words; a provider that fails in mid-call
leaves it with just that. docs/decisions.md says why each limit is as short as it is.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from livekit.agents import APIConnectOptions, APIError, llm, stt, tts
from livekit.agents.voice.agent_session import SessionConnectOptions

from agent_worker import pcm
from agent_worker.local_tts import LocalTTS
from agent_worker.prompts import PromptStore
from agent_worker.providers import (
    MULTILINGUAL,
    Kind,
    Provider,
    SpeechEnvironment,
    has_key,
    load,
    make,
    read_speech_environment,
)
from agent_worker.voices import CannotSpeak, SilentVoice, Voice, offline_voice

logger = logging.getLogger(__name__)

TIMEOUT = 4.0
"""Seconds until a provider counts as failed, where the environment does not say."""

NEVER_CLOSE = 10**6
"""livekit-agents closes a session after a few failures of a provider; a call outlives them all."""

AHEAD_TIMEOUT = 15.0
AHEAD_FAILURES = 3


@dataclass
class Speech:
    """What calls can use. `stt` and `llm` are None where there is no provider; something always speaks.

    `local_stt` says that `stt` runs on this machine: what it hears goes nowhere.
    """

    stt: stt.STT[Any] | None = None
    llm: llm.LLM[Any] | None = None
    local_stt: bool = False
    voice: Voice = field(default_factory=SilentVoice)
    environment: SpeechEnvironment | None = None
    session: aiohttp.ClientSession | None = None
    _speakers: dict[str, tts.TTS[Any]] = field(default_factory=dict, init=False)

    def tts_in(self, language: str) -> tts.TTS[Any]:
        """Who speaks sentences that are made in the call: the provider, then this machine's voice."""
        if language not in self._speakers:
            speakers = [*self._provider_voices(language), LocalTTS(self.voice, language)]
            self._speakers[language] = tts.FallbackAdapter(
                speakers, max_retry_per_tts=0, sample_rate=pcm.SAMPLE_RATE
            )
        return self._speakers[language]

    async def aclose(self) -> None:
        """Let go of all connections."""
        for part in (self.stt, self.llm, *self._speakers.values()):
            if part is not None:
                await part.aclose()
        if self.session is not None:
            await self.session.close()

    def _provider_voices(self, language: str) -> list[tts.TTS[Any]]:
        if self.environment is None:
            return []
        return [
            make_tts(provider, self.environment, language, session=self.session)
            for provider in self.environment.tts
            if has_key(provider)
        ]


def build_speech(environment: SpeechEnvironment | None = None) -> Speech:
    """What the environment offers. Call it on the event loop that the calls run on, and on the main thread.

    Raises SystemExit, with the variable's name, when the environment is wrong.
    """
    environment = environment or read_speech_environment()
    load_plugins(environment)
    recognisers, thinkers, speakers = _used(environment).values()
    session = aiohttp.ClientSession() if recognisers or speakers else None
    return Speech(
        stt=_stt(recognisers, environment, session) if recognisers else None,
        llm=_llm(thinkers, environment) if thinkers else None,
        local_stt=environment.stt_local,
        voice=offline_voice() or SilentVoice(),
        environment=environment,
        session=session,
    )


def load_plugins(environment: SpeechEnvironment) -> None:
    """Import the plugins of every provider that calls can use. On the main thread only.

    Raises SystemExit, with the variable's name, when the environment is wrong.
    """
    for kind, providers in _used(environment).items():
        for provider in providers:
            load(provider, kind)


def log_providers(environment: SpeechEnvironment) -> None:
    """Write into the log who hears, thinks and speaks."""
    for kind, providers in _used(environment).items():
        logger.info("speech providers for %s: %s", kind, ", ".join(p.plugin for p in providers) or "none")


def _used(environment: SpeechEnvironment) -> dict[Kind, list[Provider]]:
    """Whom calls can use, of each kind in this order: STT, LLM, TTS."""
    return {
        "STT": [p for p in environment.stt if environment.stt_local or has_key(p)],
        "LLM": [p for p in environment.llm if has_key(p)],
        "TTS": [p for p in environment.tts if has_key(p)],
    }


def prompt_store(directory: Path, environment: SpeechEnvironment | None = None) -> PromptStore:
    """The prompts in `directory`: of this machine's voice, and of the provider's where one has a key."""
    environment = environment or read_speech_environment()
    provider = next((provider for provider in environment.tts if has_key(provider)), None)
    ahead = ProviderVoice(provider, environment) if provider else None
    return PromptStore(directory, local=offline_voice(), ahead=ahead)


def session_options(speech: Speech) -> dict[str, Any]:
    """What an `AgentSession` of a call is made with: it hears and thinks nothing until a step brings that along."""
    timeout = speech.environment.timeout if speech.environment else TIMEOUT
    connect = APIConnectOptions(max_retry=0, timeout=timeout)
    return {
        "vad": None,
        "aec_warmup_duration": None,
        "user_away_timeout": None,
        "turn_handling": {
            "turn_detection": "manual",
            # Otherwise each turn goes to the model even when a phrase has answered it.
            "preemptive_generation": {"enabled": False},
            "interruption": {"resume_false_interruption": False},
        },
        "conn_options": SessionConnectOptions(
            stt_conn_options=connect,
            llm_conn_options=connect,
            tts_conn_options=connect,
            max_unrecoverable_errors=NEVER_CLOSE,
        ),
    }


def hearing_options(speech: Speech, *, outside_allowed: bool, sensitive: bool = False) -> dict[str, Any]:
    """What an agent that asks the caller something is made with, so that it can hear the answer.

    Empty where it must not hear: before consent covers outside processing, and for sensitive questions, only a
    recogniser on this machine may listen.
    """
    if speech.stt is None or not (speech.local_stt or (outside_allowed and not sensitive)):
        return {}
    return {"stt": speech.stt, "turn_handling": {"turn_detection": "stt"}}


class ProviderVoice:
    """A provider's voice for rendering fixed texts ahead of calls, outside any call's event loop.

    After a few failures in a row it gives up at once; whoever wants to try again makes a new one.
    """

    def __init__(self, provider: Provider, environment: SpeechEnvironment) -> None:
        self._provider = provider
        self._environment = environment
        self._failures = 0
        voices = ",".join(f"{language}={voice}" for language, voice in sorted(environment.voices.items()))
        self.name = f"{provider.plugin}:{provider.model}:{voices}"

    def render(self, text: str, language: str) -> bytes:
        if self._failures >= AHEAD_FAILURES:
            raise CannotSpeak(f"{self._provider.plugin} failed before")
        try:
            sound = asyncio.run(self._synthesize(text, language))
        except (APIError, TimeoutError, RuntimeError) as error:
            self._failures += 1
            raise CannotSpeak(f"{self._provider.plugin}: {type(error).__name__}") from error
        self._failures = 0
        return sound

    async def _synthesize(self, text: str, language: str) -> bytes:
        async with aiohttp.ClientSession() as session, asyncio.timeout(AHEAD_TIMEOUT):
            speaker = make_tts(self._provider, self._environment, language, session=session)
            limits = APIConnectOptions(max_retry=0, timeout=self._environment.timeout)
            async with speaker, speaker.synthesize(text, conn_options=limits) as stream:
                frame = await stream.collect()
        return pcm.resampled(bytes(frame.data.cast("B")), frame.sample_rate)


def make_tts(
    provider: Provider,
    environment: SpeechEnvironment,
    language: str,
    *,
    session: aiohttp.ClientSession | None = None,
) -> tts.TTS[Any]:
    """A provider's voice in `language`."""
    speaker: tts.TTS[Any] = make(
        provider, "TTS", language=language, voice=environment.voice(language), http_session=session
    )
    return speaker


def _stt(
    providers: list[Provider], environment: SpeechEnvironment, session: aiohttp.ClientSession | None
) -> stt.STT[Any]:
    recognisers: list[stt.STT[Any]] = [
        make(
            provider,
            "STT",
            language=environment.stt_language or MULTILINGUAL.get(provider.plugin, ""),
            http_session=session,
        )
        for provider in providers
    ]
    return stt.FallbackAdapter(
        recognisers, attempt_timeout=environment.timeout, max_retry_per_stt=0, retry_interval=0.5
    )


def _llm(providers: list[Provider], environment: SpeechEnvironment) -> llm.LLM[Any]:
    models: list[llm.LLM[Any]] = [make(provider, "LLM") for provider in providers]
    return llm.FallbackAdapter(models, attempt_timeout=environment.timeout, max_retry_per_llm=0)
