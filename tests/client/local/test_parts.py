"""What of a diffusers folder is loaded: all of it is there before the first frame, in whichever variant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from remix.client.local import Local
from remix.client.local.checkpoints import fingerprint
from remix.client.local.encoded import Encoded
from remix.client.playground import WEIGHTS
from remix.errors import EngineError, Unsupported
from remix.plan import plan
from remix.prompt import Reading
from tests.client.local import tiny
from tests.client.local.films import pictures
from tests.client.local.saved_parts import frame, saved


@pytest.fixture(scope="module")
def sd3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.stable_diffusion_3(tmp_path_factory.mktemp("sd3"))


def check(checkpoint: Path | str) -> None:
    Local(device="cpu").check(plan(frame(checkpoint)))


def load(checkpoint: Path) -> Any:
    return Local(device="cpu")._loaded.model(plan(frame(checkpoint)))


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("tokenizer/tokenizer.json", "no vocabulary in its folder 'tokenizer'"),
        ("tokenizer/tokenizer_config.json", "no 'tokenizer_config.json' in its folder 'tokenizer'"),
        ("text_encoder/model.safetensors", "no weights as safetensors in its folder 'text_encoder'"),
        ("text_encoder/config.json", "no 'config.json' in its folder 'text_encoder'"),
        ("unet/config.json", "no 'config.json' in its folder 'unet'"),
        ("unet/diffusion_pytorch_model.safetensors", "no weights as safetensors in its folder 'unet'"),
        ("vae/diffusion_pytorch_model.safetensors", "no weights as safetensors in its folder 'vae'"),
        ("scheduler/scheduler_config.json", "no 'scheduler_config.json' in its folder 'scheduler'"),
    ],
)
def test_a_folder_that_lacks_a_file_is_refused_before_the_first_frame(gone: str, message: str, folder: Path) -> None:
    (folder / gone).unlink()
    with pytest.raises(Unsupported, match=f"model.checkpoint: .* has {message}; give a checkpoint that is whole"):
        check(folder)


@pytest.mark.parametrize("part", ["vae", "text_encoder", "tokenizer"])
def test_a_part_that_the_index_gives_up_is_refused_before_the_first_frame(part: str, folder: Path) -> None:
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text("utf-8")) | {part: [None, None]}), encoding="utf-8")
    with pytest.raises(Unsupported, match=f"has no folder '{part}', which"):
        check(folder)


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3"])
def test_weights_that_are_missing_in_any_part_of_sd3_are_not_made_up(part: str, sd3: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sd3, tmp_path / "folder"))
    [file] = (folder / part).glob("*.safetensors")
    weights = load_file(file)
    gone = next(name for name in weights if "fc1" in name or ".k.weight" in name or "to_k.weight" in name)
    del weights[gone]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(EngineError, match=rf"{part}: lacks 1 of its weights, such as "):
        load(folder)


SHARED = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


@pytest.mark.parametrize("names", [SHARED[:1], SHARED[1:2], SHARED], ids=["shared", "encoder", "all"])
def test_weights_that_t5_shares_may_be_named_once_or_more(names: tuple[str, ...], sd3: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sd3, tmp_path / "folder"))
    [file] = (folder / "text_encoder_3").glob("*.safetensors")
    weights = load_file(file)
    shared = [weights.pop(name) for name in SHARED if name in weights]
    save_file(weights | {name: shared[0].clone() for name in names}, file, metadata={"format": "pt"})
    theirs, ours = (load(each).encode("a red fish", Reading(), Encoded(8)).tokens for each in (sd3, folder))
    assert theirs.equal(ours)


def test_settings_of_a_flow_that_are_none_are_told_before_any_sampling(sd3: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sd3, tmp_path / "folder"))
    (folder / "scheduler" / "scheduler_config.json").write_text('{"shift": "x"}', encoding="utf-8")
    with pytest.raises(EngineError, match=r"model.checkpoint: .* be loaded .*; its files do not go together"):
        load(folder)


@pytest.mark.parametrize("family", ["sd1", "sd3"])
def test_a_tokenizer_with_words_that_its_encoder_does_not_know_is_refused(
    family: str, sound: Path, sd3: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(sound if family == "sd1" else sd3, tmp_path / "folder"))
    name, words = ("tokenizer", tiny.tokenizer()) if family == "sd1" else ("tokenizer_3", tiny.t5_tokenizer())
    words.add_tokens(["zeppelin"])
    words.save_pretrained(folder / name)
    with pytest.raises(EngineError, match=f"has {len(words)} words, of which its text encoder knows {len(words) - 1}"):
        load(folder)


@pytest.fixture(scope="module")
def picture(sound: Path) -> np.ndarray:
    return pictures(frame(sound))


@pytest.mark.parametrize(
    ("variant", "shards", "older"),
    [
        (None, "200KB", False),
        ("fp16", "5GB", False),
        ("fp16", "200KB", False),
        ("fp16", "200KB", True),
        ("bf16", "5GB", False),
    ],
)
def test_weights_lie_in_one_file_or_many_and_in_one_variant(
    variant: str | None, shards: str, older: bool, picture: np.ndarray, folder: Path
) -> None:
    saved(folder, variant, shards, older)
    assert (len(list((folder / "unet").glob("*.safetensors"))) > 1) is (shards == "200KB")
    assert np.array_equal(picture, pictures(frame(folder)))


def test_other_variants_and_other_parts_are_neither_loaded_nor_counted(
    sound: Path, picture: np.ndarray, folder: Path
) -> None:
    other = tiny.stable_diffusion(folder.parent / "other", seed=5)
    for kind in ("fp16", "bf16", "non_ema"):
        weights = (other / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
        (folder / "unet" / f"diffusion_pytorch_model.{kind}.safetensors").write_bytes(weights)
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "config.json").write_text("{}", encoding="utf-8")
    assert fingerprint(folder) == fingerprint(sound)
    assert np.array_equal(picture, pictures(frame(folder)))
    shutil.copy(other / "unet" / "diffusion_pytorch_model.safetensors", folder / "unet")
    assert fingerprint(folder) != fingerprint(sound)


def test_the_playground_is_known_by_the_files_that_it_always_was() -> None:
    assert {file.suffix for file in WEIGHTS.rglob("*") if file.is_file()} == {".json", ".txt", ".safetensors"}
    assert fingerprint(WEIGHTS) == "10a439c28ddfbb39"
