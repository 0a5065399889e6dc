"""Measures a song: tempo, beats, onsets and levels, by librosa. Each song is measured once and kept in a cache.

Beats come from dynamic programming over the onset strength (Ellis, "Beat Tracking by Dynamic Programming", 2007), and
onsets are its peaks (Boeck and Widmer, "Maximum Filter Vibrato Suppression for Onset Detection", 2013). The sound is
decoded and analyzed in blocks, so memory does not grow with its sample rate or channels.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from remix.errors import BadInput, MissingPackage, PictureError
from remix.motion.atomic import atomic_write
from remix.motion.ffmpeg import LISTEN_STRICTLY, Ffmpeg
from remix.motion.reading import probe_sound
from remix.motion.regular import fingerprint

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

LONGEST = 3600
"""The longest song, in seconds."""

MAX_SONG = 2**30
"""The largest file of a song, in bytes."""

LEVEL_RATE = 25
"""Levels per second."""

BANDS = {"bass": (20, 250), "mid": (250, 4000), "high": (4000, 11025)}
"""The bands, in Hz."""

_RULE = 1
"""The version of the measurement, as part of a cached file's name."""

_RATE, _WINDOW, _HOP = 22050, 1024, 294
"""Samples per second, samples of a spectrum (46 ms), and samples from one to the next: 75 spectra per second."""

_LEVEL_HOPS = _RATE // _HOP // LEVEL_RATE
_BLOCK = _HOP * 4096
_MELS, _RANGE = 64, 40.0
"""Bands of the onset strength, and its dynamic range in decibels. Quieter changes are noise."""

_LATE = 0.0075
"""The mean time by which an onset precedes its click, in seconds: a window reaches half its length ahead."""

_DELTA = 0.15
"""How far a peak of the onset strength must rise above its surroundings, as a share of the highest."""

_NEAR = 0.05
"""The largest distance of a beat to its onset, in seconds."""

_LEAD = 38
"""Spectra of silence, half a second, before the song, so that a beat right at its start is a change."""

_MEMORY = 8 * _RATE // _HOP
"""The spectra, 8 seconds, over which the tempo is looked for."""

_PIECE = 4096
"""Spectra for which the tempo is estimated at a time: the estimate of a whole song needs gigabytes."""

_SILENT, _FAINT = 1e-4, 0.01
"""A song that is never louder than the first (of 1) is silent, and so is a band below that share of the loudest."""


@dataclass(frozen=True)
class _Spectra:
    """The spectra of a song, 75 per second: power in mel bands, and in all, bass, mid and high; and its samples.

    `mels` begin `_LEAD` spectra before the song.
    """

    mels: Array
    powers: Array
    samples: int


def measured_song(folder: str | os.PathLike[str], name: str) -> dict[str, Any]:
    """Returns the numbers of the song called `name` in `folder`, or below it.

    They are `sha256`, `length` (in seconds), `tempo` (beats per minute), `beats` and `onsets` (in seconds), and the
    levels `rms`, `bass`, `mid` and `high`, `LEVEL_RATE` per second from 0 to 1. Raises PictureError for a file that is
    missing, outside of `folder`, no sound, or too long, and MissingPackage without librosa.
    """
    path = song_path(folder, name)
    if not path.is_file():
        raise PictureError(
            f"{name!r} is not a file in {Path(folder).resolve()}; put the song there, or write its numbers below "
            "[music] (remix music FILE --toml prints them)"
        )
    digest = fingerprint(path, limit=MAX_SONG)
    cached = _cache() / f"{digest}-{_RULE}.json"
    with suppress(OSError, ValueError, TypeError):
        return _checked(json.loads(cached.read_text(encoding="utf-8")), digest)
    found = {"sha256": digest, **_measured(path)}
    with suppress(OSError, BadInput):  # without a place to write, the song is measured again next time
        cached.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(cached) as part:
            part.write_text(json.dumps(found), encoding="utf-8")
    return found


def song_path(folder: str | os.PathLike[str], name: str) -> Path:
    """Returns the path of the song called `name` in `folder`. Raises PictureError for links that lead out of it."""
    root = Path(folder).resolve()
    path = Path(os.path.realpath(root / name))  # not resolve(), which raises RuntimeError for circular links
    if not path.is_relative_to(root):
        raise PictureError(f"{name}: leads out of {root}; copy the song into it")
    return path


