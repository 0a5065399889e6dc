"""What made a picture: written and read back, from our own files and those of the hosts."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from remix.errors import PictureError, VideoFormatError
from remix.hosts.record import json_of
from remix.job.metadata import TEXT_BYTES, read_metadata, write_frame
from remix.motion import FORMATS, load_picture, write_video
from tests.core.motion.films import smooth

PICTURE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
INFOTEXT = (
    "a cat, on a mat\nin the sun\nNegative prompt: dog,\nblurry: very\n"
    "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 512x512, Model: sd, "
    'Lora hashes: "cat: 1f, mat: 2e", Hashes: {"model": "1f", "vae, b": "2e"}, Version: v1.10.1'
)
GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            **{"seed": 5, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0},
            **{"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]},
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 256, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "a dog", "clip": ["4", 1]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
}
WORKFLOW = {
    "nodes": [
        {"id": 1, "type": "CLIPTextEncode", "widgets_values": ["a cat"]},
        {"id": 2, "type": "CLIPTextEncode", "widgets_values": ["a dog"]},
        {"id": 3, "type": "KSampler", "widgets_values": [5, "fixed", 20]},
    ],
    "links": [],
}

any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(ours=st.dictionaries(any_text, json_values, max_size=4), other=any_text)
@example(ours={"a": "é日🎬\n\r\n"}, other="\r")
def test_a_frame_carries_its_texts_bit_for_bit(ours: dict[str, Any], other: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = {"remix": json.dumps(ours, ensure_ascii=False), "other": other}
        path = write_frame(Path(folder, "000000.png"), PICTURE, written)
        made = read_metadata(path)
        assert made.texts == written
        assert made.remix == ours
        assert (made.kind, made.notes) == ("remix", ())
        assert np.array_equal(load_picture(path), PICTURE)
        with Image.open(path) as image:  # strangers read them too
            assert image.text == written  # type: ignore[attr-defined]


def test_texts_of_a_frame_are_not_packed(tmp_path: Path) -> None:
    path = write_frame(tmp_path / "a.png", PICTURE, {"remix": '{"a":1}', "other": "日"})
    data = path.read_bytes()
    assert b"tEXtremix\0" + b'{"a":1}' in data
    assert b"iTXtother\0\0\0" in data
    assert data.index(b"tEXt") < data.index(b"IDAT")


def test_a_frame_refuses_more_text_than_hosts_read(tmp_path: Path) -> None:
    write_frame(tmp_path / "a.png", PICTURE, {"remix": "x" * TEXT_BYTES})
    with pytest.raises(PictureError, match="a frame carries 65536"):
        write_frame(tmp_path / "b.png", PICTURE, {"remix": "x" * TEXT_BYTES, "b": "y"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


HOSTILE = '{"p":"$(touch x); -vf \\"drawtext\\" =;#\\\\ é日🎬 [STREAM] <x:a b=\'c\'/> --"}'


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", ["{}", HOSTILE, json.dumps({"a": "x" * 200_000})])
def test_a_film_carries_its_texts_in_every_format(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / f"film{FORMATS[name].suffix}"
    write_video(smooth(2), path, 12, metadata={"remix": text, "title": "a\nb = c;\n#d\\"})
    made = read_metadata(path)
    assert made.texts == {"remix": text, "title": "a\nb = c;\n#d\\"}
    assert made.remix == json.loads(text)
    assert made.kind == "remix"
    assert made.notes == ()


@settings(deadline=None, max_examples=25)
@given(name=st.sampled_from(["mp4", "webm", "gif", "webp"]), text=any_text)
@example(name="mp4", text="\r")
@example(name="webm", text="a\r\nb\\")
@example(name="mp4", text="\\\n\\")
@example(name="webm", text=" x ")
@example(name="mp4", text="")
@example(name="webm", text="json:1")
def test_any_text_comes_back_from_a_film(name: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"film.{name}")
        write_video(smooth(1, 16, 16), path, 12, metadata={"remix": text})
        assert read_metadata(path).texts == {"remix": text}


@pytest.mark.parametrize(("key", "text"), [("", "x"), ("a=b", "x"), ("é", "x"), ("a", "\0"), ("a", "\ud800")])
def test_texts_that_no_film_can_hold_are_refused(tmp_path: Path, key: str, text: str) -> None:
    with pytest.raises(VideoFormatError, match="metadata"):
        write_video(smooth(1), tmp_path / "film.mp4", 12, metadata={key: text})


def infotext_file(tmp_path: Path, how: str) -> Path:
    path, image = tmp_path / "made", Image.fromarray(PICTURE)
    if how == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("parameters", INFOTEXT)
        image.save(path, "PNG", pnginfo=chunks)
        return path
    name, _, code = how.partition(" ")
    comment = {
        "utf-16-be": b"UNICODE\0" + INFOTEXT.encode("utf-16-be"),
        "utf-16-le": b"UNICODE\0" + INFOTEXT.encode("utf-16-le"),
        "ascii": b"ASCII\0\0\0" + INFOTEXT.encode(),
        "none": b"\0" * 8 + INFOTEXT.encode(),
    }[code]
    exif = Image.Exif()
    exif[0x8769] = {0x9286: comment}
    image.save(path, name, exif=exif.tobytes())
    return path


@pytest.mark.parametrize(
    "how", ["PNG", "JPEG utf-16-be", "JPEG utf-16-le", "WEBP utf-16-be", "WEBP ascii", "JPEG none"]
)
def test_infotext_is_read_from_wherever_a1111_puts_it(tmp_path: Path, how: str) -> None:
    made = read_metadata(infotext_file(tmp_path, how))
    assert made.kind == "a1111"
    assert made.texts["parameters"] == INFOTEXT
    assert made.a1111 is not None
    assert made.a1111.prompt == "a cat, on a mat\nin the sun"
    assert made.a1111.negative == "dog,\nblurry: very"
    assert made.a1111.settings["Lora hashes"] == "cat: 1f, mat: 2e"
    assert made.a1111.settings["Hashes"] == '{"model": "1f", "vae, b": "2e"}'
    assert made.a1111.settings["Version"] == "v1.10.1"


@pytest.mark.parametrize("code", ["utf-16-be", "utf-16-le"])
def test_infotext_in_other_scripts_is_read_in_both_byte_orders(tmp_path: Path, code: str) -> None:
    text = "日本の猫, 夕焼け\nNegative prompt: 犬\nSteps: 20, Sampler: Euler, CFG scale: 7"
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + text.encode(code)}
    Image.fromarray(PICTURE).save(tmp_path / "a", "JPEG", exif=exif.tobytes())
    assert read_metadata(tmp_path / "a").texts == {"parameters": text}


def png_with(tmp_path: Path, **held: Any) -> Path:
    chunks = PngImagePlugin.PngInfo()
    for key, value in held.items():
        chunks.add_text(key, value if isinstance(value, str) else json.dumps(value))
    Image.fromarray(PICTURE).save(tmp_path / "a.png", pnginfo=chunks)
    return tmp_path / "a.png"


def test_a_comfyui_graph_is_understood(tmp_path: Path) -> None:
    made = read_metadata(png_with(tmp_path, prompt=GRAPH, workflow=WORKFLOW))
    assert made.kind == "comfyui"
    graph = made.comfyui
    assert graph is not None
    assert (graph.prompts, graph.negatives) == (("a cat",), ("a dog",))
    assert graph.nodes["CLIPTextEncode"] == 2
    expected = {"seed": 5, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    expected |= {"ckpt_name": "a.safetensors", "width": 512, "height": 256, "batch_size": 1}
    assert graph.settings == expected


def test_a_workflow_alone_is_understood(tmp_path: Path) -> None:
    made = read_metadata(png_with(tmp_path, workflow=WORKFLOW))
    assert made.kind == "comfyui"
    assert made.comfyui is not None
    assert made.comfyui.prompts == ("a cat", "a dog")
    assert made.comfyui.nodes == {"CLIPTextEncode": 2, "KSampler": 1}


def test_a_graph_with_nan_as_comfyui_writes_it_is_read(tmp_path: Path) -> None:
    text = json.dumps({**GRAPH, "10": {"class_type": "Always", "inputs": {}, "is_changed": [float("nan")]}})
    assert "NaN" in text
    assert read_metadata(png_with(tmp_path, prompt=text)).kind == "comfyui"


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_graphs_in_films_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    write_video(smooth(1), path, 12, metadata={"prompt": json.dumps(GRAPH)})
    assert read_metadata(path).comfyui is not None
    write_video(
        smooth(1), path, 12, metadata={"comment": json.dumps({"prompt": json.dumps(GRAPH), "workflow": WORKFLOW})}
    )
    made = read_metadata(path)
    assert made.kind == "comfyui"
    assert made.comfyui is not None
    assert made.comfyui.prompts == ("a cat",)


def test_graphs_in_the_camera_fields_of_comfyuis_webp_are_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + json.dumps(GRAPH)
    exif[0x010F] = "workflow:" + json.dumps(WORKFLOW)
    Image.fromarray(PICTURE).save(tmp_path / "a.webp", exif=exif.tobytes())
    made = read_metadata(tmp_path / "a.webp")
    assert made.comfyui is not None
    assert made.comfyui.negatives == ("a dog",)


def test_our_own_text_comes_before_the_hosts(tmp_path: Path) -> None:
    made = read_metadata(png_with(tmp_path, parameters=INFOTEXT, prompt=GRAPH, remix={"recipe": {}}))
    assert made.kind == "remix"
    assert made.a1111 is not None
    assert made.comfyui is not None


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def png_around(*middle: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "PNG")
    return buffer.getvalue()[:33] + b"".join(middle) + buffer.getvalue()[33:]


@pytest.mark.parametrize(
    ("middle", "note"),
    [
        (chunk(b"zTXt", b"remix\0\0" + zlib.compress(b" " * 20_000_000)), "packed text of more than"),
        (chunk(b"zTXt", b"remix\0\0broken"), "packed text that is damaged"),
        (chunk(b"iTXt", b"remix\0\1\0\0\0" + zlib.compress(b" " * 20_000_000)), "packed text of more than"),
        (chunk(b"iTXt", b"remix\0\0"), "cut off"),
        (chunk(b"iTXt", b"remix\0\0\0no end"), "without its three fields"),
        (chunk(b"tEXt", b"no key"), "without a key"),
        (chunk(b"tEXt", b"remix\0" + b" " * 9_000_000), "longer than"),
        (chunk(b"tEXt", b"remix\0not json"), "not a JSON object"),
        (chunk(b"tEXt", b"remix\0[1]"), "not a JSON object"),
        (chunk(b"tEXt", b"remix\0" + b"[" * 100_000), "not a JSON object"),
        (chunk(b"tEXt", b"prompt\0{}"), "not a ComfyUI graph"),
        (chunk(b"tEXt", b"prompt\0a cat"), "not a ComfyUI graph"),
        (chunk(b"tEXt", b'workflow\0{"nodes": 3}'), "not a ComfyUI graph"),
        (b"".join(chunk(b"tEXt", b"k%d\0x" % n) for n in range(70)), "more than 64 texts or notes"),
        (chunk(b"tEXt", b"a\0x") + chunk(b"tEXt", b"a\0y"), "one of that name already"),
        (chunk(b"eXIf", b"MM\0\x2a\xff\xff\xff\xff"), ""),
    ],
)
def test_odd_texts_are_skipped_and_said(tmp_path: Path, middle: bytes, note: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_around(middle))
    made = read_metadata(path)
    assert made.kind == "unknown"
    assert note in "; ".join(made.notes)
    assert bool(made.notes) or not note


def test_integers_of_thousands_of_digits_are_read_as_no_value() -> None:
    assert json_of(b'{"a": ' + b"9" * 5000 + b', "b": 7}') == {"a": None, "b": 7}


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"GIF89a" + b"\xff" * 20, b"\xff\xd8", b"RIFF1234WEBP", b"no film"]
)
def test_files_that_are_nothing_say_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    made = read_metadata(path)
    assert (made.kind, made.texts) == ("unknown", {})
    assert made.notes or data.startswith(b"\x89PNG") or data == b"GIF89a" + b"\xff" * 20


@pytest.mark.parametrize("name", ["missing.png", "http://127.0.0.1:9/a.png", "<video0>"])
def test_only_files_are_read(name: str) -> None:
    with pytest.raises(PictureError, match="no such file"):
        read_metadata(name)


def test_an_empty_folder_has_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="without numbered PNGs"):
        read_metadata(tmp_path)


WHOLE = {
    "PNG": png_around(
        chunk(b"tEXt", b"parameters\0" + INFOTEXT.encode()), chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x"))
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("files")
    found = dict(WHOLE)
    for how in ("JPEG utf-16-be", "WEBP ascii"):
        found[how] = infotext_file(folder, how).read_bytes()
    for name in ("gif", "webp"):
        write_video(smooth(2, 16, 16), folder / f"film.{name}", 12, metadata={"remix": "{}"})
        found[name] = (folder / f"film.{name}").read_bytes()
    return found


@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_damage_anywhere_is_never_an_error(files: dict[str, bytes], data: st.DataObject) -> None:
    whole = files[data.draw(st.sampled_from(sorted(files)))]
    at = data.draw(st.integers(0, min(len(whole), 900)))
    junk = data.draw(st.binary(max_size=10))
    end = len(whole) - data.draw(st.integers(0, len(whole) // 2)) * data.draw(st.integers(0, 1))
    broken = whole[:at] + junk + whole[at + len(junk) : end]
    if not broken.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF", b"GIF8")):
        broken = whole[:8] + broken[8:]
    with tempfile.NamedTemporaryFile() as file:
        file.write(broken)
        file.flush()
        read_metadata(file.name)
