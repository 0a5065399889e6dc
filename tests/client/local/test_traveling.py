"""LoRAs whose strength travels: what merging them would give, frame by frame, whatever the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from remix.client.local import Local
from remix.client.local.devices import Place
from remix.client.local.models import open_model
from remix.client.local.traveling import divided
from remix.errors import Unsupported
from remix.plan import Keyframe, Lora, Model, Recipe, plan
from tests.client.local import tiny
from tests.client.local.films import TOLERANCE, largest_difference, pictures, travel
from tests.client.local.lora_files import kohya, load, peft, write

LONG = "a red circle and " * 20
"""More than one chunk of tokens."""


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion(tmp_path_factory.mktemp("sd1")))


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion_xl(tmp_path_factory.mktemp("sdxl")))


@pytest.fixture(scope="module")
def style(sd1: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A LoRA that changes layers of every kind, in the U-Net and in the text encoder."""
    return write(tmp_path_factory.mktemp("lora") / "style.safetensors", load(sd1), kohya, 1.0).name


@pytest.fixture(scope="module")
def painting(style: str) -> str:
    """The same without what it does to the text encoder."""
    file = Path(style).with_name("painting.safetensors")
    save_file({name: value for name, value in load_file(style).items() if name.startswith("lora_unet")}, file)
    return str(file)


