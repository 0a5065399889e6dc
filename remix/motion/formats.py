"""The table of film formats, and the settings that all of them share.

A new format that ffmpeg can write is one row here. One that it cannot write is a row and a separate writer, as in
`remix.motion.stills` and `remix.motion.apng`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from numbers import Rational, Real
from pathlib import Path

from remix.errors import VideoFormatError

MAX_FPS = 240

_ACCURATELY = "flags=bicubic+accurate_rnd+full_chroma_int"


def _bt709(pixels: str) -> tuple[str, ...]:
    """Returns the arguments that convert RGB with the BT.709 matrix and tag frames and container accordingly.

    Tags without the conversion, or the conversion without tags, change colors by up to 39 levels in players.
    """
    tagged = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    return (
        *("-vf", f"scale=out_color_matrix=bt709:out_range=tv:{_ACCURATELY},format={pixels},{tagged}"),
        *("-color_range", "tv", "-colorspace", "bt709"),
        *("-color_primaries", "bt709", "-color_trc", "bt709"),
    )


def _rgb(pixels: str) -> tuple[str, ...]:
    """Returns the arguments that keep the numbers unchanged and tag them as sRGB."""
    tagged = "setparams=range=pc:color_primaries=bt709:color_trc=iec61966-2-1:colorspace=gbr"
    return (
        *("-vf", f"format={pixels},{tagged}"),
        *("-color_range", "pc", "-colorspace", "rgb"),
        *("-color_primaries", "bt709", "-color_trc", "iec61966-2-1"),
    )


_FFV1 = ("-c:v", "ffv1", "-level", "3", "-g", "1", "-slicecrc", "1")


_VP9 = (
    *("-c:v", "libvpx-vp9", "-b:v", "0", "-crf", "30"),
    *("-deadline", "realtime", "-cpu-used", "5", "-row-mt", "1"),
)

_PALETTE = "[0:v][1:v]paletteuse=dither=bayer:bayer_scale=2:diff_mode=rectangle"
"""The second input is the palette of the whole film."""


@dataclass(frozen=True)
class Container:
    """A container format: `muxer` holds ffmpeg's arguments, `sound` the codec of its sound, "" for none.

    Sound of that codec may be copied into it. Any other is encoded with `sound_encoder`.
    """

    muxer: tuple[str, ...]
    sound: str = ""
    sound_encoder: tuple[str, ...] = ()


_AAC = ("-c:a", "aac", "-b:a", "192k")
_MP4 = Container(("-movflags", "+faststart+use_metadata_tags", "-f", "mp4"), "aac", _AAC)
_CONTAINERS: Mapping[str, Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container(("-movflags", "+faststart+use_metadata_tags", "-f", "mov"), "aac", _AAC),
    ".webm": Container(("-f", "webm"), "opus", ("-c:a", "libopus", "-b:a", "160k")),
    ".mkv": Container(("-f", "matroska"), "flac", ("-c:a", "flac")),
    ".gif": Container(("-f", "gif")),
}
"""By suffix."""


@dataclass(frozen=True)
class Format:
    """A film format.

    - `suffixes` are its valid suffixes, the preferred one first.
    - `encoder` holds ffmpeg's arguments after the input, and is empty if the toolkit writes the file itself.
    - `even` requires even sides. `min_side` and `max_side` are limits in pixels.
    - `max_fps` is the rate beyond which players no longer keep time, `max_delay` the longest display time in seconds.
    - `two_pass` formats need the whole film before their first frame.
    - `max_loops` limits the loops of films shown as pictures; 0 leaves looping to the player.
    - `alpha` allows frames with an alpha channel; `alpha_encoder` holds ffmpeg's arguments for them.
    - `texts` selects where metadata is stored: "tags" of the container, or our own "gif", "webp" or "png" texts.
    """

    name: str
    suffixes: tuple[str, ...]
    about: str
    encoder: tuple[str, ...] = ()
    even: bool = False
    min_side: int = 1
    max_side: int = 16384
    max_fps: int = MAX_FPS
    max_delay: int = 16777
    two_pass: bool = False
    max_loops: int = 0
    texts: str = "tags"
    alpha: bool = False
    alpha_encoder: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Returns the default suffix of this format, with its dot; "" for a folder."""
        return self.suffixes[0] if self.suffixes else ""

    @property
    def muxer(self) -> tuple[str, ...]:
        """Returns ffmpeg's arguments for the container of this format's default suffix."""
        return self.container("").muxer

    @property
    def needs(self) -> tuple[str, ...]:
        """Returns the encoders that ffmpeg needs to write this format."""
        named = tuple(name for option, name in pairwise(self.encoder) if option == "-c:v")
        return (*named, "libx264rgb") if self.two_pass else named

    def container(self, path: str | os.PathLike[str]) -> Container:
        """Returns the container for `path`: that of its suffix, if the container can hold this format."""
        suffix = Path(path).suffix.lower()
        return _CONTAINERS.get(suffix if suffix in self.suffixes else self.suffix, Container(()))


