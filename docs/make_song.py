"""Makes the song of an example, examples/song.mp3: `python -m docs.make_song`.

Two bars at 120 beats per minute: a drum on each beat, a hiss between two beats, and a bass note for each bar.
"""

from __future__ import annotations

import tempfile
import wave
from pathlib import Path

import numpy as np

from remix.motion.ffmpeg import BITEXACT, Ffmpeg

RATE, TEMPO, BEATS = 44100, 120, 8
NOTES = (55.0, 65.4)
SONG = Path(__file__).parents[1] / "examples" / "song.mp3"


def samples() -> np.ndarray:
    """Returns the song, from -1 to 1."""
    beat = RATE * 60 // TEMPO
    song = np.zeros(beat * BEATS)
    hiss = np.random.default_rng(1).standard_normal(beat // 2)
    time = np.arange(beat) / RATE
    for number in range(BEATS):
        place = number * beat
        song[place : place + beat] += (
            0.6 * np.sin(2 * np.pi * (50 * time + 3 * (1 - np.exp(-time / 0.03)))) * fade(0.08)
        )
        song[place + beat // 2 : place + beat] += 0.08 * hiss * fade(0.02)[: beat // 2]
        song[place : place + beat] += 0.2 * np.sin(2 * np.pi * 2 * NOTES[number // 4] * time) * fade(0.3)
    return song


def fade(seconds: float) -> np.ndarray:
    """Returns the decay of one beat, which falls to 1/e in `seconds`."""
    return np.exp(-np.arange(RATE * 60 // TEMPO) / (seconds * RATE))


def main() -> None:
    """Writes the song as an MP3."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "song.wav"
        with wave.open(str(plain), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((samples() * 32767).astype("<i2").tobytes())
        encoded = ("-c:a", "libmp3lame", "-b:a", "64k", *BITEXACT, "-y", str(SONG))
        with Ffmpeg(["-i", str(plain), *encoded]) as process:
            assert process.finish() == 0, process.last_words()


if __name__ == "__main__":
    main()
