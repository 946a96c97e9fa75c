"""Providers: chosen by the environment, used only with their key, and harmless when they fail.

The plugins are the real ones; the providers are local servers that speak their protocols.
"""

import asyncio
import contextlib
import time

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, APIError
from livekit.agents.llm import ChatContext
from livekit.agents.stt import SpeechEventType

from agent_worker import pcm
from agent_worker.prompts import PromptStore
from agent_worker.providers import Provider, SpeechEnvironment, read_speech_environment
from agent_worker.speech import (
    ProviderVoice,
    Speech,
    build_speech,
    hearing_options,
    prompt_store,
    session_options,
)
from agent_worker.voices import CannotSpeak, SilentVoice
from clinic.hours import Schedule
from phone.plan import ClinicFacts, PhonePlan
from tests.providers import CartesiaServer, DeepgramServer, OpenAIServer, Reply

ONCE = APIConnectOptions(max_retry=0, timeout=0.5)
VARIABLES = ("DEEPGRAM", "OPENAI", "CARTESIA")
HELLO = ChatContext.empty()
HELLO.add_message(role="user", content="Hello")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        monkeypatch.delenv(f"{name}_BASE_URL", raising=False)


@pytest.fixture
def use(monkeypatch):
    """Set a provider's key and address."""

    def point(name, url):
        monkeypatch.setenv(f"{name}_API_KEY", "local-key")
        monkeypatch.setenv(f"{name}_BASE_URL", url)

    return point


@contextlib.asynccontextmanager
async def speech_of(**environment):
    speech = build_speech(SpeechEnvironment(**{"SPEECH_TIMEOUT": 0.4, **environment}))
    try:
        yield speech
    finally:
        await speech.aclose()


async def said(speaker, text):
    """The sound of a streamed text."""
    sound = b""
    async with speaker.stream(conn_options=ONCE) as stream:
        stream.push_text(text)
        stream.end_input()
        async for audio in stream:
            assert audio.frame.sample_rate == 24_000
            sound += bytes(audio.frame.data.cast("B"))
    return sound


async def answered(model):
    async with asyncio.timeout(10):
        return await model.chat(chat_ctx=HELLO, conn_options=ONCE).collect()


async def test_without_keys_there_is_no_provider_and_still_a_voice():
    async with speech_of() as speech:
        assert (speech.stt, speech.llm, speech.local_stt) == (None, None, False)
        assert pcm.seconds_of(await said(speech.tts_in("en"), "We are open now.")) > 0.5


async def test_a_call_without_any_speech_settings_takes_the_time_that_reading_takes():
    sound = await said(Speech().tts_in("en"), "We are open now.")
    assert not any(sound)
    assert pcm.seconds_of(sound) == pytest.approx(16 * 0.065, abs=0.05)


async def test_deepgram_hears_and_never_learns_from_callers(use):
    async with DeepgramServer() as server:
        use("DEEPGRAM", server.url)
        async with speech_of() as speech, speech.stt.stream(conn_options=ONCE) as stream:
            stream.push_frame(rtc.AudioFrame(pcm.silence(0.1), pcm.SAMPLE_RATE, 1, 2400))
            await server.was_asked()
            await server.hears("what are your hours")
            async for event in stream:
                if event.type == SpeechEventType.FINAL_TRANSCRIPT:
                    break
            assert event.alternatives[0].text == "what are your hours"
        (query,) = server.asked
        assert query["mip_opt_out"] == "true"
        assert (query["model"], query["language"]) == ("nova-3", "multi")
        assert query["authorization"] == "Token local-key"


async def test_a_recogniser_that_is_down_fails_within_its_limit(use):
    async with DeepgramServer("failing") as server:
        use("DEEPGRAM", server.url)
        async with speech_of() as speech, asyncio.timeout(5):
            with pytest.raises(APIError):
                async with speech.stt.stream(conn_options=ONCE) as stream:
                    async for _ in stream:
                        pass


async def test_the_model_answers_as_a_stream(use):
    async with OpenAIServer(Reply("We are open until five.")) as server:
        use("OPENAI", server.url)
        async with speech_of() as speech:
            assert (await answered(speech.llm)).text == "We are open until five."
        assert server.asked[0]["model"] == "gpt-4o-mini"
        assert server.asked[0]["stream"] is True


@pytest.mark.parametrize("mode", ["failing", "silent", "slow"])
async def test_a_model_that_does_not_answer_fails_within_its_limit(use, mode):
    async with OpenAIServer() as server:
        server.mode, server.delay = mode, 5
        use("OPENAI", server.url)
        async with speech_of() as speech:
            began = time.perf_counter()
            with pytest.raises(APIError):
                await answered(speech.llm)
            assert time.perf_counter() - began < 2