# If two rows share a suffix, it selects the first; the others must be named.
_ROWS = (
    Format(
        "mp4",
        (".mp4", ".m4v"),
        "H.264, 4:2:0, BT.709: plays everywhere",
        encoder=(*_bt709("yuv420p"), "-c:v", "libx264", "-preset", "veryfast", "-crf", "18"),
        even=True,
    ),
    Format(
        "webm",
        (".webm",),
        "VP9, 4:2:0, BT.709: for the web",
        encoder=(
            *_bt709("yuv420p"),
            *_VP9,
        ),
        even=True,
        alpha=True,
        alpha_encoder=(*_bt709("yuva420p"), *_VP9, "-auto-alt-ref", "0"),
    ),
    Format(
        "gif",
        (".gif",),
        "GIF with one palette of 256 colors for the whole film",
        encoder=("-filter_complex", _PALETTE, "-c:v", "gif"),
        max_side=65535,
        max_fps=50,
        max_delay=655,
        two_pass=True,
        max_loops=65536,
        texts="gif",
    ),
    Format("webp", (".webp",), "animated WebP, quality 80", max_side=16383, max_loops=65535, texts="webp", alpha=True),
    Format("png", (), "a folder of numbered PNGs, lossless", max_side=2**31 - 1, texts="png", alpha=True),
    Format(
        "apng",
        (".apng", ".png"),
        "animated PNG, lossless: a film as a picture",
        max_side=2**31 - 1,
        max_delay=65535,
        max_loops=2**31 - 1,
        texts="png",
        alpha=True,
    ),
    Format(
        "prores",
        (".mov",),
        "ProRes 422 HQ, 10 bits, BT.709: for cutting programs; with transparency ProRes 4444",
        encoder=(*_bt709("yuv422p10le"), "-c:v", "prores_ks", "-profile:v", "3", "-vendor", "apl0"),
        even=True,
        alpha=True,
        alpha_encoder=(*_bt709("yuva444p10le"), "-c:v", "prores_ks", "-profile:v", "4", "-vendor", "apl0"),
    ),
    Format(
        "ffv1",
        (".mkv",),
        "FFV1, RGB, lossless: for keeping",
        encoder=(*_rgb("bgr0"), *_FFV1),
        alpha=True,
        alpha_encoder=(*_rgb("bgra"), *_FFV1),
    ),
    Format(
        "h264-lossless",
        (".mkv", ".mp4", ".mov"),
        "H.264, RGB, lossless: smaller than FFV1 where pictures repeat; for ffmpeg, mpv and VLC",
        encoder=(*_rgb("bgr0"), "-c:v", "libx264rgb", "-preset", "veryfast", "-qp", "0"),
    ),
    Format(
        "hevc",
        (".mp4", ".mkv", ".mov"),
        "H.265, 4:2:0, BT.709: smaller than H.264, plays on most devices",
        encoder=(
            *_bt709("yuv420p"),
            *("-c:v", "libx265", "-crf", "20", "-tag:v", "hvc1"),  # the only tag that Apple's players accept
            *("-x265-params", "log-level=error:info=0"),  # keeps its version and settings out of the film
        ),
        even=True,
        min_side=16,
    ),
    Format(
        "av1",
        (".mp4", ".webm", ".mkv"),
        "AV1, 4:2:0, BT.709: the smallest, for current browsers",
        encoder=(*_bt709("yuv420p"), "-c:v", "libsvtav1", "-preset", "8", "-crf", "35"),
        even=True,
        min_side=16,  # SVT-AV1 overwrites its own memory below 10
    ),
)
FORMATS: Mapping[str, Format] = {row.name: row for row in _ROWS}
"""Film formats by name."""


