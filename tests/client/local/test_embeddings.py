"""Embeddings (textual inversions) in prompts of the local engine."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from remix.client import Local
from remix.client.local.embeddings import embedding_files, use_embeddings
from remix.client.local.encoded import Encoded
from remix.client.local.pickled import LARGEST, read_pickled
from remix.errors import Unsupported
from remix.motion import Picture
from remix.plan import Keyframe, Model, Recipe, Schedule, plan
from remix.prompt import Reading
from tests.client.local import tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "sd1": str(tiny.stable_diffusion(folder / "sd1")),
        "sdxl": str(tiny.stable_diffusion_xl(folder / "sdxl")),
    }


def film(checkpoint: str, *prompts: str) -> Schedule:
    keyframes = [Keyframe(prompt=prompt, seed=1) for prompt in prompts]
    return plan(Recipe(frames=len(prompts), keyframes=keyframes, width=64, height=64, steps=1, model=Model(checkpoint)))


def save_words(model: object, path: Path, words: str) -> None:
    """Saves an embedding whose vectors are those of some words, for each text encoder."""
    texts = model.clip_texts  # type: ignore[attr-defined]
    keys = ["emb_params"] if len(texts) == 1 else ["clip_l", "clip_g"]
    rows = [text.encoder.get_input_embeddings().weight[text._ids(words)].detach().clone() for text in texts]
    save_file(dict(zip(keys, rows, strict=True)), path)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
@pytest.mark.parametrize("emphasis", ["comfy", "a1111"])
def test_an_embedding_of_words_gives_what_the_words_give(
    family: str, emphasis: str, models: dict[str, str], tmp_path: Path
) -> None:
    engine = Local(device="cpu", embeddings=str(tmp_path))
    save_words(engine._loaded.model(film(models[family], "a cat")), tmp_path / "Paint.safetensors", "red circle")
    model = engine._loaded.model(film(models[family], "paint"))
    reading = Reading(emphasis, "a1111")
    for written in ("a (embedding:Paint:1.3) square", "a (paint:1.3) square", "a (PAINT.safetensors:1.3) square"):
        found, plain = (model.encode(text, reading, Encoded(9)) for text in (written, "a (red circle:1.3) square"))
        assert torch.allclose(found.tokens, plain.tokens, atol=1e-5)
        assert (found.pooled is None) or torch.allclose(found.pooled, plain.pooled, atol=1e-5)
    assert not torch.allclose(model.encode("a square", reading, Encoded(9)).tokens, plain.tokens)


def test_a_travel_into_an_embedding_renders_and_depends_on_its_file(models: dict[str, str], tmp_path: Path) -> None:
    engine = Local(device="cpu", embeddings=str(tmp_path))
    asked = film(models["sd1"], "a cat", "a paint cat")
    save_words(engine._loaded.model(film(models["sd1"], "a cat")), tmp_path / "paint.safetensors", "red circle")
    engine.check(asked)
    first = engine.identity(asked)
    frames = list(engine.render(asked, [0, 1], {}, lambda event: None))
    save_words(engine._loaded.model(asked), tmp_path / "paint.safetensors", "blue square")
    assert engine.identity(asked) != first
    again = list(engine.render(asked, [0, 1], {}, lambda event: None))
    assert (frames[0] == again[0]).all()
    assert (frames[1] != again[1]).any()
    assert "embedding paint" not in engine.identity(film(models["sd1"], "a cat"))


def test_films_in_turn_keep_their_own_embeddings(models: dict[str, str], tmp_path: Path) -> None:
    def frames(engine: Local, *prompts: str) -> Iterator[Picture]:
        return engine.render(film(models["sd1"], *prompts), [0, 1], {}, lambda event: None)

    engine = Local(device="cpu", batch=1, embeddings=str(tmp_path))
    save_words(engine._loaded.model(film(models["sd1"], "a cat")), tmp_path / "paint.safetensors", "red circle")
    alone = list(frames(engine, "paint", "a paint cat"))
    first = frames(engine, "paint", "a paint cat")
    taken = [next(first)]
    other = list(frames(engine, "a dog", "a house"))
    taken += first
    assert all((mine == theirs).all() for mine, theirs in zip(taken, alone, strict=True))
    again = list(frames(engine, "a dog", "a house"))
    assert all((mine == theirs).all() for mine, theirs in zip(again, other, strict=True))


def test_what_cannot_be_used_is_refused_by_name(models: dict[str, str], tmp_path: Path) -> None:
    engine = Local(device="cpu", embeddings=str(tmp_path))
    with pytest.raises(Unsupported, match=r"prompt: there is no fog.safetensors, .pt or .bin in the folder"):
        engine.check(film(models["sd1"], "a cat, embedding:fog"))
    save_file({"emb_params": torch.zeros(2, 48)}, tmp_path / "narrow.safetensors")
    with pytest.raises(Unsupported, match="'narrow' has no vectors of the width 64"):
        list(engine.render(film(models["sd1"], "narrow"), [0], {}, lambda event: None))
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(Unsupported, match=r"no readable \.safetensors file"):
        list(engine.render(film(models["sd1"], "broken"), [0], {}, lambda event: None))
    with pytest.raises(Unsupported, match="embeddings: there is no folder"):
        Local(embeddings=str(tmp_path / "none")).check(film(models["sd1"], "a cat"))


LAYOUTS: Mapping[str, Callable[[Tensor], Any]] = {
    "paint.pt": lambda rows: {
        **{"string_to_token": {"*": 265}, "string_to_param": {"*": torch.nn.Parameter(rows)}},
        **{"name": "paint", "step": 500, "sd_checkpoint": None, "sd_checkpoint_name": None},
    },
    "deeper/paint.pt": lambda rows: {"string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(rows)})},
    "paint.bin": lambda rows: {"<paint>": rows},
    "list.pt": lambda rows: [{"one": rows[:1].half()}, {"other": rows[1:].half()}, {"wider": torch.ones(2, 7)}],
}
"""A file of A1111, one of the first textual inversions, one of diffusers, and one that ComfyUI reads."""


@pytest.mark.parametrize("file", LAYOUTS)
def test_pickled_embeddings_are_read_in_every_layout(file: str, tmp_path: Path) -> None:
    rows = torch.arange(6.0).reshape(2, 3)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    torch.save(LAYOUTS[file](rows), tmp_path / file)
    ((name, path),) = embedding_files(str(tmp_path)).items()
    text = SimpleNamespace(encoder=SimpleNamespace(config=SimpleNamespace(hidden_size=3)))
    use_embeddings(SimpleNamespace(clip_texts=[text]), {name: path})
    assert name == Path(file).stem
    assert torch.equal(text.embeddings[name], rows)
    save_file({"emb_params": rows}, tmp_path / f"{name}.safetensors")
    assert embedding_files(str(tmp_path)) == {name: tmp_path / f"{name}.safetensors"}


class Program:
    """An object whose pickle runs a program when it is read as usual."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("archive/data/0", bytes(LARGEST + 1))


