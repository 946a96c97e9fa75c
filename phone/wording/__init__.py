"""What is said to callers: pure functions from plan, clock and values to utterances."""

from phone.phrases import default_phrases
from phone.wording.prerender import fixed_utterances
from phone.wording.prompts import (
    briefing,
    closed_notice,
    consent_question,
    greeting,
    label,
    menu_prompt,
    option_message,
    person_name,
    phone_number,
)
from phone.wording.texts import (
    WORDING_KEYS,
    WordingError,
    WordingKey,
    default_wording,
    digit_words,
    placeholders,
    say,
)
from phone.wording.times import due_at, moment, office_hours
from phone.wording.utterance import Part, Sensitive, Utterance

__all__ = [
    "WORDING_KEYS",
    "Part",
    "Sensitive",
    "Utterance",
    "WordingError",
    "WordingKey",
    "briefing",
    "closed_notice",
    "consent_question",
    "default_phrases",
    "default_wording",
    "digit_words",
    "due_at",
    "fixed_utterances",
    "greeting",
    "label",
    "menu_prompt",
    "moment",
    "office_hours",
    "option_message",
    "person_name",
    "phone_number",
    "placeholders",
    "say",
]
