"""LoRAs of a recipe in Remix Render, with a stand-in for the host's loader."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from remix.errors import Unsupported
from remix.job import job_folder
from remix.plan import Keyframe, Schedule, plan
from tests.core.plan.recipes import recipe_of_text
from tests.hosts.comfyui.conftest import room
from tests.hosts.comfyui.rendering import Model as Rendered
from tests.hosts.comfyui.rendering import render_node
from tests.hosts.comfyui.stand_ins import Clip, Pictures, Vae, schedule


@pytest.fixture(autouse=True)
def loras(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    render_node(pack, monkeypatch)
    folder = Path(pack.base) / "models" / "loras"
    folder.mkdir()
    for name, parts in {"ink": ["model", "clip"], "grain": ["model"], "voice": []}.items():
        (folder / f"{name}.safetensors").write_text(json.dumps(parts), encoding="utf-8")
    return folder


def engine(pack: ModuleType, model: Any, clip: Any = None, batch_size: int = 4) -> Any:
    return room(pack, "engine").ComfyEngine(
        model, clip or Clip(), Vae(), made_by={}, batch_size=batch_size, on_step=lambda *step: None
    )


def named(name: str) -> Schedule:
    return schedule(settings=f'model = {{loras = [{{name = "{name}"}}]}}')


def film(keyframes: str = "", settings: str = "", frames: int = 4) -> Schedule:
    keys = f'[[keyframes]]\nprompt = "a cat"\nseed = 1\n{keyframes}'
    return plan(recipe_of_text(f"frames = {frames}\nsize = [64, 64]\nsteps = 1\n{settings}\n{keys}"))


TRAVEL = 'loras = {ink = 0}\n[[keyframes]]\nat = 2\nloras = {ink = 1}\n[[keyframes]]\nprompt = "the sea"'


def test_frames_of_equal_strengths_are_sampled_together_by_the_patched_model(pack: ModuleType) -> None:
    asked, model = film(TRAVEL, 'model = {loras = [{name = "grain", strength = 0.25}, {name = "ink"}]}'), Pictures()
    list(engine(pack, model).render(asked, range(4), {}, lambda event: None))
    grain = ("grain.safetensors", 0.25)
    assert [(call["rows"], call["patches"]) for call in model.calls] == [
        (1, [grain]),  # strength 0 is not loaded
        (1, [grain, ("ink.safetensors", 0.5)]),
        (2, [grain, ("ink.safetensors", 1)]),
    ]
    assert model.patches == {}


def test_prompts_are_encoded_with_a_lora_of_the_text_encoder_and_once_without(pack: ModuleType) -> None:
    clip, model = Clip(), Pictures()
    asked = film(TRAVEL.replace("the sea", "a cat"))
    list(engine(pack, model, clip).render(asked, range(4), {}, lambda event: None))
    plain, half = (call["positive"][0][0] for call in model.calls[:2])
    assert torch.allclose(half[:, :1], plain[:, :1] + 0.5)
    assert sorted(clip.encoded) == ["", "", "", "a cat", "a cat", "a cat"]  # at 0, at 1/2 and at 1
    clip.encoded.clear()
    list(engine(pack, Pictures(), clip).render(film("loras = {grain = 1}"), range(4), {}, lambda event: None))
    assert clip.encoded == []  # grain does not change the text encoder, so the cache of the original one is used


def test_only_prompts_of_the_frames_are_encoded_again(pack: ModuleType) -> None:
    clip = Clip()
    list(engine(pack, Pictures(), clip).render(film(TRAVEL), [1], {}, lambda event: None))
    # Frames of a block are computed together: at 0 none, at 1/2 and at 1 those in use.
    assert sorted(clip.encoded) == sorted(["", "a cat", "the sea", *["", "a cat", "the sea"] * 2])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("grian", r"loras: this ComfyUI has no LoRA 'grian'; did you mean 'grain.safetensors'\?"),
        ("voice", "loras: 'voice' has no layer of this model; use a LoRA that was trained on a model of its family"),
        ("a/ink.safetensors", "loras: this ComfyUI has no LoRA 'a/ink.safetensors'"),
    ],
)
def test_a_lora_that_cannot_be_applied_is_refused_before_the_first_frame(
    pack: ModuleType, name: str, sentence: str
) -> None:
    with pytest.raises(Unsupported, match=sentence):
        engine(pack, Pictures()).check(named(name))


def test_two_names_of_a_file_are_refused_only_where_both_would_count(pack: ModuleType) -> None:
    able = engine(pack, Pictures())
    with pytest.raises(Unsupported, match=r"'ink' and 'ink.safetensors' are one file"):
        able.check(film('loras = {"ink" = 0.5, "ink.safetensors" = 1}'))
    model = Pictures()
    both = film('loras = {"ink.safetensors" = 0.5}', 'model = {loras = [{name = "ink"}]}')
    assert able.check(both) == []
    list(engine(pack, model).render(both, range(4), {}, lambda event: None))
    assert [call["patches"] for call in model.calls] == [[("ink.safetensors", 0.5)]]


def test_a_file_is_loaded_once_for_a_film(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    plain = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, **how: read.append(path) or plain(path, **how))
    able = engine(pack, Pictures(), batch_size=1)
    able.check(film(TRAVEL))
    list(able.render(film(TRAVEL), range(4), {}, lambda event: None))
    assert len(read) == 1


def test_the_content_of_a_lora_is_part_of_the_job(pack: ModuleType, loras: Path, tmp_path: Path) -> None:
    able, asked = engine(pack, Pictures()), named("ink")

    def folder() -> Path:
        return job_folder(tmp_path, "film", asked, able.identity(asked))

    before = folder()
    assert folder() == before
    (loras / "ink.safetensors").write_text('["model"]', encoding="utf-8")
    assert folder() != before
    assert able.identity(schedule()).keys() == {"engine"}


def test_a_replaced_lora_renders_the_film_again(pack: ModuleType, monkeypatch: pytest.MonkeyPatch, loras: Path) -> None:
    node = render_node(pack, monkeypatch)
    node.execute(Rendered(), Clip(), Vae(), named("ink"), "remix/film", 8)
    assert node.fingerprint_inputs(filename_prefix="remix/film") == ""
    (loras / "ink.safetensors").write_text('["model"]', encoding="utf-8")
    assert node.fingerprint_inputs(filename_prefix="remix/film") != ""


def test_a_tag_may_have_another_strength_for_the_text_encoder(pack: ModuleType) -> None:
    model = Pictures()
    asked = film(frames=1).recipe.replace(keyframes=[Keyframe(prompt="a cat <lora:ink:0.25:0.75>", seed=1)])
    list(engine(pack, model).render(plan(asked), [0], {}, lambda event: None))
    (call,) = model.calls
    ((plain, _),) = Clip().encode_from_tokens_scheduled(Clip().tokenize("a cat "))
    assert call["patches"] == [("ink.safetensors", 0.75)]
    assert torch.allclose(call["positive"][0][0], plain + 0.25)