def _cache() -> Path:
    """Returns the folder of measured songs, in the user's cache."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "remix-toolkit" / "songs"


def _checked(found: dict[str, Any], digest: str) -> dict[str, Any]:
    """Returns the contents of a cached file. Raises ValueError if they are not those of this song."""
    names = {"sha256", "length", "tempo", "beats", "onsets", "rms", *BANDS}
    if not isinstance(found, dict) or found.keys() != names or found["sha256"] != digest:
        raise ValueError("not the numbers of this song")
    return found


def _measured(path: Path) -> dict[str, Any]:
    librosa = _librosa()
    if probe_sound(path).duration > LONGEST:
        raise _too_long(path)
    log.warning("music: measuring %s, once; the very first song takes up to a minute longer", path.name)
    spectra = _spectra(path, librosa)
    length = spectra.samples / _RATE
    beats, onsets = (_seconds(places, length) for places in _events(spectra.mels, librosa))
    beats = _extended(beats, onsets)
    return {
        "length": round(length, 3),
        "tempo": round(60 * (len(beats) - 1) / (beats[-1] - beats[0]), 2) if len(beats) > 1 else 0.0,
        "beats": beats,
        "onsets": onsets,
        **_levels(spectra.powers),
    }


def _librosa() -> Any:
    try:
        import librosa
    except ImportError as error:
        what, package = "music: measuring a song", "librosa"
        raise MissingPackage.of(what, package, install=package, extra="music", error=error) from error
    return librosa


def _too_long(path: Path) -> PictureError:
    return PictureError(f"{path}: is longer than {LONGEST // 60} minutes; cut it, with: ffmpeg -i IN -t {LONGEST} OUT")


def _spectra(path: Path, librosa: Any) -> _Spectra:
    filters = librosa.filters.mel(sr=_RATE, n_fft=_WINDOW, n_mels=_MELS)
    hertz = librosa.fft_frequencies(sr=_RATE, n_fft=_WINDOW)
    bands = np.array([(hertz >= low) & (hertz < high) for low, high in [(0, np.inf), *BANDS.values()]])
    window = librosa.filters.get_window("hann", _WINDOW)
    scale = 2 / (_WINDOW * float((window**2).sum()))  # from the power of a spectrum to the mean square of its samples
    mels, powers, samples = [], [], 0
    rest: Array = np.zeros(
        _LEAD * _HOP + _WINDOW // 2, np.float32
    )  # spectrum i is centered on sample (i - _LEAD) * _HOP
    for block in _blocks(path):
        samples += len(block)
        rest = np.concatenate([rest, block])
        if len(rest) < _WINDOW:
            continue
        count = (len(rest) - _WINDOW) // _HOP + 1
        wanted = rest[: (count - 1) * _HOP + _WINDOW]
        power = np.abs(librosa.stft(wanted, n_fft=_WINDOW, hop_length=_HOP, center=False)) ** 2
        mels.append(filters @ power)
        powers.append(scale * (bands @ power))
        rest = rest[count * _HOP :]
    return _Spectra(
        np.concatenate(mels, axis=1), np.concatenate(powers, axis=1)[:, _LEAD:], samples - _WINDOW // 2 - _HOP
    )


def _blocks(path: Path) -> Iterator[Array]:
    """Yields the samples of a song, mono, from -1 to 1, followed by the silence that the last spectra reach into."""
    target, left = Path(os.path.abspath(path)), LONGEST * _RATE
    output = ("-map", "0:a:0", "-ac", "1", "-ar", str(_RATE), "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1")
    with Ffmpeg([*LISTEN_STRICTLY, "-i", str(target), *output]) as process:
        while data := process.read(2 * _BLOCK):
            if (left := left - len(data) // 2) < 0:  # a header may say less than there is
                raise _too_long(path)
            yield np.frombuffer(data, "<i2").astype(np.float32) / 32768
        status = process.finish()
        if status != 0 or process.saw_damage():
            raise PictureError(process.failure("decoding", target, status))
    yield np.zeros(_WINDOW // 2 + _HOP, np.float32)


def _events(mels: Array, librosa: Any) -> tuple[Array, Array]:
    """Returns the spectra at which the beats and the onsets are."""
    decibels = librosa.power_to_db(mels, ref=np.max, top_db=_RANGE)
    strength = librosa.onset.onset_strength(S=decibels, sr=_RATE, hop_length=_HOP, center=False, max_size=3)
    rate = {"sr": _RATE, "hop_length": _HOP}
    onsets = librosa.onset.onset_detect(onset_envelope=strength, delta=_DELTA, **rate)
    if len(onsets) < 2:
        return np.zeros(0), onsets
    pieces = [strength[i : i + _PIECE] for i in range(0, len(strength), _PIECE)]
    tempogram = sum(librosa.feature.tempogram(onset_envelope=x, win_length=_MEMORY, **rate).sum(axis=1) for x in pieces)
    tempo = float(librosa.feature.tempo(tg=tempogram[:, None] / len(strength), **rate)[0])
    _, beats = librosa.beat.beat_track(onset_envelope=strength, bpm=tempo, **rate)
    return beats, onsets


def _seconds(spectra: Array, length: float) -> list[float]:
    """Returns the times of onsets, given in spectra, to milliseconds."""
    return [round(min(max(float(time), 0.0), length), 3) for time in (spectra - _LEAD) * (_HOP / _RATE) + _LATE]


def _extended(beats: list[float], onsets: list[float]) -> list[float]:
    """Returns the beats, and those before and after them that have an onset.

    Librosa leaves out weak beats at both ends, and often a strong one with them.
    """
    if len(beats) < 2 or not onsets:
        return beats
    found, period, times = list(beats), float(np.median(np.diff(beats))), np.array(onsets)
    for end, step in ((0, -period), (-1, period)):
        while abs((near := float(times[np.abs(times - found[end] - step).argmin()])) - found[end] - step) < _NEAR:
            found.insert(0 if end == 0 else len(found), near)
    return found


def _levels(powers: Array) -> dict[str, list[float]]:
    """Returns the levels of each band, relative to its loudest moment: means over three spectra, 73 ms."""
    padded = np.pad(powers, ((0, 0), (1, 1)), mode="edge")
    smooth = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / _LEVEL_HOPS
    levels = np.sqrt(smooth[:, ::_LEVEL_HOPS])
    most = levels.max(axis=1)
    heard = (most >= _FAINT * most[0]) & (most[0] >= _SILENT)
    shares = np.where(heard[:, None], levels / np.where(heard, most, 1)[:, None], 0)
    return {name: np.round(row, 3).tolist() for name, row in zip(("rms", *BANDS), shares, strict=True)}
