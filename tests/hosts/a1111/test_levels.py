"""Where the host's samplers begin with a picture, on samplers that remember what they are given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.fakes import webui
from tests.hosts.a1111.conftest import Runner

ALPHAS = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0).float()
CLEAN, NOISE = torch.full((1, 4, 2, 2), 2.0), torch.full((1, 4, 2, 2), 3.0)


class OfTimes(webui.OfTimes):
    """As the host's UniPC: told where it begins by a list of whole times."""

    def __init__(self, asked: list[Tensor]) -> None:
        def forward(x: Tensor, times: Tensor) -> Tensor:
            asked.append(times)
            return x

        def unipc(model: Any, x: Tensor, timesteps: Any, extra_args: Any, callback: Any, is_img2img: bool) -> Tensor:
            raise AssertionError("the host would begin elsewhere")

        self.func: Any = unipc
        self.model_wrap_cfg = SimpleNamespace(forward=forward)

    def get_timesteps(self, p: Any, steps: int) -> Tensor:
        return torch.arange(0, 1000, 1000 // steps)

    def sample_img2img(self, p: Any, x: Tensor, noise: Tensor) -> Any:
        timesteps = self.get_timesteps(p, 200_000)
        return self.func(self.model_wrap_cfg, x, timesteps=timesteps, extra_args={}, callback=None, is_img2img=True)


@pytest.fixture
def walked(ui: Runner, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Walks with the host's UniPC by the rule: its levels, by the host's own interpolation, and where it begins."""
    from a1111_extension import host, levels

    monkeypatch.setattr(host, "alphas", lambda: ALPHAS)
    given: list[Any] = []
    monkeypatch.setattr(host, "unipc", lambda *args: given.append(args))

    def walk(steps: int, denoise: float) -> tuple[Tensor, Tensor]:
        sampler = OfTimes([])
        levels.begin_by_rule(sampler, steps, denoise)
        sampler.sample_img2img(None, CLEAN, NOISE)
        _, begun, times, _, _ = given.pop()
        places, logs = times.double() * 1000 - 1, ALPHAS.double().log()
        before = places.floor().clamp(0, 998).long()
        share = torch.exp(logs[before] + (places - before) * (logs[before + 1] - logs[before]))
        return ((1 - share) / share).sqrt(), begun

    return walk


def test_the_times_of_unipc_are_those_of_comfyuis_levels(walked: Any) -> None:
    sigmas = ((1 - ALPHAS.double()) / ALPHAS.double()).sqrt()
    found, _ = walked(2, 0.4)  # the last two of 5 steps along "normal" that leave out the least level
    at = [399.6, 199.8]
    logs = sigmas.log()
    wanted = [float((logs[int(t)] + t % 1 * (logs[int(t) + 1] - logs[int(t)])).exp()) for t in at]
    assert found[:2].tolist() == pytest.approx(wanted, rel=2e-4)
    assert float(found[2]) == pytest.approx(0.001, rel=0.05)


def test_unipc_begins_between_whole_steps_and_with_the_noise_of_its_level(walked: Any) -> None:
    shorter, between, longer = (walked(2, 2 / length)[0][0] for length in (5, 5.5, 6))
    assert float(between) == pytest.approx(float((shorter * longer).sqrt()), rel=2e-4)
    level, begun = walked(2, 2 / 5.5)
    root = (1 + level[0] ** 2).sqrt()
    torch.testing.assert_close(begun, ((CLEAN + level[0] * NOISE) / root).float(), rtol=1e-4, atol=0)


def test_at_the_greatest_level_unipc_begins_with_noise_of_unit_variance(walked: Any) -> None:
    level, begun = walked(4, 1.0)
    root = (1 + level[0] ** 2).sqrt()
    torch.testing.assert_close(begun, (CLEAN / root + NOISE).float(), rtol=1e-4, atol=0)


def test_unipc_asks_the_model_at_whole_times(ui: Runner) -> None:
    from a1111_extension.levels import begin_by_rule

    asked: list[Tensor] = []
    sampler = OfTimes(asked)
    begin_by_rule(sampler, 4, 0.5)
    sampler.model_wrap_cfg.forward(CLEAN, torch.tensor([199.8]))
    assert asked[0].tolist() == [200.0]
