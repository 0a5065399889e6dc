"""What the training stages share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from remix.client.playground.parallel import average_gradients, together
from remix.client.playground.settings import Settings, claim
from remix.client.playground.training import Average, Run, learning_rate, noise_source, numbers
from remix.errors import BadInput


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 0}, "steps: 0 is below 1"),
        ({"batch": 7}, "batch: 7 is odd"),
        ({"processes": 2, "device": "cuda"}, "only the CPU"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, int], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Settings(**wrong)


def test_a_folder_with_a_run_is_taken_only_to_resume_it(tmp_path: Path) -> None:
    claim(tmp_path, Settings(), resume=False)
    with pytest.raises(BadInput, match="--resume"):
        claim(tmp_path, Settings(), resume=False)
    claim(tmp_path, Settings(), resume=True)


def test_a_resumed_run_may_be_longer_but_not_different(tmp_path: Path) -> None:
    claim(tmp_path, Settings(), resume=True)
    claim(tmp_path, dataclasses.replace(Settings(), steps=99, decoder_steps=5, save_every=7), resume=True)
    with pytest.raises(BadInput, match=r"seed 0 became 1, batch 32 became 64"):
        claim(tmp_path, dataclasses.replace(Settings(), seed=1, batch=64), resume=True)


def test_the_learning_rate_warms_up_holds_and_falls() -> None:
    rates = [learning_rate(step, 1000, 2.0) for step in range(1000)]
    assert rates[0] == pytest.approx(2 / 60)
    assert rates[60:400] == [2.0] * 340
    assert rates[400:] == sorted(rates[400:], reverse=True)
    assert rates[-1] == pytest.approx(0.06, rel=0.01)


def test_random_numbers_depend_on_the_whole_key() -> None:
    keys = [(0, 1, 2), (0, 2, 1), (0, 1, 2, 0), (1, 1, 2)]
    drawn = [torch.randn(4, generator=noise_source(*key)) for key in keys]
    assert torch.equal(drawn[0], torch.randn(4, generator=noise_source(*keys[0])))
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    assert numbers(3, 4).integers(1 << 62) == numbers(3, 4).integers(1 << 62)


def test_an_average_follows_quickly_at_first_and_slowly_later() -> None:
    value = nn.Parameter(torch.zeros(1))
    average = Average([value], decay=0.99)
    value.data.fill_(1.0)
    average.update(0)
    assert average.values[0].item() == pytest.approx(9 / 11)
    value.data.fill_(2.0)
    before = average.values[0].item()
    average.update(100_000)
    assert average.values[0].item() == pytest.approx(before + 0.01 * (2 - before))
    average.write()
    assert value.item() == pytest.approx(average.values[0].item())


def _run(path: Path) -> Run:
    torch.manual_seed(0)
    return Run(path, {"first": nn.Linear(3, 3), "second": nn.Linear(3, 1)}, shares={"second": 0.5})


def _steps(run: Run, count: int) -> None:
    for _ in range(count):
        inputs = torch.randn(8, 3, generator=noise_source(run.step))
        loss = run.models["second"](run.models["first"](inputs)).square().mean()
        run.descend(loss, 0.01, loss.item())


def test_a_loaded_run_continues_bit_for_bit(tmp_path: Path) -> None:
    whole = _run(tmp_path / "whole.safetensors")
    _steps(whole, 9)
    half = _run(tmp_path / "run.safetensors")
    _steps(half, 4)
    half.save()
    rest = _run(tmp_path / "run.safetensors")
    rest.load()
    assert rest.step == 4
    _steps(rest, 5)
    assert rest.loss == whole.loss
    for name in ("parameters", "values"):
        ours = getattr(rest, name, None) or rest.average.values
        theirs = getattr(whole, name, None) or whole.average.values
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]


def test_shares_slow_a_model_down(tmp_path: Path) -> None:
    run = _run(tmp_path / "run.safetensors")
    _steps(run, 1)
    assert [group["lr"] for group in run.optimiser.param_groups] == [0.01, 0.005]


def test_a_run_without_a_file_starts_at_the_beginning(tmp_path: Path) -> None:
    run = _run(tmp_path / "none.safetensors")
    run.load()
    assert run.step == 0


def _write_mean_gradient(rank: int, folder: Path) -> None:
    values = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3, 1)), nn.Parameter(torch.zeros(1))]
    values[0].grad = torch.tensor([1.0, 2.0]) * (rank + 1)
    values[1].grad = torch.full((3, 1), float(rank))
    mean = average_gradients(values, float(10 * rank))
    (folder / str(rank)).write_text(repr([mean, values[0].grad.tolist(), values[1].grad.tolist()]))


def test_processes_average_their_gradients(tmp_path: Path) -> None:
    together(_write_mean_gradient, 2, tmp_path)
    expected = repr([5.0, [1.5, 3.0], [[0.5], [0.5], [0.5]]])
    assert [(tmp_path / name).read_text() for name in ("0", "1")] == [expected, expected]


def test_one_process_is_a_plain_call(tmp_path: Path) -> None:
    together(_write_mean_gradient, 1, tmp_path)
    assert (tmp_path / "0").read_text() == repr([0.0, [1.0, 2.0], [[0.0], [0.0], [0.0]]])
