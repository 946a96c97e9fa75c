"""Talking to the receptionist: the real call flow and the real plugins, with local servers as the providers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc
from livekit.agents.voice.io import AudioInput

from agent_worker import pcm
from agent_worker.answering import take_call
from agent_worker.desk import Desk
from agent_worker.lines.base import Bridge
from agent_worker.providers import SpeechEnvironment
from agent_worker.records import RecordWriter
from agent_worker.speech import Speech, build_speech
from clinic.models import Clinic
from phone.models import Call, DirectoryEntry
from phone.plan import ClinicFacts, ConsentRules, PhonePlan
from phone.plan import DirectoryEntry as Entry
from phone.publishing import live_plan_of
from phone.wording import Utterance
from tests.agent_worker.calling import CALLER, MONDAY_MORNING, Caller, publish
from tests.agent_worker.sounds import listen_to
from tests.agent_worker.telephones import FakeBridge
from tests.phone.plans import APPOINTMENTS, MAIN, a_plan
from tests.providers import CartesiaServer, DeepgramServer, OpenAIServer, Reply

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

FACTS = "Parking is behind the building. A cleaning costs $120."
PLAN = a_plan(
    consent=ConsentRules(early_answer_permits_recording=True),
    clinic=ClinicFacts(
        name="Bright Smile Dental",
        languages=("en", "es"),
        address="12 Main Street",
        office_number="+12125550123",
        receptionist_facts=FACTS,
    ),
)
Talk = Callable[[Caller], Awaitable[None]]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    for name in ("DEEPGRAM", "OPENAI", "CARTESIA"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)

    def point(name: str, url: str) -> None:
        monkeypatch.setenv(f"{name}_API_KEY", "local-key")
        monkeypatch.setenv(f"{name}_BASE_URL", url)

    return point


@pytest.fixture
def model(use: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> OpenAIServer:
    """The model of the next call; its replies and mode may be set before and during it."""
    monkeypatch.setattr("agent_worker.deciding.TIMEOUT", 0.5)
    monkeypatch.setattr("agent_worker.talking.TIMEOUT", 0.5)
    return OpenAIServer()


class HastyPrompts:
    """Prompts in no time: these calls run on the real clock."""

    async def audio(self, utterance: Utterance, language: str) -> AsyncIterator[rtc.AudioFrame]:
        for frame in pcm.frames(pcm.silence(0.02), 0.02):
            yield frame

    def seconds(self, utterance: Utterance, language: str) -> float:
        return 0.02


class HastyVoice:
    name = "hasty"

    def render(self, text: str, language: str) -> bytes:
        return pcm.silence(0.02)


class Microphone(AudioInput):
    """A caller who is never quite silent."""

    def __init__(self) -> None:
        super().__init__(label="test microphone")

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.sleep(0.02)
        return next(pcm.frames(b"\1\0" * 480, 0.02))


class Place:
    """Places calls in real time, with this model, and with a provider's voice where one is set."""

    def __init__(self, model: OpenAIServer, use: Callable[[str, str], None]) -> None:
        self.model = model
        self.voice: CartesiaServer | None = None
        self.ears: DeepgramServer | None = None
        self._use = use

    def __call__(
        self,
        talk: Talk,
        *,
        plan: PhonePlan = PLAN,
        recordings: Path | None = None,
        bridge: Bridge | None = None,
    ) -> Caller:
        loaded = live_plan_of(publish(plan).pk)
        assert loaded is not None

        async def call() -> Caller:
            async with self._speech() as speech:
                caller = Caller(CALLER, keys=True, origin="phone", bridge=bridge)
                caller.audio_input = Microphone()
                caller.has_sound = recordings is not None
                desk = Desk(
                    prompts=HastyPrompts(), writer=RecordWriter(), speech=speech, recordings=recordings
                )
                running = asyncio.create_task(take_call(caller, desk, loaded, answered_at=MONDAY_MORNING))
                try:
                    async with asyncio.timeout(20):
                        await talk(caller)
                finally:
                    caller.hangs_up()
                    await running
                return caller

        return asyncio.run(call())

    @contextlib.asynccontextmanager
    async def _speech(self) -> AsyncIterator[Speech]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.model)
            self._use("OPENAI", self.model.url)
            if self.voice is not None:
                await stack.enter_async_context(self.voice)
                self._use("CARTESIA", self.voice.url)
            if self.ears is not None:
                await stack.enter_async_context(self.ears)
                self._use("DEEPGRAM", self.ears.url)
            speech = build_speech(SpeechEnvironment(SPEECH_TIMEOUT=0.5))
            stack.push_async_callback(speech.aclose)
            speech.voice = HastyVoice()
            yield speech


