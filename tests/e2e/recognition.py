"""Which sentence somebody heard, also where a machine that was full tore it or drew it out.

The sentence's spectrum is compared with what was heard, stretched in time as suits it best: dynamic time warping with
a slope between one half and two (H. Sakoe and S. Chiba, "Dynamic programming algorithm optimization for spoken word
recognition", 1978). Of twenty telephones on a machine that was much too small for them, those that had heard the
first 1.5 s of a sentence had heard what was 0.67 to 0.97 like it; any other sentence was at most 0.63 like it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.e2e.telephone import FRAME_SECONDS, Samples

BANDS = 16
LOWEST_HERTZ, HIGHEST_HERTZ = 100.0, 4000.0
SILENCE = 1e4
"""Energy that is added to each band, so that what cannot be heard makes no difference."""

STRETCHED = 0.1
"""What each frame costs that is left out or said twice."""

IMPOSSIBLE = -1e9
LIKE = 0.65

Spectrum = np.ndarray[Any, np.dtype[np.float64]]
"""For each 10 ms the shape of the loudness over `BANDS` bands of pitch: mean 0, length 1."""


def spectrum(sound: Samples, rate: int) -> Spectrum:
    """The spectrum of `sound`, `rate` samples a second."""
    step = int(rate * FRAME_SECONDS)
    samples = np.concatenate([sound[: len(sound) // step * step].astype(np.float64), np.zeros(step)])
    frames = np.lib.stride_tricks.sliding_window_view(samples, 2 * step)[::step] * np.hanning(2 * step)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    pitches = _mel(np.fft.rfftfreq(2 * step, 1 / rate))
    edges = np.linspace(_mel(LOWEST_HERTZ), _mel(HIGHEST_HERTZ), BANDS + 1)
    bands = np.stack(
        [power[:, _within(pitches, edges[place : place + 2])].sum(axis=1) for place in range(BANDS)], 1
    )
    shape = np.log(bands / step + SILENCE)
    shape -= shape.mean(axis=1, keepdims=True)
    return shape / np.maximum(np.linalg.norm(shape, axis=1, keepdims=True), 1e-6)


def likeness(sentence: Spectrum, heard: Spectrum) -> float:
    """How like `sentence` the most similar stretch of `heard` is: 1 is the same."""
    alike = sentence @ heard.T
    best = np.full_like(alike, IMPOSSIBLE)
    best[0] = alike[0]
    for place in range(1, len(sentence)):
        best[place, 1:] = best[place - 1, :-1]
        best[place, 2:] = np.maximum(best[place, 2:], best[place - 1, :-2] - STRETCHED)
        if place > 1:
            said_twice = best[place - 2, :-1] + alike[place - 1, 1:] - STRETCHED
            best[place, 1:] = np.maximum(best[place, 1:], said_twice)
        best[place] += alike[place]
    return float(best[-1].max(initial=IMPOSSIBLE) / len(sentence))


def recognise(sentences: Mapping[str, Spectrum], heard: Spectrum) -> str:
    """The name of the sentence that was heard. Raises AssertionError where none is like enough."""
    found = {name: likeness(sentence, heard) for name, sentence in sentences.items()}
    likest = max(found, key=found.__getitem__)
    assert found[likest] >= LIKE, f"None of the sentences was heard: {found}."
    return likest


def _mel(hertz: Any) -> Any:
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def _within(pitches: Any, edges: Any) -> Any:
    """The places of the pitches between the two edges; the nearest one where there is none."""
    inside = np.flatnonzero((pitches >= edges[0]) & (pitches < edges[1]))
    return inside if inside.size else [int(np.abs(pitches - edges.mean()).argmin())]
