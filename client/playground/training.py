"""What every training stage shares: settings, learning rates, random numbers, averages, checkpoints."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from remix.client.playground.parallel import average_gradients
from remix.client.playground.settings import Settings


def learning_rate(step: int, steps: int, peak: float, *, warm_up: int = 60, hold: float = 0.4) -> float:
    """Returns a step's rate: a linear warm-up, `peak` for a share `hold` of all steps, a cosine to 3 %."""
    done = step / steps
    left = 1.0 if done < hold else 0.5 + 0.5 * math.cos(math.pi * (done - hold) / (1 - hold))
    return peak * min(1.0, (step + 1) / warm_up) * (0.03 + 0.97 * left)


def numbers(*key: int) -> np.random.Generator:
    """Returns the random numbers of a seed, stage, step and process: a resumed run draws the same."""
    return np.random.default_rng((len(key), *key))  # numpy takes (1,) and (1, 0) for the same


def noise_source(*key: int) -> torch.Generator:
    """Returns a torch generator of such a key."""
    return torch.Generator().manual_seed(int(numbers(*key).integers(1 << 62)))


def begin(model: Any, settings: Settings, part: str) -> None:
    """Gives a network the weights of `part` ("unet", "vae", ...) of the model that a run starts from, if any."""
    if settings.start:
        finished = type(model).from_pretrained(settings.start, subfolder=part, torch_dtype=torch.float32)
        model.load_state_dict(finished.state_dict())


class Average:
    """An exponential moving average of parameters, which start to count more slowly as they settle."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], decay: float) -> None:
        self.parameters: list[torch.Tensor] = list(parameters)
        self.values = [value.detach().clone() for value in self.parameters]
        self.decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the parameters after `step` (counted from 0)."""
        decay = min(self.decay, (2 + step) / (11 + step))
        torch._foreach_lerp_(self.values, self.parameters, 1 - decay)

    @torch.no_grad()
    def write(self) -> None:
        """Sets the parameters to their average, for good."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            parameter.copy_(value)


class Run:
    """One stage's training: models, optimiser, averaged parameters and the next step, kept in one file."""

    def __init__(
        self,
        path: Path,
        models: Mapping[str, torch.nn.Module],
        *,
        shares: Mapping[str, float] | None = None,
        decay: float = 0.998,
    ) -> None:
        """Takes the models by name, and for some their share of the learning rate (1 for the others)."""
        self.path = path
        self.models = dict(models)
        self.shares = [(shares or {}).get(name, 1.0) for name in models]
        groups = [[p for p in model.parameters() if p.requires_grad] for model in models.values()]
        self.parameters = [parameter for group in groups for parameter in group]
        self.optimiser = torch.optim.AdamW(
            [{"params": group} for group in groups], betas=(0.9, 0.98), weight_decay=1e-3
        )
        self.average = Average(self.parameters, decay)
        self.step = 0
        self.loss = math.nan

    def descend(self, loss: torch.Tensor, rate: float, logged: float) -> None:
        """Makes one step down `loss`; `logged` goes into the running loss that is logged."""
        for group, share in zip(self.optimiser.param_groups, self.shares, strict=True):
            group["lr"] = rate * share
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        logged = average_gradients(self.parameters, logged)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.average.update(self.step)
        self.loss = logged if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * logged
        self.step += 1

    def save(self) -> None:
        """Writes the file, or leaves the old one untouched."""
        states = {f"model {name}": model.state_dict() for name, model in self.models.items()}
        moments = self.optimiser.state_dict()["state"]
        states |= {f"optimiser {index}": state for index, state in moments.items()}
        states["average"] = {str(index): value for index, value in enumerate(self.average.values)}
        tensors = {
            f"{part}/{key}": value.contiguous() for part, state in states.items() for key, value in state.items()
        }
        part = self.path.with_suffix(".part")
        save_file(tensors, part, {"step": str(self.step), "loss": repr(self.loss)})
        os.replace(part, self.path)

    def load(self) -> None:
        """Takes up where the file was written; without a file, nothing changes."""
        if not self.path.exists():
            return
        states: dict[str, dict[str, torch.Tensor]] = {}
        with safe_open(self.path, framework="pt", device=str(self.parameters[0].device)) as file:
            about = file.metadata()
            for name in file.keys():  # noqa: SIM118 - it is no dict
                owner, _, key = name.partition("/")
                states.setdefault(owner, {})[key] = file.get_tensor(name)
        for name, model in self.models.items():
            model.load_state_dict(states[f"model {name}"])
        groups = self.optimiser.state_dict()["param_groups"]
        count = sum(len(group["params"]) for group in groups)
        moments = {index: states[f"optimiser {index}"] for index in range(count) if f"optimiser {index}" in states}
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.average.values = [states["average"][str(index)] for index in range(count)]
        self.step, self.loss = int(about["step"]), float(about["loss"])
