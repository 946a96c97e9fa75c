"""A model and a voice that answer at once, for the opponent: what is measured is its task alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from typing import Any

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, llm, tts, utils

from agent_worker import pcm


class OneSentence(llm.LLM[Any]):
    """Says the same short sentence, at once."""

    def chat(self, *, chat_ctx: llm.ChatContext, **options: Any) -> llm.LLMStream:
        return _Sentence(self, chat_ctx=chat_ctx, tools=[], conn_options=APIConnectOptions())


class _Sentence(llm.LLMStream):
    async def _run(self) -> None:
        delta = llm.ChoiceDelta(role="assistant", content="Please enter your digits.")
        self._event_ch.send_nowait(llm.ChatChunk(id="sentence", delta=delta))


class Sounds(tts.TTS[Any]):
    """Says, whatever the text, one of these sounds (24 kHz PCM) after the other, each at once."""

    def __init__(self, sounds: Iterable[bytes]) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=pcm.SAMPLE_RATE, num_channels=1
        )
        self.sounds = cycle(sounds)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Sound(tts=self, input_text=text, conn_options=conn_options)


class _Sound(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        assert isinstance(self._tts, Sounds)
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=pcm.SAMPLE_RATE,
            num_channels=1,
            mime_type="audio/pcm",
        )
        output_emitter.push(next(self._tts.sounds))
        output_emitter.flush()
