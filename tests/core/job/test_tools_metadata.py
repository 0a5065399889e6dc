"""Every container in which tools store settings, with a corpus of files that is written here."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from remix.errors import BadInput
from remix.hosts.record import without_loras
from remix.job import read_file_metadata, read_metadata
from remix.motion import write_video
from remix.motion.images import frame_formats
from remix.motion.texts import read_texts
from tests.core.hosts.metadata_corpus import (
    CASES,
    CIVITAI_GRAPH,
    COMMON,
    EASY_FLAT,
    GRAPH,
    NOVELAI_4,
    PROMPT,
    SWARM,
    XMP,
    Case,
    infotext,
)

PIXELS = np.random.default_rng(0).integers(0, 255, (96, 80, 4), dtype=np.uint8)
IMAGE = Image.fromarray(PIXELS[..., :3])
SWARM_TEXT = json.dumps({"sui_image_params": SWARM})


def check(path: Path, tool: str) -> None:
    made = read_file_metadata(path)
    assert made.origin is not None
    assert made.origin.tool == tool
    one = made.origin.passes[0]
    assert (without_loras(one.prompts[0]).strip(), {name: getattr(one, name) for name in COMMON}) == (PROMPT, COMMON)
    assert made.kind == made.origin.kind


def user_comment(text: str, code: str = "utf-16-be") -> bytes:
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + text.encode(code)}
    return exif.tobytes()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_png_chunks(case: Case, tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    for key, text in case.texts.items():
        chunks.add_itxt(key, text)
    IMAGE.save(tmp_path / "a.png", pnginfo=chunks)
    if case.names[0] != "k_dpmpp_2":
        check(tmp_path / "a.png", case.tool)


KINDS = ["JPEG", "WEBP", *(["AVIF"] if ".avif" in frame_formats() else [])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a1111", "civitai graph", "swarmui jpeg", "fooocus jpeg", "easy diffusion"])
def test_user_comment(kind: str, name: str, tmp_path: Path) -> None:
    case = CASES[name]
    (text,) = case.texts.values()
    IMAGE.save(tmp_path / "a", kind, exif=user_comment(text))
    made = read_metadata(tmp_path / "a")
    assert made.origin is not None
    assert (made.origin.tool, made.origin.passes[0].seed) == (case.tool, 4711)


@pytest.mark.parametrize("kind", KINDS)
def test_xmp(kind: str, tmp_path: Path) -> None:
    IMAGE.save(tmp_path / "a", kind, **({} if kind == "JPEG" else {"xmp": XMP.encode()}))
    if kind == "JPEG":  # an older Pillow does not write it
        data, segment = (tmp_path / "a").read_bytes(), b"http://ns.adobe.com/xap/1.0/\0" + XMP.encode()
        (tmp_path / "a").write_bytes(
            data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
        )
    check(tmp_path / "a", "Draw Things")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["Prompt: {}", "prompt:{}", "Prompt:  {}"])
def test_graphs_in_camera_fields(kind: str, text: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = text.format(json.dumps(GRAPH))
    IMAGE.save(tmp_path / "a", kind, exif=exif.tobytes())
    check(tmp_path / "a", "ComfyUI")


@pytest.mark.parametrize("text", [infotext(), SWARM_TEXT])
def test_image_description(text: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = text
    IMAGE.save(tmp_path / "a.jpg", exif=exif.tobytes())
    check(tmp_path / "a.jpg", "SwarmUI" if text == SWARM_TEXT else "A1111")


@pytest.mark.parametrize("text", [infotext(), SWARM_TEXT])
def test_jpeg_comment(text: str, tmp_path: Path) -> None:
    IMAGE.save(tmp_path / "a.jpg", comment=text.encode())
    check(tmp_path / "a.jpg", "SwarmUI" if text == SWARM_TEXT else "A1111")


def test_a_description_of_a_camera_is_no_text_of_a_tool(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0131] = "OLYMPUS DIGITAL CAMERA", "Version 1.0"
    IMAGE.save(tmp_path / "a.jpg", exif=exif.tobytes())
    made = read_metadata(tmp_path / "a.jpg")
    assert (made.kind, made.texts) == ("unknown", {"software": "Version 1.0"})


def test_an_animated_png(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", infotext())
    IMAGE.save(tmp_path / "a.png", pnginfo=chunks, save_all=True, append_images=[IMAGE.rotate(90), IMAGE.rotate(180)])
    check(tmp_path / "a.png", "A1111")


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_the_comment_of_a_film(suffix: str, tmp_path: Path) -> None:
    text = infotext('AnimateDiff: "model: mm, video_length: 16"')
    write_video([PIXELS[..., :3]] * 2, tmp_path / f"a{suffix}", 8, metadata={"comment": text})
    check(tmp_path / f"a{suffix}", "A1111")


def hidden(text: bytes, signature: bytes, channels: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pixels with a text in their lowest bits, one column after another."""
    pixels = PIXELS.copy() if channels == 1 else PIXELS[..., :3].copy()
    bits = np.unpackbits(np.frombuffer(signature + (8 * len(text)).to_bytes(4, "big") + text, np.uint8))
    part = pixels[..., 3:] if channels == 1 else pixels
    columns = part.transpose(1, 0, 2).reshape(-1)
    columns[: len(bits)] = columns[: len(bits)] & 0xFE | bits
    part[...] = columns.reshape(pixels.shape[1], pixels.shape[0], channels).transpose(1, 0, 2)
    return pixels