HOSTILE: Mapping[str, Callable[[Path], object]] = {
    "a program": lambda path: torch.save({"string_to_param": {"*": Program()}}, path),
    "an expanded tensor": lambda path: torch.save({"*": torch.ones(1).expand(LARGEST, 2)}, path),
    "a bomb": _bomb,
    "a bare pickle": lambda path: path.write_bytes(pickle.dumps(Program())),
    "a half": lambda path: (torch.save({"*": torch.ones(2, 3)}, path), path.write_bytes(path.read_bytes()[:300])),
    "a module": lambda path: torch.save(torch.nn.Linear(2, 3), path),
    "numbers": lambda path: torch.save({"string_to_param": [1, {"*": "a"}]}, path),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_of_a_pickled_file_is_executed(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "paint.pt"
    HOSTILE[kind](file)
    text = SimpleNamespace(encoder=SimpleNamespace(config=SimpleNamespace(hidden_size=3)))
    with pytest.raises(Unsupported, match=r"paint\.pt' (is no readable .pt file|has no vectors)"):
        use_embeddings(SimpleNamespace(clip_texts=[text]), {"paint": file})
    assert not (tmp_path / "executed").exists()


def test_earlier_versions_of_pytorch_do_not_read_pickled_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"*": torch.ones(1, 3)}, tmp_path / "paint.pt")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(ValueError, match=r"PyTorch 2\.5\.1.*cannot read it safely; update it to 2\.6"):
        read_pickled(tmp_path / "paint.pt")
