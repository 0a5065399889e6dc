"""The identity of a MODEL, CLIP and VAE depends on their values, not on the objects that hold them."""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from tests.hosts.comfyui.conftest import room


class Patcher:
    """The parts of ComfyUI's ModelPatcher that the identity depends on."""

    def __init__(self, **held: Any) -> None:
        self.patches: dict[str, Any] = {}
        self.object_patches: dict[str, Any] = {}
        self.model_options: dict[str, Any] = {"transformer_options": {}}
        self.wrappers: dict[str, Any] = {"sample": {}}
        self.patches_uuid = uuid.uuid4()
        self.model = torch.nn.Linear(2, 2, bias=False)
        torch.nn.init.ones_(self.model.weight)
        vars(self).update(held)


class Adapter:
    """A LoRA of one layer."""

    def __init__(self, fill: float = 1.0, size: int = 4) -> None:
        self.weights = (torch.full((size, size), fill), torch.ones(size), 4.0, None)
        self.loaded_keys = {str(uuid.uuid4())}


def lora(strength: float = 1.0, adapter: Any = None) -> dict[str, Any]:
    return {"patches": {"layer.weight": [(strength, adapter or Adapter(), 1.0, None, None)]}}


def patch(strength: float) -> Callable[[Any], Any]:
    """A function as nodes make them, with what it closes over; it keeps something for each device."""
    kept: dict[Any, Any] = {}

    def scaled(h: Any, scale: float = 2.0) -> Any:
        kept[torch.device("cpu")] = True
        return h * strength * scale

    return scaled


class Holder:
    """An object that is called, and changes when it is."""

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self.lock = threading.Lock()
        self.itself = self
        self.seen = 0

    def method(self, h: Any) -> Any:
        return h * self._strength

    def __call__(self, h: Any) -> Any:
        self.seen += 1
        return h


def replaced(value: Any) -> dict[str, Any]:
    return {"model_options": {"transformer_options": {"patches_replace": {"attn2": {("input", 4): value}}}}}


def module(value: float) -> dict[str, Any]:
    made = torch.nn.Module()
    made.register_buffer("sigmas", torch.full((1000,), value))
    return {"object_patches": {"model_sampling": made}}


def identity_of(pack: ModuleType, model: Any = None, clip: Any = None, vae: Any = None) -> dict[str, str]:
    found: dict[str, str] = room(pack, "applied").applied(model, clip, vae)
    return found


@pytest.mark.parametrize(
    "held",
    [
        lambda change: lora(0.5 if change else 1.0),
        lambda change: lora(adapter=Adapter(2.0 if change else 1.0)),
        lambda change: lora(adapter=Adapter(size=500 if change else 501)),
        lambda change: replaced(patch(0.5 if change else 1.0)),
        lambda change: replaced(Holder(0.5 if change else 1.0)),
        lambda change: replaced(Holder(0.5 if change else 1.0).method),
        lambda change: replaced(functools.partial(patch(1), scale=0.5 if change else 1.0)),
        lambda change: replaced({"a set", "of", "words" if change else "names"}),
        lambda change: replaced((lambda h: h * 2) if change else (lambda h: h * 3)),
        lambda change: module(0.5 if change else 1.0),
        lambda change: {"wrappers": {"sample": {"key": [patch(0.5 if change else 1.0)]}}},
        lambda change: {"model": torch.nn.utils.skip_init(torch.nn.Linear, 3 if change else 4, 2)},
        lambda change: {"additional_models": {"net": [Patcher(**lora(0.5 if change else 1.0))]}},
    ],
    ids=[
        *("strength", "weights", "size", "function", "object", "method", "partial", "set", "code", "module", "wrapper"),
        *("base", "another model"),
    ],
)
def test_values_tell_and_objects_do_not(pack: ModuleType, held: Callable[[bool], dict[str, Any]]) -> None:
    if "model" in held(False):
        torch.manual_seed(1)
        assert identity_of(pack, Patcher(**held(False))) != identity_of(pack, Patcher(**held(True)))
        return
    first = identity_of(pack, Patcher(**held(False)))
    assert first == identity_of(pack, Patcher(**held(False)))
    changed = identity_of(pack, Patcher(**held(True)))
    assert {name for name in first if first[name] != changed[name]} == {"model applied"}


def test_weights_that_patches_were_merged_into_are_told_as_they_were(pack: ModuleType) -> None:
    plain, merged = Patcher(), Patcher()
    merged.backup = {"weight": SimpleNamespace(weight=merged.model.weight.detach().clone())}
    torch.nn.init.zeros_(merged.model.weight)
    assert identity_of(pack, plain) == identity_of(pack, merged)
    torch.nn.init.zeros_(plain.model.weight)
    assert identity_of(pack, plain) != identity_of(pack, merged)


def test_a_model_of_a_known_file_is_told_by_that(pack: ModuleType, tmp_path: Path) -> None:
    def loader() -> None: ...

    def from_file(name: str, data: bytes) -> Patcher:
        (tmp_path / name).write_bytes(data)
        return Patcher(cached_patcher_init=(loader, (str(tmp_path / name), "embeddings", [None]), 0))

    first = identity_of(pack, from_file("a.safetensors", b"x"))
    assert first == identity_of(pack, from_file("b.safetensors", b"x"))
    assert first != identity_of(pack, from_file("c.safetensors", b"y"))


def test_a_clip_is_told_by_its_patches_and_its_layer(pack: ModuleType) -> None:
    def clip(layer: int | None, **held: Any) -> Any:
        return SimpleNamespace(patcher=Patcher(**held), layer_idx=layer, tokenizer_options={})

    assert identity_of(pack, clip=clip(None)) == identity_of(pack, clip=clip(None))
    assert (
        len({identity_of(pack, clip=each)["clip applied"] for each in (clip(None), clip(-2), clip(-2, **lora()))}) == 3
    )


def test_what_changes_while_it_works_is_told_as_it_was_at_first(pack: ModuleType) -> None:
    holder, scaled = Holder(1.0), patch(1.0)
    model, other = Patcher(**replaced(holder)), Patcher(**replaced(scaled))
    before = identity_of(pack, model), identity_of(pack, other)
    holder(0), scaled(0)
    assert (identity_of(pack, model), identity_of(pack, other)) == before


def test_what_is_gone_is_not_remembered(pack: ModuleType) -> None:
    identity_of(pack, Patcher(**replaced(Holder(1.0))))
    known = room(pack, "applied")._known
    assert known
    gc.collect()
    assert not [1 for reference, _ in known.values() if isinstance(reference(), Holder)]


STABLE = """
import sys, types
sys.path.insert(0, {root!r})
from tests.hosts.comfyui import test_applied as here
source = open({file!r}, encoding="utf-8").read()
module = types.ModuleType("applied")
exec(compile(source, "applied", "exec"), module.__dict__)
for held in (here.lora(), here.replaced({{"a", "b", "c", here.patch}}), here.replaced(here.patch(1)), here.module(1)):
    print(module.applied(here.Patcher(**held), None, None)["model applied"])
"""


def test_it_is_told_the_same_in_every_process(pack: ModuleType) -> None:
    file = room(pack, "applied").__file__
    code = STABLE.format(root=str(Path(__file__).parents[3]), file=file)
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(set(found.pop().split())) == 4
