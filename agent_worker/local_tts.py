"""This machine's voice as a LiveKit TTS, for sentences that are made in the call. Nothing of them is kept."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import APIConnectOptions, APIError, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from agent_worker import pcm
from agent_worker.voices import CannotSpeak, Voice


class LocalTTS(tts.TTS[Any]):
    """Speaks `language` with `voice`, in a thread."""

    def __init__(self, voice: Voice, language: str) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=pcm.SAMPLE_RATE, num_channels=1
        )
        self._voice = voice
        self._language = language

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Sentence(self, text, conn_options)

    def render(self, text: str) -> bytes:
        """`text` as 24 kHz PCM. Blocks. Raises CannotSpeak."""
        return self._voice.render(text, self._language)


class _Sentence(tts.ChunkedStream):
    def __init__(self, speaker: LocalTTS, text: str, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=speaker, input_text=text, conn_options=conn_options)
        self._speaker = speaker

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        try:
            sound = await asyncio.to_thread(self._speaker.render, self.input_text)
        except CannotSpeak as error:
            raise APIError(str(error), retryable=False) from error
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=pcm.SAMPLE_RATE,
            num_channels=1,
            mime_type="audio/pcm",
        )
        output_emitter.push(sound)
        output_emitter.flush()
