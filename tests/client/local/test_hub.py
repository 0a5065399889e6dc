"""Checkpoints by their hub ids: loaded from what the hub gave before, and fetched without what nobody loads."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import filter_repo_objects

from remix.client.local import Local
from remix.client.local.checkpoints import checkpoint_path
from remix.errors import EngineError, Unsupported
from remix.plan import plan
from tests.client.local.films import pictures
from tests.client.local.saved_parts import frame, saved

NAME, COMMIT = "someone/tiny", "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def kept(sound: Path, tmp_path: Path) -> Path:
    """The model as the hub's own library lays it down, whose cache the tests have in `tmp_path`."""
    model = tmp_path / "hub" / "models--someone--tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    return Path(shutil.copytree(sound, model / "snapshots" / COMMIT))


def test_a_model_is_loaded_by_its_id_from_what_the_hub_gave_before(kept: Path, sound: Path) -> None:
    assert checkpoint_path(NAME) == kept
    assert np.array_equal(pictures(frame(NAME)), pictures(frame(sound)))


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("tokenizer/tokenizer.json", "has no vocabulary in its folder 'tokenizer'"),
        ("unet/diffusion_pytorch_model.safetensors", "has no weights as safetensors in its folder 'unet'"),
        ("text_encoder/config.json", "has no 'config.json' in its folder 'text_encoder'"),
        (
            "model_index.json",
            "is not a folder in .*, and the hub could not be reached",
        ),
    ],
)
def test_a_model_of_which_the_hub_gave_a_part_is_refused_before_the_first_frame(
    gone: str, message: str, kept: Path
) -> None:
    (kept / gone).unlink()
    with pytest.raises(Unsupported, match=f"model.checkpoint: '{NAME}' {message}"):
        Local(device="cpu").check(plan(frame(NAME)))


class Hub:
    """A fake of the Hub that serves the files of a folder."""

    def __init__(self, there: Path, here: Path) -> None:
        self.there, self.here, self.given = there, here, set[str]()

    def snapshot_download(self, name: str, allow_patterns: Sequence[str]) -> str:
        names = [file.relative_to(self.there).as_posix() for file in self.there.rglob("*") if file.is_file()]
        for each in filter_repo_objects(names, allow_patterns=list(allow_patterns)):
            self.hf_hub_download(name, each)
        return str(self.here)

    def hf_hub_download(self, name: str, file: str) -> str:
        self.given.add(file)
        (self.here / file).parent.mkdir(parents=True, exist_ok=True)
        return str(shutil.copy(self.there / file, self.here / file))


@pytest.fixture
def hub(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    found = Hub(Path(shutil.copytree(sound, tmp_path / "there")), tmp_path / "here")
    for name in ("snapshot_download", "hf_hub_download"):
        monkeypatch.setattr(f"huggingface_hub.{name}", getattr(found, name))
    return found


EXTRAS = (
    "README.md",
    "all-in-one.safetensors",
    "picture.png",
    "safety_checker/config.json",
    "safety_checker/model.safetensors",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.bin",
    "vae/diffusion_pytorch_model-00001-of-00002.fp16.safetensors",
    "vae_decoder/model.onnx",
)


def files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_what_is_loaded_is_fetched_and_nothing_else(hub: Hub) -> None:
    wanted = files(hub.there)
    for extra in EXTRAS:
        (hub.there / extra).parent.mkdir(exist_ok=True)
        (hub.there / extra).write_bytes(b"x")
    assert checkpoint_path(NAME) == hub.here
    assert hub.given == wanted


@pytest.mark.parametrize("shards", ["5GB", "200KB"])
def test_parts_that_the_hub_has_in_half_precision_alone_are_fetched_so(hub: Hub, shards: str, sound: Path) -> None:
    saved(hub.there, "fp16", shards)
    wanted = files(hub.there)
    shutil.copy(sound / "vae" / "diffusion_pytorch_model.safetensors", hub.there / "vae")
    vae = {name for name in wanted if name.startswith("vae/") and ".safetensors" in name}
    assert checkpoint_path(NAME) == hub.here
    assert {name for name in hub.given if not name.endswith(".json")} == {
        name for name in wanted - vae | {"vae/diffusion_pytorch_model.safetensors"} if not name.endswith(".json")
    }
    assert pictures(frame(NAME)).shape == (1, 64, 64, 3)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            LocalEntryNotFoundError("none"),
            Unsupported,
            "is not a folder in .*, and the hub could not be reached",
        ),
        (ConnectionResetError("reset"), EngineError, r"could not be fetched \(reset\); run it again, what is fetched"),
    ],
)
def test_what_the_hub_does_not_give_is_one_sentence(
    error: Exception, kind: type[Exception], message: str, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any, **settings: Any) -> str:
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", broken)
    with pytest.raises(kind, match=f"model.checkpoint: '{NAME}' {message}"):
        checkpoint_path(NAME)


def test_a_misspelled_playground_is_not_asked_of_the_hub(hub: Hub) -> None:
    with pytest.raises(Unsupported, match=r"model\.checkpoint: 'playgound' is not a folder .*; did you mean"):
        checkpoint_path("playgound")
    assert hub.given == set()


def test_what_the_hubs_library_logs_is_shown_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub.utils import logging as hub_logging

    logger = hub_logging.get_logger("huggingface_hub.download")
    before = list(logging.getLogger("huggingface_hub").handlers)

    def failing(name: str, file: str) -> str:
        logger.warning("retrying")
        raise LocalEntryNotFoundError("gone")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", failing)
    with pytest.raises(Unsupported):
        checkpoint_path("someone/else")
    assert caplog.messages == ["retrying"]
    assert capsys.readouterr().err == ""
    assert logging.getLogger("huggingface_hub").handlers == before != []
