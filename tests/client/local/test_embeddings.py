"""Embeddings (textual inversions) in prompts of the local engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from remix.client import Local
from remix.client.local.encoded import Encoded
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
    with pytest.raises(Unsupported, match=r"prompt: there is no fog.safetensors in the folder"):
        engine.check(film(models["sd1"], "a cat, embedding:fog"))
    (tmp_path / "fog.pt").write_bytes(b"pickle")
    with pytest.raises(Unsupported, match="save it as safetensors"):
        engine.check(film(models["sd1"], "a cat, embedding:fog"))
    save_file({"emb_params": torch.zeros(2, 48)}, tmp_path / "narrow.safetensors")
    with pytest.raises(Unsupported, match="'narrow' has no vectors of the width 64"):
        list(engine.render(film(models["sd1"], "narrow"), [0], {}, lambda event: None))
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(Unsupported, match="no readable safetensors file"):
        list(engine.render(film(models["sd1"], "broken"), [0], {}, lambda event: None))
    with pytest.raises(Unsupported, match="embeddings: there is no folder"):
        Local(embeddings=str(tmp_path / "none")).check(film(models["sd1"], "a cat"))
