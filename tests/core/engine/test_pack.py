"""What the Remix nodes or script of a server report to a client, and how a client reads it."""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from remix import __version__
from remix.engine import pack
from remix.engine.pack import LATER_FIELDS, LONGEST_INDEX, SUPPORTED, Pack, has_unet, report
from remix.plan import Keyframe, Recipe, Schedule, plan
from remix.playground.checkpoint import write_checkpoint

UNET = "model.diffusion_model.input_blocks.0.0.weight"
TRANSFORMER = "model.diffusion_model.double_blocks.0.img_attn.qkv.weight"


def film(*prompts: str, **settings: Any) -> Schedule:
    return plan(Recipe(frames=len(prompts), keyframes=tuple(Keyframe(prompt=prompt) for prompt in prompts), **settings))


def safetensors(path: Path, weight: str) -> Path:
    header = json.dumps({weight: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


def pickled(path: Path, weight: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}X" + weight.encode())
    return path


@pytest.mark.parametrize(
    ("name", "write"), [("m.safetensors", safetensors), ("m.sft", safetensors), ("m.ckpt", pickled)]
)
def test_a_unet_is_recognized_by_the_names_of_its_weights_in_any_format(tmp_path: Path, name: str, write: Any) -> None:
    assert has_unet(write(tmp_path / name, UNET))
    assert not has_unet(write(tmp_path / f"other {name}", TRANSFORMER))


def test_the_bundled_model_is_a_unet(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    assert has_unet(write_checkpoint(tmp_path))


@pytest.mark.parametrize("data", [b"", b"GGUF\x03\0\0\0", b"PK\x03\x04 damaged", b"\xff" * 64])
def test_a_file_that_tells_nothing_counts_as_no_unet(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    assert not has_unet(path)


def entries(path: Path, count: int) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}/data.pkl" if count < 3 else str(number), b"")
    return path


def locked(path: Path) -> Path:
    """Writes a ZIP whose entry has a password."""
    data = bytearray(pickled(path, UNET).read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + place] |= 1
    path.write_bytes(data)
    return path


def bomb(path: Path) -> Path:
    """Writes a ZIP whose entry is 40 MB of nothing, followed by a weight."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("m/data.pkl", "w") as entry:
        for _ in range(40):
            entry.write(bytes(10**6))
        entry.write(UNET.encode())
    return path


@pytest.mark.parametrize(
    "write",
    [lambda path: entries(path, 2), lambda path: entries(path, 0), locked, bomb],
    ids=["two lists", "no list", "locked", "bomb"],
)
def test_a_hostile_zip_is_no_unet_and_takes_little_memory(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "m.ckpt")
    tracemalloc.start()
    try:
        assert has_unet(path) is False
        assert tracemalloc.get_traced_memory()[1] < 3 * LONGEST_INDEX
    finally:
        tracemalloc.stop()


def test_a_list_of_entries_that_would_fill_the_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = entries(tmp_path / "m.ckpt", 300)
    monkeypatch.setattr(pack, "LONGEST_INDEX", 4_000)
    with pytest.raises(zipfile.BadZipFile, match="too long"), pack._Bounded(open(path, "rb", buffering=0)) as file:
        zipfile.ZipFile(file)
    assert has_unet(path) is False


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders there")
def test_what_is_no_file_is_unknown_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    for path in (tmp_path / "pipe.ckpt", tmp_path, tmp_path / "absent.ckpt", Path("/dev/zero"), Path("a\0b")):
        assert report(path)["plain_attention"] is None


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = report(safetensors(tmp_path / "m.safetensors", UNET), embeddings={"ink": "1a"})
    found = Pack.read(json.loads(json.dumps(made)))
    assert found == Pack(__version__, frozenset(SUPPORTED), plain_attention=True, embeddings={"ink": "1a"})
    assert Pack.read(report(None)).plain_attention is None


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"version": 1, "supports": "fractional denoise", "plain_attention": 1, "embeddings": [1]}]
)
def test_an_answer_that_is_no_report_is_that_of_an_older_pack(answer: Any) -> None:
    assert Pack.read(answer) == Pack()


def test_only_prompts_that_may_be_padded_are_part_of_the_identity() -> None:
    unet, transformer, older = (Pack(plain_attention=plain) for plain in (True, False, None))
    assert unet.depends_on(film("a", "b")) == {}
    assert unet.depends_on(film("a", "b", lengths="empty")).keys() == {"prompts"}
    assert transformer.depends_on(film("a", "b")).keys() == {"prompts"}
    assert transformer.depends_on(film("a", "b", lengths="tile")).keys() == {"prompts"}
    assert older.depends_on(film("a", "b")) == transformer.depends_on(film("a", "b"))


def test_a_pack_that_reports_no_family_is_remarked_on_where_prompts_meet() -> None:
    (remark,) = Pack().remarks(film("a", "b"), "the server's Remix script")
    assert "the server's Remix script is older" in remark
    assert "update it there" in remark
    assert Pack().remarks(film("a", "a"), "it") == []
    assert Pack().remarks(film("a", "b", lengths="equal"), "it") == []
    assert Pack(plain_attention=False).remarks(film("a", "b"), "it") == []


def test_later_fields_of_recipes_are_those_that_a_pack_reports() -> None:
    assert Pack.read(report(None)).fields() == " ".join(LATER_FIELDS)
    assert Pack(supports=frozenset({"inversion"})).fields() == "invert"
    assert Pack().fields() == ""
