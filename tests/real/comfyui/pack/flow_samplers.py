"""What ComfyUI's samplers return for a flow, and some of them for a model with added noise.

The local engine's samplers are compared with a recording of it, `tests/client/local/flow_samplers.json`. To record it
again, run the test of it with REMIX_RECORD=1.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import torch
from comfy import model_sampling
from comfy.extra_samplers import uni_pc
from comfy.k_diffusion import sampling

SIGMAS = [1.0, 0.9375, 0.857, 0.75, 0.6, 0.375, 0.0]
SHIFT = 3.0
PLAIN = ("euler", "heun", "dpmpp_2m", "ddim")
"""Samplers that take no noise."""
NAMES = (*PLAIN, "euler_ancestral", "dpmpp_2m_sde", "uni_pc", "lcm", "res_multistep", "er_sde")

ADDED_SIGMAS = [14.6, 5.0, 2.0, 1.0, 0.5, 0.1, 0.0]
ADDED_NAMES = ("res_multistep", "er_sde")


class Flow(model_sampling.ModelSamplingDiscreteFlow, model_sampling.CONST):
    """The levels of a flow model."""


class AddedNoise(model_sampling.ModelSamplingDiscrete, model_sampling.EPS):
    """The levels of a model with added noise."""


class Model:
    """A model whose estimate is no straight line, so that errors of different steps do not cancel."""

    def __init__(self, levels: Any) -> None:
        self.inner_model = SimpleNamespace(
            inner_model=SimpleNamespace(model_sampling=levels),
            model_patcher=SimpleNamespace(get_model_object=lambda name: levels),
        )

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor, **extra: Any) -> torch.Tensor:
        return 0.8 * torch.tanh(x * (1 - 0.3 * sigma.view(-1, 1, 1, 1))) + 0.1


def sampled(name: str, model: Model, x: torch.Tensor, sigmas: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Returns what a sampler makes of x with the noise of each step."""
    left = iter(noise)
    if name == "uni_pc":
        return uni_pc.sample_unipc(model, x.clone(), sigmas, extra_args={}, disable=True)
    function = getattr(sampling, f"sample_{'euler' if name == 'ddim' else name}")
    own = {} if name in PLAIN else {"noise_sampler": lambda now, after: next(left)}
    return function(model, x.clone(), sigmas, disable=True, **own)


class FlowSamplers:
    """What each sampler returns, with the latent, its levels and the noise of each step."""

    RETURN_TYPES = ()
    FUNCTION = "tell"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def tell(self) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2, 1, 1, 2, generator=generator)
        noise = torch.randn(len(SIGMAS), *x.shape, generator=generator)
        flow = Flow()
        flow.set_parameters(shift=SHIFT, multiplier=1000)
        found = {name: sampled(name, Model(flow), x, torch.tensor(SIGMAS), noise).tolist() for name in NAMES}
        added, sigmas = Model(AddedNoise()), torch.tensor(ADDED_SIGMAS)
        others = {name: sampled(name, added, x * sigmas[0], sigmas, noise).tolist() for name in ADDED_NAMES}
        given = {
            "shift": SHIFT,
            "sigmas": SIGMAS,
            "added_sigmas": ADDED_SIGMAS,
            "x": x.tolist(),
            "noise": noise.tolist(),
        }
        report = {**given, "samplers": found, "added_samplers": others}
        return {"ui": {"text": [json.dumps(report)]}}
