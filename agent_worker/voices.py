"""Voices that speak without any provider: espeak-ng, as a library or as Debian's program."""

from __future__ import annotations

import ctypes
import importlib
import re
import shutil
import subprocess
import threading
from functools import cache
from typing import Any, Protocol

from agent_worker import pcm

ESPEAK_VOICES = {"en": "en-us", "es": "es"}
"""Language → espeak-ng voice. `en-gb` and `zh` exist under other names there (`en-gb-x-rp`, `cmn`)."""

WORDS_PER_MINUTE = 160
RENDER_SECONDS = 20.0

_EMERGENCY_NUMBER = re.compile(r"\b(911|112|999)\b(?! [A-Z])")


class CannotSpeak(Exception):
    """This voice could not render a text. The message never holds the text."""


class Voice(Protocol):
    """Turns text into audio. `name` tells its clips from another voice's."""

    name: str

    def render(self, text: str, language: str) -> bytes:
        """`text` as 24 kHz PCM. Blocks; may be called from any thread. Raises CannotSpeak."""


class SilentVoice:
    """Stands in where nothing can speak: silence for as long as reading takes."""

    name = "silent"

    def render(self, text: str, language: str) -> bytes:
        return pcm.silence(pcm.reading_time(text))


class EspeakLibrary:
    """espeak-ng in this process, through the optional `espeakng-loader` package.

    The library has one global state: there is one of these a process (`load`), and one text at a time.
    """

    def __init__(self, library: Any, data_path: str) -> None:
        self._lock = threading.Lock()
        self._samples = bytearray()
        self._library = library
        self._on_audio = _SYNTH_CALLBACK(self._collect)
        self._rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data_path.encode(), 0)
        if self._rate <= 0:
            raise CannotSpeak("espeak-ng does not start")
        library.espeak_SetSynthCallback(self._on_audio)
        self.name = f"espeak-{WORDS_PER_MINUTE}"

    @classmethod
    @cache
    def load(cls) -> EspeakLibrary:
        """The library of the `offline-voice` extra. Raises CannotSpeak where it is not installed."""
        try:
            loader = importlib.import_module("espeakng_loader")
            return cls(ctypes.CDLL(loader.get_library_path()), loader.get_data_path())
        except (ImportError, OSError, RuntimeError) as error:
            raise CannotSpeak(f"espeakng-loader: {error}") from error

    def render(self, text: str, language: str) -> bytes:
        voice = _espeak_voice(language)
        spoken = speakable(text).encode()
        with self._lock:
            self._samples.clear()
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise CannotSpeak(f"espeak-ng lacks the voice {voice}")
            self._library.espeak_SetParameter(_RATE, WORDS_PER_MINUTE, 0)
            if self._library.espeak_Synth(spoken, len(spoken) + 1, 0, 0, 0, _UTF8, None, None) != 0:
                raise CannotSpeak("espeak-ng refused a text")
            samples = bytes(self._samples)
        return pcm.resampled(samples, self._rate)

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, count * pcm.SAMPLE_BYTES)
        return 0


class EspeakProgram:
    """espeak-ng as a program, one process a text."""

    HEADER_BYTES = 44
    RATE = 22_050

    def __init__(self, path: str) -> None:
        self._path = path
        self.name = f"espeak-{WORDS_PER_MINUTE}"

    def render(self, text: str, language: str) -> bytes:
        command = [
            self._path,
            "-v",
            _espeak_voice(language),
            "-s",
            str(WORDS_PER_MINUTE),
            "--stdin",
            "--stdout",
        ]
        try:
            # The text goes in by stdin: a command line can be read by everybody on the machine.
            done = subprocess.run(
                command,
                input=speakable(text).encode(),
                capture_output=True,
                timeout=RENDER_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise CannotSpeak(f"espeak-ng failed: {type(error).__name__}") from error
        return pcm.resampled(done.stdout[self.HEADER_BYTES :], self.RATE)


def offline_voice() -> Voice | None:
    """The voice of this machine, or None when it has no audio tool."""
    try:
        return EspeakLibrary.load()
    except CannotSpeak:
        path = shutil.which("espeak-ng")
        return EspeakProgram(path) if path else None


def speakable(text: str) -> str:
    """`text` with emergency numbers digit by digit: 911 is no nine hundred and eleven."""
    return _EMERGENCY_NUMBER.sub(lambda found: " ".join(found.group()), text)


def _espeak_voice(language: str) -> str:
    # espeak-ng speaks an unknown language in its default voice: better none than the wrong one.
    if language not in ESPEAK_VOICES:
        raise CannotSpeak(f"no voice for the language {language}")
    return ESPEAK_VOICES[language]


# espeak-ng's speak_lib.h: AUDIO_OUTPUT_SYNCHRONOUS, espeakCHARS_UTF8, espeakRATE, t_espeak_callback
_SYNCHRONOUS = 2
_UTF8 = 1
_RATE = 1
_SYNTH_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)
