"""Sound for a film: read from a regular file, fitted to the film's length, and added to its finished pictures.

The pictures are encoded first and copied unchanged, because the length of the film is only known then.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from remix.errors import VideoError, VideoFormatError
from remix.motion.ffmpeg import BITEXACT, LISTEN_STRICTLY, Ffmpeg
from remix.motion.formats import Container, Format
from remix.motion.reading import probe_sound
from remix.motion.streams import Sound, VideoInfo

_KEPT_RATES = (44100, 48000)
"""Sample rates that every codec here accepts, except Opus, which only supports 48,000."""

_SLACK = Fraction(1, 10)
"""The allowed difference between the lengths of sound and film, in seconds. Codecs use packets of up to 93 ms."""


@dataclass(frozen=True)
class Track:
    """The sound for a film: the file, its streams, and the container that it goes into."""

    path: Path
    sound: Sound
    container: Container

    @property
    def encoders(self) -> tuple[str, ...]:
        """Returns the encoders that ffmpeg may need for it."""
        return self.container.sound_encoder[1:2]

    def length(self, film: Fraction) -> Fraction:
        """Returns the length of the sound for a film of `film` seconds."""
        return Fraction(self.sound.duration) if self._copied(film) else film

    def _copied(self, film: Fraction) -> bool:
        # Packets can be left out but not cut, so sound that is too long is encoded again.
        return self.sound.codec == self.container.sound and self.sound.duration <= film

    def arguments(self, film: Fraction) -> tuple[str, ...]:
        """Returns ffmpeg's arguments that copy the sound, or encode it at exactly the length of the film."""
        if self._copied(film):
            return "-c:a", "copy"
        keep = self.container.sound == "flac" or (self.sound.rate in _KEPT_RATES and self.container.sound != "opus")
        rate = self.sound.rate if keep else 48000
        samples = max(1, round(film * rate))
        cut = f"aresample={rate},apad=whole_len={samples},atrim=end_sample={samples}"
        return "-af", cut, *self.container.sound_encoder, "-flags:a", "+bitexact"


def track_for(audio: str | os.PathLike[str], row: Format, target: Path) -> Track:
    """Returns the sound in the file `audio` for a film of format `row` at `target`.

    Raises VideoFormatError for formats without sound, and PictureError if the file is missing or has no sound.
    """
    container = row.container(target)
    if not container.sound:
        raise VideoFormatError(
            f"audio: {row.name} holds no sound; leave the sound away, or write an mp4, webm, mov or mkv"
        )
    return Track(Path(os.path.abspath(audio)), probe_sound(audio), container)


def join(silent: Path, track: Track, tags: Path, part: Path, film: Fraction, target: Path) -> None:
    """Writes the film `silent`, `film` seconds long, with the sound of `track` and the texts in `tags` to `part`.

    Raises VideoError, which names `target`, if ffmpeg fails.
    """
    inputs = ("-i", str(silent), *LISTEN_STRICTLY, "-i", str(track.path), "-f", "ffmetadata", "-i", str(tags))
    # Texts of the sound file, such as a song's title, do not apply to the film.
    texts = ("-map_metadata", "2", "-map_metadata:s:a", "-1", "-map_chapters", "-1")
    kept = ("-map", "0:v:0", "-map", "1:a:0", *texts, "-c:v", "copy")
    output = (*track.arguments(film), *BITEXACT, *track.container.muxer, "-y", str(part))
    with Ffmpeg([*inputs, *kept, *output]) as process:
        status = process.finish()
        if status != 0 or process.saw_damage():
            raise process.error(f"adding the sound of {track.path}", target, status)


def refuse_other_sound(info: VideoInfo, track: Track, target: Path) -> None:
    """Raises VideoError if a written film has no sound, or sound of the wrong length."""
    assert info.fps is not None
    expected = track.length(info.frames / info.fps)
    if info.sound is None or abs(Fraction(info.sound.duration) - expected) > _SLACK:
        found = "none" if info.sound is None else f"{info.sound.duration:.3f} s"
        raise VideoError(f"{target}: {float(expected):.3f} s of sound were written, {found} can be read; try again")
