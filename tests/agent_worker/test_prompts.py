"""Prompts: what a caller hears of them, how long they take, and what is left of them on disk."""

import asyncio
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from livekit import rtc

from agent_worker import pcm
from agent_worker.prompts import PromptStore, SilentPrompts
from agent_worker.voices import CannotSpeak, EspeakLibrary, EspeakProgram, SilentVoice, speakable
from clinic.hours import Schedule
from phone.plan import ClinicFacts, PhonePlan
from phone.wording import Part, Sensitive, Utterance, fixed_utterances, say

PLAN = PhonePlan(
    clinic=ClinicFacts(name="Bright Smile Dental", languages=("en", "es")),
    schedule=Schedule(zone="America/New_York"),
)
CLIP_BYTES = pcm.SAMPLE_RATE // 10 * pcm.SAMPLE_BYTES
WELCOME = Utterance((Part("Welcome to Bright Smile Dental."),))


class SpyVoice:
    """Speaks a tenth of a second for each text and remembers what it was asked for."""

    def __init__(self, name="spy", *, fails=False):
        self.name = name
        self.fails = fails
        self.spoken = []
        self.gate = threading.Event()
        self.gate.set()

    def render(self, text, language):
        self.gate.wait(10)
        self.spoken.append((language, text))
        if self.fails:
            raise CannotSpeak("no luck")
        return b"\1\0" * (pcm.SAMPLE_RATE // 10)


@pytest.fixture
def voice():
    voice = SpyVoice()
    yield voice
    voice.gate.set()


def store_of(directory, voice, **options):
    return PromptStore(directory, local=voice, **options)


async def heard(prompts, utterance, language="en"):
    """The sound of an utterance, as bytes."""
    sound = b""
    async for frame in prompts.audio(utterance, language):
        assert isinstance(frame, rtc.AudioFrame)
        assert (frame.sample_rate, frame.num_channels) == (24_000, 1)
        sound += bytes(frame.data.cast("B"))
    return sound


def on_disk(directory):
    return [path for path in directory.rglob("*") if path.is_file()]


async def test_a_prompt_is_rendered_once_and_then_read(tmp_path, voice):
    first = await heard(store_of(tmp_path, voice), WELCOME)
    again = await heard(store_of(tmp_path, voice), WELCOME)
    assert first == again
    assert pcm.seconds_of(first) == pytest.approx(0.1)
    assert len(voice.spoken) == 1


async def test_two_callers_who_need_the_same_missing_prompt_wait_for_one_rendering(tmp_path, voice):
    voice.gate.clear()
    store = store_of(tmp_path, voice)
    callers = [asyncio.ensure_future(heard(store, WELCOME)) for _ in range(5)]
    await asyncio.sleep(0)
    voice.gate.set()
    sounds = await asyncio.gather(*callers)
    assert len(set(sounds)) == 1
    assert len(voice.spoken) == 1


async def test_a_slow_voice_never_holds_up_the_keys_and_costs_the_caller_no_more_than_the_limit(
    tmp_path, voice
):
    voice.gate.clear()
    store = store_of(tmp_path, voice, on_the_spot_seconds=0.05)
    began = time.perf_counter()
    prompt = asyncio.ensure_future(heard(store, WELCOME))
    delays = []
    while not prompt.done():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        delays.append(time.perf_counter() - before)
    assert time.perf_counter() - began < 1
    assert max(delays) < 0.05
    sound = prompt.result()
    assert not any(sound), "the caller hears silence"
    assert pcm.seconds_of(sound) == pytest.approx(store.seconds(WELCOME, "en"), abs=0.01)


async def test_the_late_rendering_serves_the_next_caller(tmp_path, voice):
    voice.gate.clear()
    store = store_of(tmp_path, voice, on_the_spot_seconds=0.01)
    await heard(store, WELCOME)
    voice.gate.set()
    store = store_of(tmp_path, voice)
    assert any(await heard(store, WELCOME))


async def test_a_caller_who_hangs_up_does_not_spoil_the_prompt_for_another(tmp_path, voice):
    voice.gate.clear()
    store = store_of(tmp_path, voice)
    gone, there = (asyncio.ensure_future(heard(store, WELCOME)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    voice.gate.set()
    assert any(await there)


async def test_without_a_voice_a_prompt_is_silence_for_as_long_as_reading_takes(tmp_path):
    store = store_of(tmp_path, None)
    sound = await heard(store, WELCOME)
    assert not any(sound)
    assert pcm.seconds_of(sound) == pytest.approx(len(WELCOME.text) * 0.065, abs=0.001)


async def test_a_failing_voice_is_silence_too(tmp_path):
    assert not any(await heard(store_of(tmp_path, SpyVoice(fails=True)), WELCOME))


async def test_entered_digits_leave_no_trace_on_disk(tmp_path, voice):
    plan = PLAN.model_copy(update={"wording": {"en": {"id_read_back": "{digits}"}}})
    await heard(store_of(tmp_path, voice), say(plan, "id_read_back", "en", digits=Sensitive("4821")))
    assert sorted(text for _, text in voice.spoken) == ["eight", "four", "one", "two"]
    assert on_disk(tmp_path) == []


async def test_digits_come_from_clips_and_never_from_the_voice_for_rendering_ahead(tmp_path, voice):
    cloud = SpyVoice("cloud")
    store = PromptStore(tmp_path, local=voice, ahead=cloud)
    await asyncio.to_thread(store.render, PLAN)
    assert "four" not in [text for _, text in cloud.spoken]
    voice.spoken.clear()
    await heard(store, say(PLAN, "id_read_back", "en", digits=Sensitive("4821")))
    assert voice.spoken == []


class HesitantVoice(SpyVoice):
    """Is quiet for a fifth of a second before each text."""

    def render(self, text, language):
        return pcm.silence(0.2) + b"\0\1" * (pcm.SAMPLE_RATE // 10)


async def test_a_prompt_begins_with_its_first_sound_and_keeps_the_pauses_between_its_sentences(tmp_path):
    sound = await heard(store_of(tmp_path, HesitantVoice()), WELCOME + WELCOME)
    assert sound[:2] == b"\0\1"
    assert pcm.seconds_of(sound) == pytest.approx(0.1 + 0.2 + 0.1)


async def test_after_a_publish_the_whole_plan_is_there_and_preloaded(tmp_path, voice):
    store = store_of(tmp_path, voice)
    count = await asyncio.to_thread(store.render, PLAN)
    assert count == len(voice.spoken) == len(set(voice.spoken)) > 100
    await store.preload(1, PLAN)
    assert len(voice.spoken) == count
    assert store.seconds(say(PLAN, "greeting", "en"), "en") == pytest.approx(0.1)
    assert await asyncio.to_thread(store.render, PLAN) == count == len(voice.spoken)


async def test_what_was_shared_before_the_fork_needs_no_disk_and_is_not_gone_through_again(
    tmp_path, voice, monkeypatch
):
    await asyncio.to_thread(store_of(tmp_path, voice).render, PLAN)
    store = store_of(tmp_path, voice)
    store.share(1, PLAN)
    voice.spoken.clear()
    shutil.rmtree(tmp_path)
    monkeypatch.setattr("agent_worker.prompts.fixed_utterances", not_again)
    await store.preload(1, PLAN)
    assert any(await heard(store, say(PLAN, "greeting", "en")))
    assert voice.spoken == []


def not_again(plan):
    raise AssertionError("it is ready")


async def test_a_plan_that_does_not_fit_takes_nothing_from_the_one_that_was_shared(tmp_path, voice):
    other = PLAN.model_copy(update={"clinic": PLAN.clinic.model_copy(update={"name": "Oak Street Clinic"})})
    whole = store_of(tmp_path, voice)
    for plan in (PLAN, other):
        await asyncio.to_thread(whole.render, plan)
    clips = len({*fixed_utterances(PLAN)})
    store = PromptStore(tmp_path, local=voice, memory_bytes=clips * CLIP_BYTES)
    store.share(1, PLAN)
    store.share(2, other)
    shutil.rmtree(tmp_path)
    await store.preload(1, PLAN)
    voice.spoken.clear()
    assert any(await heard(store, say(PLAN, "greeting", "en")))
    assert voice.spoken == []
    await store.preload(2, other)
    assert voice.spoken


async def test_what_is_not_rendered_yet_is_not_shared_but_preloaded_in_the_call(tmp_path, voice):
    store = store_of(tmp_path, voice)
    store.share(1, PLAN)
    assert voice.spoken == []
    await store.preload(1, PLAN)
    assert voice.spoken


async def test_a_clip_that_a_better_voice_will_replace_is_not_shared(tmp_path, voice):
    await asyncio.to_thread(store_of(tmp_path, voice).render, PLAN)
    cloud = SpyVoice("cloud")
    store = PromptStore(tmp_path, local=voice, ahead=cloud)
    greeting = say(PLAN, "greeting", "en")
    store.share(1, PLAN)
    assert store.seconds(greeting, "en") == pcm.reading_time(greeting.spoken)
    await asyncio.to_thread(store.render, PLAN)
    store.share(1, PLAN)
    assert store.seconds(greeting, "en") == pytest.approx(0.1)


async def test_where_the_voice_for_rendering_ahead_fails_the_local_one_speaks(tmp_path, voice):
    store = PromptStore(tmp_path, local=voice, ahead=SpyVoice("cloud", fails=True))
    assert await asyncio.to_thread(store.render, PLAN) == len(set(voice.spoken))
    assert any(await heard(store, say(PLAN, "greeting", "en")))


async def test_the_clip_of_the_voice_for_rendering_ahead_goes_first(tmp_path, voice):
    cloud = SpyVoice("cloud")
    store = PromptStore(tmp_path, local=voice, ahead=cloud)
    await asyncio.to_thread(store.render, PLAN)
    voice.spoken.clear()
    assert any(await heard(store, say(PLAN, "greeting", "en")))
    assert voice.spoken == []


async def test_the_offer_of_another_language_is_spoken_in_that_language(tmp_path, voice):
    greeting = say(PLAN, "greeting", "en")
    offer = say(PLAN, "language_offer", "es", key="9").in_language("es")
    await heard(store_of(tmp_path, voice), greeting + offer)
    # Two threads speak them, whoever begins.
    assert sorted(voice.spoken) == [("en", greeting.spoken), ("es", offer.spoken)]


async def test_a_damaged_clip_is_rendered_again(tmp_path, voice):
    whole = await heard(store_of(tmp_path, voice), WELCOME)
    (clip,) = on_disk(tmp_path)
    for damage in (b"", b"\0"):
        clip.write_bytes(damage)
        assert await heard(store_of(tmp_path, voice), WELCOME) == whole


async def test_a_cache_that_cannot_be_written_still_lets_the_caller_hear(tmp_path, voice):
    blocked = tmp_path / "prompts"
    blocked.write_text("a file where the directory should be")
    assert any(await heard(store_of(blocked, voice), WELCOME))


async def test_little_memory_only_costs_reading_again(tmp_path, voice):
    store = store_of(tmp_path, voice, memory_bytes=5_000)
    for name in ("One.", "Two.", "One."):
        assert any(await heard(store, Utterance((Part(name),))))
    assert len(voice.spoken) == 2


async def test_clips_that_no_call_used_for_long_are_forgotten(tmp_path, voice):
    store = store_of(tmp_path, voice)
    await heard(store, WELCOME)
    await heard(store, Utterance((Part("Closed on Thanksgiving."),)))
    old, _ = on_disk(tmp_path)
    os.utime(old, (time.time() - 90 * 86_400,) * 2)
    assert store.forget_unused(timedelta(days=60)) == 1
    assert len(on_disk(tmp_path)) == 1


async def test_silent_prompts_take_their_time_in_few_frames():
    prompts = SilentPrompts()
    text = Utterance((Part("word " * 200),))
    frames = [frame async for frame in prompts.audio(text, "en")]
    assert len(frames) == 2
    assert sum(frame.duration for frame in frames) == pytest.approx(65.0)
    assert prompts.seconds(text, "en") == pytest.approx(65.0)


@pytest.fixture(params=["library", "program"])
def espeak(request):
    if request.param == "program":
        path = shutil.which("espeak-ng")
        return EspeakProgram(path) if path else pytest.skip("espeak-ng is not installed")
    try:
        return EspeakLibrary.load()
    except CannotSpeak as reason:
        return pytest.skip(str(reason))


@pytest.mark.parametrize(("language", "text"), [("en", "We are open now."), ("es", "Ahora está abierto.")])
def test_espeak_speaks(espeak, language, text):
    sound = espeak.render(text, language)
    assert 0.5 < pcm.seconds_of(sound) < 3
    assert max(sound) > 0


def test_espeak_says_when_it_has_no_such_voice(espeak):
    with pytest.raises(CannotSpeak):
        espeak.render("text", "no-such-language")


def test_espeak_renders_for_many_threads_at_once(espeak):
    with ThreadPoolExecutor(8) as threads:
        texts = ["Yes.", "We are open now, until five PM."] * 8
        seconds = [pcm.seconds_of(sound) for sound in threads.map(espeak.render, texts, ["en"] * 16)]
    assert seconds[0::2] == pytest.approx([seconds[0]] * 8, abs=0.01)
    assert seconds[1::2] == pytest.approx([seconds[1]] * 8, abs=0.01)


def test_an_emergency_number_is_spoken_digit_by_digit():
    assert speakable("Hang up and dial 911.") == "Hang up and dial 9 1 1."
    assert speakable("112 Main Street") == "112 Main Street"


def test_the_stand_in_voice_is_silent():
    assert not any(SilentVoice().render("Hello there.", "en"))
