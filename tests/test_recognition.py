"""How the tests recognise a sentence that a full machine has torn."""

import numpy as np
import pytest

from tests.e2e.recognition import recognise, spectrum

RATE = 16_000
SYLLABLE_SECONDS = 0.12


def sentence(seed: int, syllables: int = 12) -> np.ndarray:
    """Syllables of two formants each, all as loud: only their pitches tell them from others."""
    random = np.random.default_rng(seed)
    moment = np.arange(int(RATE * SYLLABLE_SECONDS)) / RATE
    said = [
        np.sin(2 * np.pi * low * moment) + np.sin(2 * np.pi * high * moment)
        for low, high in zip(
            random.uniform(200, 1000, syllables), random.uniform(1200, 3500, syllables), strict=True
        )
    ]
    return (np.concatenate(said) * 4000).astype(np.int16)


SENTENCES = {"busy": spectrum(sentence(1), RATE), "greeting": spectrum(sentence(2), RATE)}
SILENCE = np.zeros(RATE // 2, dtype=np.int16)


def torn(sound: np.ndarray) -> np.ndarray:
    """The same, without 20 ms here, and with 20 ms twice there."""
    frames = sound.reshape(-1, RATE // 50)
    heard = []
    for place, frame in enumerate(frames):
        if place % 7 == 3:
            continue
        heard += [frame] * (2 if place % 9 == 5 else 1)
    return np.concatenate(heard)


@pytest.mark.parametrize(("name", "seed"), [("busy", 1), ("greeting", 2)])
def test_a_sentence_is_recognised_though_it_was_torn(name: str, seed: int) -> None:
    heard = np.concatenate([SILENCE, torn(sentence(seed)), sentence(7)])
    assert recognise(SENTENCES, spectrum(heard, RATE)) == name


@pytest.mark.parametrize("heard", [sentence(3), SILENCE], ids=["another one", "silence"])
def test_what_was_none_of_the_sentences_is_taken_for_none(heard: np.ndarray) -> None:
    with pytest.raises(AssertionError, match="None of the sentences was heard"):
        recognise(SENTENCES, spectrum(heard, RATE))
