"""Pictures whose texts come from strangers: none is executed, none is too much, and the picture itself is read."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from remix.client import cli
from remix.errors import PictureError
from remix.job import read_file_metadata, read_metadata
from remix.motion import load_picture, texts

PICTURE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
MIB = 2**20


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def png(*texts: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "PNG")
    return buffer.getvalue()[:33] + b"".join(texts) + buffer.getvalue()[33:]


def text(key: str, value: str) -> bytes:
    return png(chunk(b"iTXt", key.encode() + b"\0\0\0\0\0" + value.encode()))


def packed(size: int) -> bytes:
    return chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b" " * size, 9))


def jpeg(exif: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "JPEG", exif=b"Exif\0\0" + exif)
    return buffer.getvalue()


def corpus() -> Iterator[tuple[str, bytes]]:
    yield "packed, 2 MiB", png(packed(2 * MIB))
    yield "packed, 1 GiB", png(packed(1024 * MIB))
    yield "packed in packed", png(chunk(b"zTXt", b"prompt\0\0" + zlib.compress(zlib.compress(b" " * 100 * MIB))))
    yield "many packed", png(*[packed(MIB)] * 200)
    yield (
        "many packed, each with a name",
        png(*(chunk(b"zTXt", b"k%d\0\0" % n + zlib.compress(b" " * 8 * MIB, 9)) for n in range(64))),
    )
    yield "many packed too large", png(*[packed(9 * MIB)] * 100)
    yield "many without a name", png(chunk(b"tEXt", b"x") * 50_000)
    yield "unpacked, 3 MiB", png(chunk(b"tEXt", b"workflow\0" + b"x" * 3 * MIB))
    yield "unpacked, 80 MiB", png(chunk(b"tEXt", b"workflow\0" + b"x" * 80 * MIB))
    yield "many", png(*(chunk(b"tEXt", b"k%d\0x" % n) for n in range(10_000)))
    yield "code in a prompt", text("prompt", "__import__('os').system('touch owned')")
    yield "code in our text", text("remix", "{'recipe': __import__('os').system('touch owned')}")
    yield (
        "code in settings",
        text("parameters", "a\nSteps: 1, Sampler: __import__('os').system('touch owned'), Seed: 1"),
    )
    yield "deep settings", text("parameters", "a\nSteps: 1, Sampler: x, Hashes: " + '{"a":' * 50_000)
    yield "quotes without end", text("parameters", "a\nSteps: 1, Sampler: x, " + 'A: "' * 50_000)
    yield "commas", text("parameters", "a\nSteps: 1, Sampler: x, Seed: 1" + "," * MIB)
    yield "colons", text("parameters", "a\n" + "a: " * 300_000)
    yield "spaces", text("parameters", "a\nSteps: 1, Sampler: x, Seed: 1," + " " * MIB + "x")
    yield "letters", text("parameters", "a\n" + "a " * 300_000 + "!")
    yield "deep graph", text("prompt", '{"1":' * 100_000)
    yield "a graph that is a circle", text("prompt", json.dumps({"1": {"class_type": "A", "inputs": {"a": ["1", 0]}}}))
    links = {str(n): {"class_type": "A", "inputs": {f"i{m}": [str(m), 0] for m in range(300)}} for n in range(300)}
    yield "a graph of all with all", text("prompt", json.dumps(links))
    chain = {
        str(n): {"class_type": "KSampler", "inputs": {key: [str(n + 1), 0] for key in ("positive", "latent_image")}}
        for n in range(10_000)
    }
    yield "samplers one behind another", text("prompt", json.dumps(chain))
    yield "escapes for a terminal", text("parameters", "\x1b]0;owned\x07\x1b[2J\nSteps: 1, Sampler: \x1b[31m, Seed: 1")
    yield "half characters", png(chunk(b"iTXt", b"prompt\0\0\0\0\0\xed\xa0\x80\xff"))
    ours = {"recipe": {"frames": 10**9}, "engine": {"a": "\ud800"}, "frame": {"prompt": [["x"]], "seed": [[1, "x"]]}}
    yield "our text with odd values", text("remix", json.dumps(ours))
    yield "our text with other types", text("remix", json.dumps({"recipe": 3, "engine": [], "frame": 3}))
    yield (
        "a directory of EXIF that is itself",
        jpeg(b"MM\0\x2a\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\x08"),
    )
    yield "EXIF past its end", jpeg(b"MM\0\x2a\0\0\0\x08\0\x01\x92\x86\0\x07\xff\xff\xff\xff\0\0\xff\xff")
    yield "EXIF with 65535 entries", jpeg(b"II\x2a\0\x08\0\0\0\xff\xff" + b"\x0e\x01\x02\0\x01\0\0\0a\0\0\0" * 1000)


def tools() -> Iterator[tuple[str, bytes]]:
    """Settings as other tools write them, with odd values."""
    deep, code = '{"a":' * 50_000, "__import__('os').system('touch owned')"
    odd = [[], {}, [[]], {"name": []}, 10**400, -1, 1e308, True, None, "\x1b[31m", "../../etc/passwd", code, "9" * 5000]
    layouts = {
        "invokeai_metadata": ("positive_prompt", "seed", "cfg_scale", "scheduler", "loras", "controlnets", "model"),
        "parameters": ("sui_image_params", "base_model", "metadata_scheme", "loras", "lora_combined_1", "resolution"),
        "comment": ("uc", "scale", "prompt", "v4_prompt", "c", "sampler", "use_stable_diffusion_model", "lora_alpha"),
        "sd-metadata": ("image", "model_weights"),
        "parameters-json": ("PositivePrompt", "ModelName", "Seed", "Width", "Height"),
        "prompt": ("1", "extraMetadata", "resource-stack"),
        "workflow": ("nodes", "links", "definitions"),
    }
    for name, keys in layouts.items():
        for number, value in enumerate(odd):
            data = dict.fromkeys(keys, value)
            yield f"{name} of odd values {number}", text(name, json.dumps(data))
        yield f"deep {name}", text(name, deep)
    inner = dict.fromkeys(("loras", "loraweights", "seed", "prompt", "controlnetmodel", "clipstopatlayer"), odd)
    yield "lists for everything", text("parameters", json.dumps({"sui_image_params": inner}))
    yield "many LoRAs", text("parameters", "a" + "<lora:x:1>" * 100_000 + "\nSteps: 1, Sampler: Euler, Seed: 1")
    yield "tags without end", text("parameters", "<lora:" * 300_000 + "\nSteps: 1, Sampler: Euler, Seed: 1")
    yield "a command of many words", text("dream", "-s " * 300_000)
    yield "brackets in a command", text("dream", '"' + "[" * 300_000 + '"')
    entities = "<exif:UserComment> <rdf:Alt> <rdf:li>" + "&lol;" * 200_000
    yield "entities in XMP", text("XML:com.adobe.xmp", "Draw Things" + entities + "</rdf:li>")
    yield "XMP without end", text("XML:com.adobe.xmp", "Draw Things" + "<exif:UserComment> " * 100_000)
    resources = "Civitai resources: " + '[{"type":"lora","modelName":' * 20_000
    yield "deep resources", text("parameters", "a\nSteps: 1, Sampler: x, Seed: 1, " + resources)
    units = "".join(f'ControlNet {n}: "Model: a, Weight: 1", ' for n in range(20_000))
    yield "many ControlNets", text("parameters", "a\nSteps: 1, Sampler: x, Seed: 1, " + units)


CORPUS = {**dict(corpus()), **dict(tools())}


def shared(entries: int, size: int) -> bytes:
    """EXIF data whose entries all have the same bytes."""
    head = b"MM\0\x2a\0\0\0\x08" + struct.pack(">H", entries)
    table = b"".join(struct.pack(">HHLL", 0x1000 + n, 7, size, 8) for n in range(entries))
    return head + table + b"\0" * (4 + size)


def segments(data: bytes) -> bytes:
    """A JPEG with EXIF data in as many segments as it takes."""
    plain, piece = jpeg(b""), 65_000
    parts = [b"Exif\0\0" + data[start : start + piece] for start in range(0, len(data), piece)]
    begin = 4 + int.from_bytes(plain[4:6], "big")
    written = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    return plain[:2] + b"\xff\xd0\0\xff" + written + plain[begin:]


@pytest.mark.parametrize("kind", ["png", "profile", "webp", "jpeg"])
def test_exif_whose_entries_share_their_bytes_is_not_read(kind: str, tmp_path: Path) -> None:
    """Pillow copies them for each entry: 300 KB came to 3.5 GB."""
    data, path, buffer = shared(3000, 100_000), tmp_path / "a", io.BytesIO()
    if kind == "png":
        path.write_bytes(png(chunk(b"eXIf", data)))
    elif kind == "profile":
        path.write_bytes(png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n1\n" + data.hex().encode())))
    elif kind == "webp":
        Image.fromarray(PICTURE).save(buffer, "WEBP", exif=data)
        path.write_bytes(buffer.getvalue())
    else:
        path.write_bytes(segments(data))
    tracemalloc.start()
    try:
        made = read_metadata(path)
        if kind == "jpeg":  # Pillow reads it as it opens the file
            with pytest.raises(PictureError, match="write it again without EXIF"):
                load_picture(path)
        else:
            assert load_picture(path).shape == PICTURE.shape
        assert tracemalloc.get_traced_memory()[1] < 40 * MIB
    finally:
        tracemalloc.stop()
    assert kind == "profile" or "when read; write it again without EXIF" in made.notes[0]


@pytest.mark.parametrize("data", CORPUS.values(), ids=CORPUS.keys())
def test_texts_from_strangers_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("a.jpg" if data.startswith(b"\xff\xd8") else "a.png")
    path.write_bytes(data)
    globals_before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    made = read_metadata(path)
    assert sum(map(len, made.texts.values())) <= texts.IN_ALL
    assert len(made.notes) <= texts.MOST + 2  # and one for each kind of text that is not understood
    assert load_picture(path).shape == PICTURE.shape
    for options in ([], ["--json"]):
        assert cli.main(["inspect", str(path), *options]) == 0
        output = capsys.readouterr().out
        assert "\x1b" not in output
        assert "\x07" not in output
    assert cli.main(["inspect", str(path), "--recipe"]) in (0, 2)
    capsys.readouterr()
    assert cli.main(["plan", str(path)]) in (0, 2)
    shown = capsys.readouterr()
    assert not {"\x1b", "\x07"} & {*shown.out, *shown.err}
    assert globals_before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "comment", [b"{" * 60_000, b"Steps: " * 9000, b"\xff" * 60_000, b'{"c":1,"uc":[],"sampler":{}}']
)
def test_comments_of_a_jpeg_do_no_harm(tmp_path: Path, comment: bytes) -> None:
    parts = b"".join(b"\xff\xfe" + struct.pack(">H", len(part) + 2) + part for part in [comment] * 200)
    plain = jpeg(b"")
    begin = 4 + int.from_bytes(plain[4:6], "big")
    path = tmp_path / "a.jpg"
    path.write_bytes(plain[:2] + parts + plain[begin:])
    made = read_metadata(path)
    assert len(made.texts) <= texts.MOST
    assert len(made.notes) <= texts.MOST + 2


@pytest.mark.parametrize(
    "data", [b"", b"[" * 10**6, b'{"nodes": [1], "links": {}}', b'{"1": {"class_type": 3}}', b"\xff\xfe\0"]
)
@pytest.mark.parametrize("suffix", [".json", ".txt"])
def test_files_beside_a_picture_do_no_harm(
    tmp_path: Path, data: bytes, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / f"a{suffix}").write_bytes(data)
    assert cli.main(["inspect", str(tmp_path / "a.png")]) == 0
    assert cli.main(["inspect", str(tmp_path / f"a{suffix}")]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_a_huge_file_beside_a_picture_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    with open(tmp_path / "a.txt", "wb") as file:
        file.truncate(2**34)
    made = read_file_metadata(tmp_path / "a.png")
    assert made.kind == "unknown"
    assert "a.txt: skipped" in made.notes[0]
