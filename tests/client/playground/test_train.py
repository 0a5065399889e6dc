"""The whole training, for a handful of steps on a handful of pictures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from remix.client.playground import WEIGHTS, unet
from remix.client.playground.measure import generate, load
from remix.client.playground.settings import Settings
from remix.client.playground.train import main, train
from remix.errors import BadInput

_TINY = Settings(pictures=6, text_steps=3, decoder_steps=2, steps=4, batch=2, processes=1, save_every=2, seed=5)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return train(folder, _TINY)


def _tensors(weights: Path) -> dict[str, torch.Tensor]:
    files = sorted(weights.glob("*/*.safetensors"))
    return {f"{file.parent.name}.{name}": value for file in files for name, value in load_file(file).items()}


def test_every_stage_leaves_a_stock_pipeline_like_the_shipped_one(finished: Path) -> None:
    ours, shipped = _tensors(finished), _tensors(WEIGHTS)
    assert {name: value.shape for name, value in ours.items()} == {n: v.shape for n, v in shipped.items()}
    assert {value.dtype for value in ours.values()} == {torch.float16}
    pictures = generate(load(finished), ["a red star"], steps=2, cfg=2.0)
    assert pictures.shape == (1, 3, 128, 128)
    assert pictures.isfinite().all()


def test_the_model_holds_the_averaged_parameters(finished: Path) -> None:
    kept = _tensors(finished)
    for stage, name in (("unet", "unet.conv_in.weight"), ("decoder", "vae.decoder.conv_in.weight")):
        state = load_file(finished.parent / f"{stage}.safetensors")
        learning = next(value for key, value in state.items() if key.endswith("/conv_in.weight"))
        assert torch.equal(kept[name], state["average/0"].half())
        assert not torch.equal(kept[name], learning.half())


def test_no_file_of_the_model_tells_where_it_was_made(finished: Path) -> None:
    for path in finished.rglob("*.json"):
        assert str(finished.parent) not in path.read_text("utf-8")
        assert "_name_or_path" not in path.read_text("utf-8")


def test_a_stopped_training_resumes_to_the_same_model(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = unet.Run.save

    def save_and_stop(run: unet.Run) -> None:
        save(run)
        if run.path.name == "unet.safetensors" and run.step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(unet.Run, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, _TINY)
    resumed = _tensors(train(tmp_path, _TINY, resume=True))
    whole = _tensors(finished)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_finished_training_can_be_prolonged(finished: Path) -> None:
    before = _tensors(finished)
    after = _tensors(train(finished.parent, dataclasses.replace(_TINY, steps=5), resume=True))
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert "unet" in changed
    assert "vae" not in changed


@pytest.mark.parametrize("bf16", [False, True])
def test_a_training_can_start_from_a_finished_model(tmp_path: Path, bf16: bool) -> None:
    begun = dataclasses.replace(_TINY, start=str(WEIGHTS), steps=1, decoder_steps=1, text_steps=1, bf16=bf16)
    after, before = _tensors(train(tmp_path, begun)), _tensors(WEIGHTS)
    assert all((after[name] - before[name]).abs().max() < 0.01 for name in before)
    assert not torch.equal(after["unet.conv_in.weight"], before["unet.conv_in.weight"])


def test_a_start_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no model_index\.json"):
        train(tmp_path / "run", dataclasses.replace(_TINY, start=str(tmp_path)))


def test_the_command_refuses_a_used_folder_in_a_sentence(finished: Path) -> None:
    result = CliRunner().invoke(main, ["--out", str(finished.parent)])
    assert result.exit_code == 1
    assert "give --resume to continue it" in result.output