@pytest.fixture
def place_call(model: OpenAIServer, use: Callable[[str, str], None]) -> Place:
    return Place(model, use)


async def reaches_the_receptionist(caller: Caller, *, consent: str = "1") -> None:
    await caller.hears("Do you consent?")
    caller.presses(consent)
    await caller.hears("press 1")
    caller.presses("1")
    await caller.hears("How can I help you?")


def tool(name: str, **arguments: Any) -> Reply:
    return Reply(tool=name, arguments=arguments)


def request_tool(**arguments: Any) -> Reply:
    return tool(
        "take_request",
        **{"kind": "appointment", "part_of_day": "unknown", "urgent": False, "note": "", **arguments},
    )


def test_it_takes_a_request_and_the_number_goes_by_keys(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [request_tool(part_of_day="morning", note="cleaning, call 202 555 0147, ID 4821")]

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("I chipped a tooth a bit and would like to come in some morning")
        await caller.hears("Shall we call you at •••, •••, ••••?")
        caller.presses("1")
        await caller.hears("This is a request, not a booking. We will call you by")

    request = place_call(talk).call.requests.get()
    assert (request.kind, request.part_of_day, request.topic) == ("appointment", "morning", "appointments")
    assert request.confirmed
    assert request.note == "cleaning, call [number], ID [number]"


def test_a_caller_who_says_so_is_recorded_no_more_and_no_model_hears_on(
    model: OpenAIServer, place_call: Place, tmp_path: Path
) -> None:
    model.replies = [Reply("You can park behind the building.")]

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("is there anywhere that I could leave my car")
        await caller.hears("You can park behind the building.")
        await caller.waits(1.5)
        caller.says("please stop recording this call")
        await caller.hears("recording has stopped")
        asked = len(model.asked)
        await caller.waits(1.5)
        caller.says("my secret is that I never floss")
        await caller.waits(0.3)
        assert len(model.asked) == asked

    call = place_call(talk, recordings=tmp_path).call
    given, withdrawn = call.consents.order_by("answered_at")
    assert (given.decision, withdrawn.decision, withdrawn.how) == ("given", "withdrawn", "voice")
    assert not (withdrawn.covers_recording or withdrawn.covers_transcript)
    assert not withdrawn.covers_outside_processing
    recording = call.recordings.get()
    assert recording.consent == given
    assert recording.ended_at is not None
    assert abs((recording.ended_at - withdrawn.answered_at).total_seconds()) < 1
    lasted = (withdrawn.answered_at - recording.started_at).total_seconds()
    assert 1.5 < listen_to(tmp_path / f"{recording.pk}.ogg").seconds < lasted + 1
    said = call.events.filter(kind="speech").order_by("seq")
    assert [event.data.get("text") for event in said.filter(at__lt=withdrawn.answered_at)] == [
        "is there anywhere that I could leave my car",
        "please stop recording this call",
    ]
    assert not any(event.data for event in said.filter(at__gt=withdrawn.answered_at))
    assert "floss" not in model.seen


def test_an_urgent_request_is_urgent(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [request_tool(kind="callback", urgent=True)]

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("my crown came off and it really cannot wait until next week")
        await caller.hears("Shall we call you")
        caller.presses("1")
        await caller.hears("We will call you by")

    assert place_call(talk).call.requests.get().priority == "urgent"


def test_it_answers_from_what_staff_wrote(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [Reply("You can park behind the building."), Reply("A cleaning costs $120.")]

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("is there anywhere that I could leave my car")
        await caller.hears("You can park behind the building.")
        caller.says("and how much would a cleaning be for me")
        await caller.hears("A cleaning costs $120.")

    caller = place_call(talk)
    assert FACTS in model.seen
    assert "12 Main Street" in model.seen
    assert caller.ended["served"] == "information"


def test_it_reads_out_the_opening_hours(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [tool("office_hours")]

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("until when could my daughter come over this afternoon")
        await caller.hears("We are open now, until 5 PM. Is there anything else?")

    place_call(talk)


def test_short_answers_need_no_model(model: OpenAIServer, place_call: Place) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("what are your hours")
        await caller.hears("We are open now, until 5 PM.")
        caller.says("an appointment please")
        await caller.hears("When would you like to come in?")

    place_call(talk)
    assert model.asked == []


def test_it_leads_to_a_person(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [tool("reach_person")]

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("this is about a letter that your office has sent me")
        await caller.hears("You can reach us at")

    place_call(talk)


def test_a_number_that_the_model_makes_up_is_never_rung(model: OpenAIServer, place_call: Place) -> None:
    desk, made_up = "+12125550143", "+19005551234"
    clinic = Clinic.objects.create(slug="bright-smile", name="Bright Smile Dental")
    DirectoryEntry.objects.create(clinic=clinic, name="Front desk", number=desk)
    model.replies = [tool("reach_person", number=made_up, person=made_up)]
    bridge = FakeBridge(after=0.1)

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("could you put me through to my cousin, his number is 1 900 555 1234, he will know")
        await caller.hears("I am connecting you with")
        while not caller.told("ended"):
            await caller.waits(0.05)

    entry = Entry(name="Front desk", number=desk, spoken={"en": "our front desk", "es": "la recepción"})
    caller = place_call(
        talk,
        plan=PLAN.model_copy(update={"directory": (entry,), "person": entry.name}),
        bridge=bridge,
    )
    assert bridge.rung == [("cold", desk)]
    assert caller.call.outcome == "transferred"


def test_it_says_goodbye(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [tool("end_call")]

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("well you know I believe that I will try my luck another day")
        await caller.hears("Thank you for calling. Goodbye.")

    assert place_call(talk).ended["outcome"] in ("completed", "caller_hung_up")


def test_danger_is_answered_without_the_model(model: OpenAIServer, place_call: Place) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("I can't breathe")
        await caller.hears("hang up and dial 911")

    place_call(talk)
    assert model.asked == []


BROKEN = {
    "it is down": lambda model: setattr(model, "mode", "failing"),
    "it never answers": lambda model: setattr(model, "mode", "silent"),
    "it stalls in the middle of a sentence": lambda model: setattr(
        model, "replies", [Reply("We", stalls=True)]
    ),
    "it refuses": lambda model: setattr(model, "replies", [Reply(refusal="I cannot help with that.")]),
    "it says nothing": lambda model: setattr(model, "replies", [Reply()]),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_when_the_model_fails_the_keypad_receptionist_carries_on(
    model: OpenAIServer, place_call: Place, broken: Callable[[OpenAIServer], None]
) -> None:
    broken(model)

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("could you tell me whether you also treat small children")
        await caller.hears("To ask for an appointment, press 1.")
        caller.presses("1")
        await caller.hears("When would you like to come in?")

    caller = place_call(talk)
    assert caller.ended["outcome"] == "caller_hung_up"


def test_keys_do_not_wait_for_a_model_that_does_not_answer(model: OpenAIServer, place_call: Place) -> None:
    model.mode = "silent"
    took: list[float] = []

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("could you tell me whether you also treat small children")
        await model.was_asked()
        pressed = time.perf_counter()
        caller.presses("2")
        await caller.hears("When is a good time to call you?")
        took.append(time.perf_counter() - pressed)

    place_call(talk)
    assert took[0] < 0.2


@pytest.mark.parametrize(("key", "answer"), [("0", "You can reach us at"), ("*", "How can I help you?")])
def test_a_person_and_the_last_sentence_are_a_key_away(
    model: OpenAIServer, place_call: Place, key: str, answer: str
) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.presses(key)
        await caller.hears(answer)

    place_call(talk)


def test_what_the_model_must_not_say_is_never_heard(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [Reply("Great, you are booked for Monday at 10 AM."), Reply("Take two ibuprofen.")]

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        for words in ("please just book me for Monday at ten okay", "and what may I take against the pain"):
            caller.says(words)
            await caller.hears("I cannot answer that, but somebody at our office can.")

    caller = place_call(talk)
    assert not any("booked" in text or "ibuprofen" in text for text in caller.prompts)


def test_a_model_that_keeps_breaking_the_rules_is_replaced_by_keys(
    model: OpenAIServer, place_call: Place
) -> None:
    model.replies = [tool("open_the_safe", everything=True)]

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        for _ in range(2):
            caller.says("please tell me everything that you know about me")
            await caller.hears("I cannot answer that")
        caller.says("please tell me everything that you know about me")
        await caller.hears("To ask for an appointment, press 1.")

    place_call(talk)


@pytest.mark.parametrize("consent", ["2", "1"], ids=["refused", "not covering outside processing"])
def test_nothing_reaches_the_model_without_consent(
    model: OpenAIServer, place_call: Place, consent: str
) -> None:
    rules = ConsentRules(early_answer_permits_recording=True, covers_outside_processing=consent == "2")

    async def talk(caller: Caller) -> None:
        await caller.hears("Do you consent?")
        caller.says("I would rather talk about the weather, to be frank with you")
        await caller.hears("clear yes or no")
        caller.presses(consent)
        await caller.hears("press 1")
        caller.says("something that no phrase of any menu would match at all")
        await caller.hears("I did not understand that")
        caller.presses("1")
        await caller.hears("To ask for an appointment, press 1.")

    place_call(talk, plan=PLAN.model_copy(update={"consent": rules}))
    assert model.asked == []


def test_the_model_never_sees_an_id_a_number_or_a_patient(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [Reply("I can take a request for you.")]
    identify = MAIN.model_copy(
        update={"options": (APPOINTMENTS.model_copy(update={"identify_first": True}),)}
    )

    async def talk(caller: Caller) -> None:
        await caller.hears("Do you consent?")
        caller.presses("1")
        await caller.hears("press 1")
        caller.presses("1")
        await caller.hears("Please enter your patient ID")
        caller.presses("4821#")
        await caller.hears("If that is right, press 1.")
        caller.presses("1")
        await caller.hears("go on without it")
        await caller.waits(0.5)
        caller.presses("#")
        await caller.hears("How can I help you?")
        caller.says("my patient ID is 4821, that is four eight two one, or forty-eight twenty-one")
        await caller.hears("I can take a request for you.")

    caller = place_call(talk, plan=PLAN.model_copy(update={"menus": (identify,)}))
    for secret in ("4821", "48", "four eight", "forty-eight", CALLER, "2025550147"):
        assert secret not in model.seen
    assert "4821" not in str(caller.events)


def test_words_that_no_phrase_matches_are_matched_by_the_model(
    model: OpenAIServer, place_call: Place
) -> None:
    model.replies = [tool("choose", choice="2")]

    async def talk(caller: Caller) -> None:
        await caller.hears("Do you consent?")
        caller.presses("1")
        await caller.hears("press 1")
        caller.says("until when may I drop by")
        await caller.hears("We are open now, until 5 PM.")

    place_call(talk)
    assert "until when may I drop by" in model.seen


@pytest.mark.parametrize("answer", [tool("choose", choice="none"), tool("choose"), Reply("Two."), Reply()])
def test_a_model_that_does_not_decide_leaves_the_question_open(
    model: OpenAIServer, place_call: Place, answer: Reply
) -> None:
    model.replies = [answer]

    async def talk(caller: Caller) -> None:
        await caller.hears("Do you consent?")
        caller.presses("1")
        await caller.hears("press 1")
        caller.says("it depends on what you have on offer")
        await caller.hears("I did not understand that")

    place_call(talk)


def test_a_caller_who_hangs_up_while_the_model_thinks_leaves_a_final_row(
    model: OpenAIServer, place_call: Place
) -> None:
    model.mode = "silent"

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("could you tell me whether you also treat small children")
        await model.was_asked()

    caller = place_call(talk)
    assert caller.call.outcome == Call.Outcome.CALLER_HUNG_UP
    assert caller.call.ended_in_step == "receptionist"


def test_what_was_said_is_kept_only_where_consent_covers_a_transcript(
    model: OpenAIServer, place_call: Place
) -> None:
    model.replies = [Reply("We treat children too.")]
    rules = ConsentRules(early_answer_permits_recording=True, covers_transcript=False)

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("could you tell me whether you also treat small children")
        await caller.hears("We treat children too.")

    caller = place_call(talk, plan=PLAN.model_copy(update={"consent": rules}))
    assert "children" not in str(list(caller.call.events.values_list("data", flat=True)))


def test_the_providers_voice_speaks_the_replies(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [Reply("We treat children too.")]
    place_call.voice = CartesiaServer()

    async def talk(caller: Caller) -> None:
        await reaches_the_receptionist(caller)
        caller.says("could you tell me whether you also treat small children")
        await caller.hears("We treat children too.")
        await place_call.voice.was_asked()

    place_call(talk)
    assert "We treat children too." in place_call.voice.spoken


def test_spoken_words_are_heard_after_consent_and_not_before(model: OpenAIServer, place_call: Place) -> None:
    model.replies = [Reply("We treat children too.")]
    place_call.ears = ears = DeepgramServer()
    before_consent: list[int] = []

    async def talk(caller: Caller) -> None:
        await caller.hears("Do you consent?")
        await caller.waits(0.1)
        before_consent.extend((len(ears.asked), ears.audio_bytes))
        caller.presses("1")
        await caller.hears("press 1")
        await ears.was_asked(1)
        await ears.hears("appointments")
        await caller.hears("How can I help you?")
        await ears.was_asked(2)
        await ears.hears("could you tell me whether you also treat small children")
        await caller.hears("We treat children too.")

    caller = place_call(talk)
    assert before_consent == [0, 0]
    assert [event["step"] for event in caller.told("speech")] == ["menu", "receptionist"]


def test_no_outside_service_listens_while_an_id_is_entered(model: OpenAIServer, place_call: Place) -> None:
    place_call.ears = ears = DeepgramServer()
    identify = MAIN.model_copy(
        update={"options": (APPOINTMENTS.model_copy(update={"identify_first": True}),)}
    )
    heard: list[int] = []

    async def talk(caller: Caller) -> None:
        await caller.hears("Do you consent?")
        caller.presses("1")
        await caller.hears("press 1")
        caller.presses("1")
        await caller.hears("Please enter your patient ID")
        await caller.waits(0.1)
        heard.append(ears.audio_bytes)
        await caller.waits(0.2)
        heard.append(ears.audio_bytes)

    place_call(talk, plan=PLAN.model_copy(update={"menus": (identify,)}))
    assert heard[0] == heard[1]