def film(folder: str, *strengths: dict[str, Any], prompts: tuple[str, str] = ("a red circle", LONG)) -> Recipe:
    """Six frames from the first strengths to the last."""
    keyframes = [Keyframe(at=5 * k, seed=k, cfg=4, loras=own) for k, own in enumerate(strengths)]
    first, last = (Keyframe(at=at, prompt=text, negative="blue") for at, text in zip((1, 4), prompts, strict=True))
    return travel(folder, keyframes=(*keyframes, first, last))


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_travelling_lora_does_what_a_merged_one_does(
    family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(family)
    naming = {"sd1": kohya, "sdxl": peft}[family]
    name = write(tmp_path / "style.safetensors", load(folder), naming, 1.0).name
    recipe = film(folder, {name: 0.4}, {name: -0.3})
    made = pictures(recipe, batch=3)
    for index, frame in enumerate(plan(recipe)):
        strength = frame.loras[0].strength
        merged = film(folder, {name: strength}, {name: strength})
        assert divided(plan(merged)) == (Model(folder, loras=(Lora(name, strength),)), ())
        assert largest_difference(pictures(merged, [index], batch=3)[0], made[index]) <= TOLERANCE
    plain = pictures(film(folder, {name: 0}, {name: 0}), batch=3)
    assert min(largest_difference(made[index], plain[index]) for index in (0, 5)) > 8


@pytest.mark.parametrize("last", [(0.4, 0.1), (-0.3, 0.5)], ids=["constant", "traveling"])
def test_the_text_encoder_may_have_a_strength_of_its_own(
    last: tuple[float, float], sd1: str, style: str, painting: str
) -> None:
    ends = (0.4, 0.1), last
    made = pictures(film(sd1, *({style: {"strength": unet, "text": text}} for unet, text in ends)), batch=3)
    summed = film(sd1, *({painting: unet - text, style: text} for unet, text in ends))
    assert largest_difference(made, pictures(summed, batch=3)) <= TOLERANCE
    assert largest_difference(made, pictures(film(sd1, *({style: unet} for unet, _ in ends)), batch=3)) > 8


@pytest.mark.parametrize("lengths", ["tile", "empty"])
def test_frame_i_of_a_batch_is_frame_i_alone(lengths: str, sd1: str, style: str, painting: str) -> None:
    recipe = film(sd1, {style: 0.5, painting: 0}, {style: -0.25, painting: 0.5}).replace(lengths=lengths)
    alone = pictures(recipe, batch=1)
    assert largest_difference(alone, pictures(recipe, batch=4)) <= TOLERANCE


def test_frames_of_strength_0_are_those_without_it(sd1: str, style: str) -> None:
    recipe = film(sd1, {style: 0}, {style: 1})
    without = travel(
        sd1, keyframes=tuple(Keyframe(k.at, k.prompt, k.negative, k.seed, k.cfg) for k in recipe.keyframes)
    )
    assert np.array_equal(pictures(recipe, batch=4)[0], pictures(without, batch=4)[0])
    assert largest_difference(pictures(recipe)[5], pictures(without)[5]) > 8


def test_opposite_strengths_of_two_equal_loras_cancel(sd1: str, style: str, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(Path(style).read_bytes())
    gone = pictures(film(sd1, {style: 0.5, str(other): -0.5}, {style: -0.2, str(other): 0.2}))
    assert largest_difference(gone, pictures(film(sd1, {style: 0}, {style: 0}))) <= TOLERANCE


def test_merged_and_traveling_loras_add_up(sd1: str, style: str, painting: str) -> None:
    both = film(sd1, {style: 0.5}, {style: 0.1}).replace(model=Model(sd1, loras=(Lora(painting, 0.5),)))
    alone = film(sd1, {style: 0.5, painting: 0.5}, {style: 0.1, painting: 0.5})
    assert np.array_equal(pictures(both), pictures(alone))


def test_what_keyframes_name_is_theirs_alone(sd1: str, tmp_path: Path) -> None:
    a, b, c, d = (str(tmp_path / name) for name in "abcd")
    for name in (a, b, c, d):
        Path(f"{name}.safetensors").touch()
    model = Model(sd1, loras=(Lora(a, 3), Lora(b, 2), Lora(f"{c}.safetensors", 1)))
    recipe = film(sd1, {b: 0.5, d: 1, c: 0}, {b: 0.5, d: -1, c: 1}).replace(model=model)
    assert divided(plan(recipe)) == (Model(sd1, loras=(Lora(a, 3), Lora(b, 0.5))), (c, d))


def test_a_file_that_is_spelled_in_two_ways_counts_once(sd1: str, style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(style).parent)
    alike = film(sd1, {style: 0}, {style: 0.5}).replace(model=Model(sd1, loras=(Lora(style, 1),)))
    for spelled in (style.removesuffix(".safetensors"), "style", f"../{Path(style).parent.name}/style.safetensors"):
        recipe = alike.replace(model=Model(sd1, loras=(Lora(spelled, 1),)))
        assert np.array_equal(pictures(recipe, [0, 5]), pictures(alike, [0, 5]))
        files = Local().identity(plan(recipe))
        assert files == Local().identity(plan(alike))
        assert "lora 2" not in files
    with pytest.raises(Unsupported, match=r"loras: '.*style.safetensors' and 'style' are one file; call it alike in"):
        Local(device="cpu").check(plan(film(sd1, {style: 0}, {"style": 1})))


def test_prompts_are_encoded_once_for_each_strength_and_only_where_the_text_is_changed(
    sd1: str, style: str, painting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remix.client.local.stable_diffusion import StableDiffusion

    encoded: list[str] = []
    encode = StableDiffusion.encode

    def counted(self: StableDiffusion, prompt: str, *more: Any) -> Any:
        encoded.append(prompt)
        return encode(self, prompt, *more)

    monkeypatch.setattr(StableDiffusion, "encode", counted)
    for name, times in ((painting, 1), (style, 6)):
        pictures(film(sd1, {name: 0}, {name: 1}, prompts=("a fish", "a fish")), batch=4)
        assert sorted(encoded) == ["", *["a fish"] * times, *["blue"] * times]
        encoded.clear()


def test_the_next_film_of_an_engine_has_its_own_loras(sd1: str, style: str, painting: str) -> None:
    engine = Local(device="cpu", batch=3)
    films = [film(sd1, {name: 1}, {name: 0}) for name in (style, painting)]
    films.append(film(sd1, {style: 0}, {style: 0}))
    for recipe in films:
        made = np.stack(list(engine.render(plan(recipe), range(6), {}, lambda event: None)))
        assert np.array_equal(made, pictures(recipe, batch=3))


def test_they_move_with_the_layers_that_they_lie_beside(sd1: str, style: str) -> None:
    half = Place(torch.device("cpu"), torch.float16)
    model = open_model(Model(sd1), [style], half)
    before = set(model.parts()["unet"].state_dict())
    for place in (half, half.in_full()):
        model.move(place)
        buffers = [buffer for name, buffer in model.parts()["unet"].named_buffers() if "traveling" in name]
        assert {buffer.dtype for buffer in buffers} == {place.dtype}
    assert before == set(open_model(Model(sd1), [], half).parts()["unet"].state_dict())


def test_it_need_not_be_listed_by_the_model_and_counts_in_the_identity(sd1: str, style: str, painting: str) -> None:
    recipe = film(sd1, {painting: 0}, {painting: 1}).replace(model=Model(sd1, loras=(Lora(style),)))
    files = [Local().identity(plan(recipe))[f"lora {number}"] for number in (1, 2)]
    assert len(set(files)) == 2


def test_one_that_is_not_there_or_does_not_fit_is_refused(sd1: str, sdxl: str, style: str) -> None:
    with pytest.raises(Unsupported, match=r"loras: there is no file 'none'"):
        Local(device="cpu").check(plan(film(sd1, {"none": 0}, {"none": 1})))
    with pytest.raises(Unsupported, match=r"loras: .*style.* does not fit the checkpoint at 'lora_"):
        pictures(film(sdxl, {style: 0}, {style: 1}))