async def test_a_second_model_takes_over_from_the_first(use, monkeypatch):
    async with OpenAIServer() as server:
        use("OPENAI", server.url)
        server.answer = lambda body: Reply("", stalls=True) if body["model"] == "first" else Reply("Here.")
        async with speech_of(SPEECH_LLM="openai:first,openai:second") as speech:
            assert (await answered(speech.llm)).text == "Here."


async def test_cartesia_speaks_the_callers_language_with_the_clinics_voice(use):
    async with CartesiaServer() as server:
        use("CARTESIA", server.url)
        async with speech_of(SPEECH_VOICE="en=anna,es=eva") as speech:
            sound = await said(speech.tts_in("es"), "Estamos abiertos hasta las cinco de la tarde.")
        assert any(sound)
        assert "Estamos abiertos" in server.spoken
        assert server.asked[0]["language"] == "es"
        assert server.asked[0]["voice"]["id"] == "eva"


@pytest.mark.parametrize("mode", ["failing", "silent"])
async def test_when_the_providers_voice_fails_this_machine_speaks(use, mode):
    async with CartesiaServer(mode) as server:
        use("CARTESIA", server.url)
        async with speech_of() as speech, asyncio.timeout(5):
            speech.voice = SilentVoice()
            assert pcm.seconds_of(await said(speech.tts_in("en"), "We are open now.")) > 0.9


def test_a_providers_voice_renders_fixed_texts_ahead(use, tmp_path):
    async def publish():
        async with CartesiaServer() as server:
            use("CARTESIA", server.url)
            store = prompt_store(tmp_path, SpeechEnvironment())
            count = await asyncio.to_thread(store.render, small_plan())
            assert count > 0
            return server.spoken

    spoken = asyncio.run(publish())
    assert "Thank you for calling Bright Smile Dental" in spoken
    assert "seven" not in spoken


def small_plan():
    return PhonePlan(
        clinic=ClinicFacts(name="Bright Smile Dental", languages=("en",)),
        schedule=Schedule(zone="America/New_York"),
    )


def test_a_voice_that_is_down_is_given_up_on_soon(use, tmp_path):
    async def publish():
        async with CartesiaServer("failing") as server:
            use("CARTESIA", server.url)
            ahead = ProviderVoice(Provider("cartesia"), SpeechEnvironment())
            store = PromptStore(tmp_path, local=SilentVoice(), ahead=ahead)
            assert await asyncio.to_thread(store.render, small_plan()) > 50
            with pytest.raises(CannotSpeak):
                await asyncio.to_thread(ahead.render, "Hello.", "en")
            return len(server.asked)

    assert asyncio.run(publish()) == 3


async def test_a_question_is_heard_by_an_outside_service_only_after_consent_and_never_its_digits(use):
    async with DeepgramServer() as server:
        use("DEEPGRAM", server.url)
        async with speech_of() as speech:
            assert hearing_options(speech, outside_allowed=False) == {}
            assert hearing_options(speech, outside_allowed=True)["stt"] is speech.stt
            assert hearing_options(speech, outside_allowed=True, sensitive=True) == {}
        async with speech_of(SPEECH_STT_LOCAL="true") as speech:
            assert hearing_options(speech, outside_allowed=False, sensitive=True)["stt"] is speech.stt


async def test_a_session_sends_nobody_anything_by_itself():
    options = session_options(Speech())
    assert not {"stt", "llm", "tts"} & options.keys()
    assert options["turn_handling"]["preemptive_generation"] == {"enabled": False}
    assert options["conn_options"].llm_conn_options.max_retry == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPEECH_STT", "nosuchplugin"),
        ("SPEECH_LLM", "openai gpt-4o"),
        ("SPEECH_TIMEOUT", "soon"),
        ("SPEECH_TIMEOUT", "0"),
        ("SPEECH_VOICE", "en=anna,eva"),
        ("SPEECH_STT_LOCAL", "perhaps"),
        ("DEEPGRAM_BASE_URL", "not an address"),
    ],
)
def test_a_wrong_value_stops_the_start_with_the_variables_name(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=variable):
        read_speech_environment()


async def test_a_plugin_without_such_a_part_stops_the_start(monkeypatch):
    monkeypatch.setenv("DEEPGRAM_API_KEY", "local-key")
    with pytest.raises(SystemExit, match="SPEECH_LLM"):
        build_speech(SpeechEnvironment(SPEECH_LLM="deepgram"))
