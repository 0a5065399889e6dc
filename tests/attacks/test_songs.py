"""Songs from strangers: headers that lie, endless lists of packets, and sounds that grow when they are decoded."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from remix.errors import PictureError
from remix.motion import reading, song
from remix.motion.reading import probe_sound


def wav(data: bytes, channels: int = 1, rate: int = 44100, bits: int = 16, claimed: int | None = None) -> bytes:
    """Returns a sound whose header may say anything about its data."""
    block = channels * bits // 8
    head = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * block % 2**32, block % 2**16, bits)
    size = len(data) if claimed is None else claimed
    return b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + head + b"data" + struct.pack("<I", size) + data


MPEG = b"\xff\xe3\x18\xc4" + bytes(68)
"""A frame of an MP3 with 8 kbit/s: 72 bytes for 72 milliseconds."""

FLAC = b"fLaC\x80\0\0\x22" + struct.pack(">HH", 16, 65535) + bytes(6)
FLAC += (655_350 << 44 | 7 << 41 | 15 << 36 | 2**36 - 1).to_bytes(8, "big") + bytes(16)
"""A header of ten hours with eight channels, and nothing else."""

HOSTILE = {
    "claims 4 GiB.wav": wav(bytes(88_200), claimed=2**32 - 1),
    "half an hour of one sample each second.wav": wav(bytes(3_600), rate=1),
    "longer than an hour.wav": wav(bytes(8_000), rate=1),
    "four billion samples a second.wav": wav(bytes(88_200), rate=2**32 - 1),
    "no samples a second.wav": wav(bytes(88_200), rate=0),
    "65535 channels.wav": wav(bytes(524_280), channels=65_535),
    "512 channels.wav": wav(bytes(1_024_000), channels=512),
    "no bits.wav": wav(bytes(8_000), bits=0),
    "one packet.mp3": MPEG,
    "ten hours.flac": FLAC,
}

READ = """
import json, resource, sys
from pathlib import Path
from remix.errors import PictureError
from remix.motion import song
from remix.motion.reading import probe_sound

for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        samples = 0
        if probe_sound(path).duration <= song.LONGEST:
            samples = sum(map(len, song._blocks(path)))
        print(json.dumps([path.name, samples]))
    except PictureError as error:
        print(json.dumps([path.name, str(error)]))
(own,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))  # getrusage counts the parent too
print(max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts kilobytes as Linux does")
def test_a_header_that_lies_costs_neither_memory_nor_a_traceback(tmp_path: Path) -> None:
    for name, data in HOSTILE.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path], capture_output=True, text=True, check=True, timeout=60
    )
    *lines, megabytes = done.stdout.splitlines()
    found = dict(map(json.loads, lines))
    assert found.keys() == HOSTILE.keys()
    assert int(megabytes) < 200
    assert found.pop("longer than an hour.wav") == 0  # refused by its length, not decoded
    assert 1000 * song._RATE < found.pop("half an hour of one sample each second.wav") < 1801 * song._RATE
    for name, sentence in found.items():
        assert name in sentence


def test_a_sound_that_is_longer_than_its_packets_say_is_not_decoded_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "song.wav").write_bytes(wav(bytes(2 * 3 * 44_100)))
    monkeypatch.setattr(song, "LONGEST", 2)
    with pytest.raises(PictureError, match="is longer than"):
        list(song._blocks(tmp_path / "song.wav"))


def test_an_endless_list_of_packets_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one is a song of 80 MB. ffmpeg would wait until the rest of its list is read."""
    (tmp_path / "song.mp3").write_bytes(MPEG * 5_000)
    assert probe_sound(tmp_path / "song.mp3").duration == pytest.approx(360, abs=1)
    monkeypatch.setattr(reading, "_TABLE_BYTES", 6_000)
    with pytest.raises(PictureError, match=r"song\.mp3: more than 100 packets; cut"):
        probe_sound(tmp_path / "song.mp3")