def format_of(path: str | os.PathLike[str], name: str | None = None) -> Format:
    """Returns the row of `FORMATS` called `name`, or else the one for the suffix of `path`.

    A path without a suffix, or one that ends in ``.png``, is a folder of PNGs. Raises VideoFormatError, with the
    nearest known format, for an unknown name, and for a name that does not match the suffix.
    """
    suffix = Path(path).suffix.lower()
    if name is None:
        return _by_suffix(path, suffix)
    known = name.lower().lstrip(".")
    if known not in FORMATS:
        raise VideoFormatError(f"format: {name!r} is not a film format; {_nearest(known)}")
    row, owners = FORMATS[known], _with_suffix(suffix)
    if owners and row not in owners:
        right = Path(path).with_suffix(row.suffix)
        raise VideoFormatError(f"{os.fspath(path)}: {row.name} does not go into a file {suffix}; call it {right}")
    return row


def _with_suffix(suffix: str) -> list[Format]:
    folder = [FORMATS["png"]] if suffix == ".png" else []
    return folder + [row for row in _ROWS if suffix in row.suffixes]


def _by_suffix(path: str | os.PathLike[str], suffix: str) -> Format:
    if not suffix:
        return FORMATS["png"]
    owners = _with_suffix(suffix)
    if not owners:
        near = difflib.get_close_matches(suffix[1:], _SUFFIXES, n=1, cutoff=_NEAR) or ["mp4"]
        right = Path(path).with_suffix(f".{near[0]}")
        raise VideoFormatError(
            f"{os.fspath(path)}: {suffix!r} is not a film's suffix; call it {right}, "
            f"or choose from {', '.join(_SUFFIXES)} (without a suffix it is a folder of PNGs)"
        )
    return owners[0]


_SUFFIXES = tuple(dict.fromkeys(suffix[1:] for row in _ROWS for suffix in row.suffixes if suffix != ".png"))
_NEAR = 0.7
"""The similarity of "webm" and "web" is above this, that of "avi" and "av1" below."""


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, FORMATS, n=1, cutoff=_NEAR) or [row.name for row in _with_suffix(f".{name}")]
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "'mp4' plays everywhere."
    return f"{hint} Formats are {', '.join(FORMATS)} (png is a folder)"


def rate_of(fps: int | float | str | Fraction) -> Fraction:
    """Returns frames per second as an exact fraction: 12, 23.976, "30000/1001".

    A float stands for its shortest decimal representation, or for the nearest fraction with a denominator of up to a
    million (so 30000 / 1001 is preserved). Raises VideoFormatError for values that are not numbers, and outside of 0 to
    240.
    """
    rate = _number(fps)
    if rate is None:
        raise VideoFormatError(
            f"fps: {_shortened(fps)} is not a number; give frames per second, such as 12, 23.976 or 24000/1001"
        )
    rate = rate.limit_denominator(10**6)
    if not 0 < rate <= MAX_FPS:
        raise VideoFormatError(f"fps: {_shortened(fps)} frames per second; give more than 0, at most {MAX_FPS}")
    return rate


def rate_for(row: Format, fps: int | float | str | Fraction) -> Fraction:
    """Returns `rate_of(fps)`. Also raises VideoFormatError if films of format `row` cannot have that rate."""
    rate = rate_of(fps)
    if rate > row.max_fps:
        raise VideoFormatError(f"fps: {_shortened(fps)} frames per second; {row.name} keeps time up to {row.max_fps}")
    if rate * row.max_delay < 1:
        raise VideoFormatError(
            f"fps: {_shortened(fps)} frames per second; {row.name} shows a frame for {row.max_delay} s at most"
        )
    return rate


_DIGITS = re.compile(r"\s*[-+]?([0-9]{1,20}(\.[0-9]{0,40})?|[0-9]{1,20}/[0-9]{1,20})\s*", re.ASCII)
"""No exponents: expanding 1e999999999 would take hours."""


def _number(fps: object) -> Fraction | None:
    if isinstance(fps, bool):
        return None
    if isinstance(fps, Rational):
        return Fraction(int(fps.numerator), int(fps.denominator))
    if isinstance(fps, Real) or (isinstance(fps, str) and _DIGITS.fullmatch(fps)):
        try:
            return Fraction(str(fps))
        except (ValueError, ZeroDivisionError):  # nan, inf, 1/0
            return None
    return None


def _shortened(value: object) -> str:
    try:
        text = str(value) if isinstance(value, Fraction) else repr(value).removesuffix(".0")
    except ValueError:  # an integer of thousands of digits
        return "that"
    return text if len(text) <= 50 else f"{text[:47]}..."