@pytest.mark.parametrize(
    ("signature", "channels"), [(b"stealth_pngcomp", 1), (b"stealth_pnginfo", 1), (b"stealth_rgbcomp", 3)]
)
def test_hidden_texts(signature: bytes, channels: int, tmp_path: Path) -> None:
    short = {**{key: value for key, value in NOVELAI_4.items() if not key.startswith("v4")}}
    novel = json.dumps({"Software": "NovelAI", "Source": "V4", "Comment": json.dumps(short)})
    for text, tool in ((infotext(), "A1111"), (novel, "NovelAI")):
        data = text.encode()
        data = gzip.compress(data) if signature.endswith(b"comp") else data
        Image.fromarray(hidden(data, signature, channels)).save(tmp_path / "a.png")
        assert read_texts(tmp_path / "a.png").found == {}
        check(tmp_path / "a.png", tool)


@pytest.mark.parametrize("length", [0, 7, 2**32 - 1, 8 * 60_000])
def test_a_false_length_of_a_hidden_text_is_no_text(length: int, tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    bits = np.unpackbits(np.frombuffer(b"stealth_pngcomp" + length.to_bytes(4, "big"), np.uint8))
    columns = pixels[..., 3].T.reshape(-1)
    columns[: len(bits)] = columns[: len(bits)] & 0xFE | bits
    pixels[..., 3] = columns.reshape(80, 96).T
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_metadata(tmp_path / "a.png").kind == "unknown"


SIDECARS = {
    "infotext.txt": (infotext(), "A1111"),
    "easy.txt": ("\n".join(f"{key}: {value}" for key, value in EASY_FLAT.items()), "Easy Diffusion"),
    "easy.json": (json.dumps(EASY_FLAT), "Easy Diffusion"),
    "swarm.json": (SWARM_TEXT, "SwarmUI"),
    "api.json": (json.dumps(GRAPH), "ComfyUI"),
    "request.json": (json.dumps({"prompt": GRAPH, "client_id": "a"}), "ComfyUI"),
    "civitai.json": (json.dumps(CIVITAI_GRAPH), "Civitai"),
}


@pytest.mark.parametrize("name", SIDECARS)
def test_files_of_settings_and_those_beside_a_picture(name: str, tmp_path: Path) -> None:
    text, tool = SIDECARS[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    check(tmp_path / name, tool)
    IMAGE.save(tmp_path / f"{name.split('.')[0]}.png")
    check(tmp_path / f"{name.split('.')[0]}.png", tool)
    assert read_metadata(tmp_path / f"{name.split('.')[0]}.png").kind == "unknown"


def test_a_workflow_file_of_the_front_end(tmp_path: Path) -> None:
    workflow = {"nodes": [{"id": 1, "type": "CLIPTextEncode", "widgets_values": ["a cat"]}], "links": []}
    (tmp_path / "a.json").write_text(json.dumps(workflow), encoding="utf-8")
    made = read_file_metadata(tmp_path / "a.json")
    assert made.origin is not None
    assert (made.kind, made.origin.passes[0].prompts) == ("comfyui", ("a cat",))


def test_a_caption_beside_a_picture_is_not_its_settings(tmp_path: Path) -> None:
    IMAGE.save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a fox, snow, winter", encoding="utf-8")
    assert read_file_metadata(tmp_path / "a.png").kind == "unknown"
    with pytest.raises(BadInput, match=r"a\.txt: has no settings or workflow of a known tool"):
        read_file_metadata(tmp_path / "a.txt")
