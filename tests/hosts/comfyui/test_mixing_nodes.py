"""The nodes that mix, on a small fake of their host."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from docs.make_node_pages import inputs_of
from remix.errors import BadInput, MixError, RecipeError
from remix.mix.comfy_types import blend_latents, mix_conditionings
from remix.motion import load_picture, save_picture
from remix.plan import EASINGS, Keyframe, Recipe, Schedule, plan
from tests.hosts.comfyui.conftest import listed, room

WALK = [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
TRAVEL = {"weights": "travel", "frames": 3, "ease": "linear", "loop": False}


def node(pack: ModuleType, file: str) -> Any:
    return room(pack, file).NODES[0]


def schedule() -> Schedule:
    return plan(Recipe(frames=3, fps=5, keyframes=(Keyframe(prompt="a", cfg=1), Keyframe(prompt="b", cfg=3))))


def conditioning(seed: int) -> list[Any]:
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(1, 77, 768, generator=generator), {"pooled_output": torch.randn(1, 768, generator=generator)}]]


def latent(seed: int) -> dict[str, Any]:
    return {"samples": torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))}


@pytest.mark.parametrize(
    ("weights", "rows"),
    [
        (TRAVEL, WALK),
        ({"weights": "equal"}, [[0.5, 0.5]]),
        ({"weights": "numbers", "numbers": "3, 1"}, [[0.75, 0.25]]),
        ({"weights": "schedule", "schedule": schedule(), "of": "prompt"}, WALK),
    ],
)
def test_weights_are_those_that_were_chosen(pack: ModuleType, weights: dict[str, Any], rows: list[list[float]]) -> None:
    sources = {"conditioning1": conditioning(2), "conditioning0": conditioning(1)}
    widgets = {"how": "slerp", "lengths": "auto", "batch_size": 2}
    (found,) = node(pack, "mix").execute(**listed(conditionings=sources, weights=weights, **widgets)).result
    expected = mix_conditionings([conditioning(1), conditioning(2)], rows, how="slerp", batch=2)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one[0][0], other[0][0])


def blend(pack: ModuleType, latents: dict[str, Any], weights: dict[str, Any], **changed: Any) -> Any:
    widgets = {"how": "lerp", "adain": False, "batch_size": 0, **changed}
    return node(pack, "latents").execute(**listed(latents=latents, weights=weights, **widgets)).result[0]


def test_sockets_are_taken_by_number_and_gaps_do_not_matter(pack: ModuleType) -> None:
    latents = {f"latent{index}": latent(index) for index in (10, 2, 0)}
    found = blend(pack, latents, {"weights": "numbers", "numbers": "0 0 1"})
    assert torch.equal(found[0]["samples"], latent(10)["samples"])


def test_latents_are_blended_as_the_core_does(pack: ModuleType) -> None:
    mask = torch.ones(1, 8, 8)
    sources = {"latent0": latent(1), "latent1": latent(2)}
    found = blend(pack, sources, TRAVEL, how="overlay", adain=True, mask=mask)
    (expected,) = blend_latents([latent(1), latent(2)], WALK, how="overlay", adain=True, mask=mask)
    assert torch.equal(found[0]["samples"], expected["samples"])


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        ({"weights": "none"}, BadInput, "weights: 'none' is not known; choose equal, numbers, travel or schedule"),
        ({"weights": "schedule", "schedule": "x", "of": "prompt"}, BadInput, "schedule: str is not a schedule"),
        ({"weights": "numbers", "numbers": "1"}, RecipeError, "has 1 part"),
    ],
)
def test_weights_that_cannot_be_are_refused(
    pack: ModuleType, weights: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        blend(pack, {"latent0": latent(1), "latent1": latent(2)}, weights)


def test_an_error_names_the_sockets(pack: ModuleType) -> None:
    wide = {"samples": torch.zeros(1, 4, 8, 16)}
    with pytest.raises(MixError, match="latent7: 1x4x8x16 does not match latent2, 1x4x8x8"):
        blend(pack, {"latent2": latent(1), "latent7": wide}, {"weights": "equal"})
    short = [[torch.zeros(1, 77, 640), {}]]
    widgets = {"how": "lerp", "lengths": "auto", "batch_size": 0, "weights": {"weights": "equal"}}
    with pytest.raises(MixError, match=r"conditioning1: .* conditioning0"):
        node(pack, "mix").execute(
            **listed(conditionings={"conditioning0": conditioning(1), "conditioning1": short}, **widgets)
        )


# --- values


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ({"value": "cfg"}, [1, 2, 3]),
        ({"value": "denoise"}, [1, 1, 1]),
        ({"value": "ramp", "start": 0.0, "end": 5.0, "ease": "linear"}, [0, 2.5, 5]),
        ({"value": "share", "of": "prompt", "number": 0, "low": 0.0, "high": 2.0}, [2, 1, 0]),
        ({"value": "expression", "expression": "t*cfg"}, [0, 2, 6]),
    ],
)
def test_values_come_as_they_are_and_whole(pack: ModuleType, value: dict[str, Any], numbers: list[float]) -> None:
    floats, wholes = node(pack, "values").execute(schedule(), value).result
    assert floats == numbers
    assert wholes == [int(number + 0.5) for number in numbers]
    assert {type(number) for number in wholes} == {int}


def test_values_that_are_not_known_are_refused(pack: ModuleType) -> None:
    with pytest.raises(BadInput, match="value: 'x' is not known; choose cfg, denoise, ramp, share or expression"):
        node(pack, "values").execute(schedule(), {"value": "x"})
    with pytest.raises(BadInput, match="connect Remix Recipe"):
        node(pack, "values").execute(["x"], {"value": "cfg"})


def test_every_ease_is_offered_by_name(pack: ModuleType) -> None:
    for file in ("values", "mix", "latents"):
        inputs = dict(inputs_of(node(pack, file).define_schema()))
        (ease,) = (socket for name, socket in inputs.items() if name.endswith(".ease"))
        assert ease.options["options"] == list(EASINGS)


# --- films


def film(pack: ModuleType, *images: torch.Tensor, **given: Any) -> Any:
    widgets = {"fps": 0.0, "ping_pong": False, "repeat": 1, **given}
    lists = {name: [value] for name, value in widgets.items()}
    (video,) = node(pack, "film").execute(**lists, images=list(images) if images else None).result
    return video


def shades(*values: float, size: tuple[int, int] = (4, 6)) -> torch.Tensor:
    return torch.stack([torch.full((*size, 3), value) for value in values])


def test_a_film_gives_its_frames_whole_and_one_by_one(pack: ModuleType) -> None:
    video = film(pack, shades(0.0, 0.5), shades(1.0), ping_pong=True, repeat=2, fps=23.976)
    order = [0.0, 0.5, 1.0, 0.5] * 2
    whole = video.get_components()
    assert whole.images[:, 0, 0, 0].tolist() == order
    assert whole.frame_rate == Fraction("23.976")
    assert (video.get_dimensions(), video.get_frame_count()) == ((6, 4), 8)
    assert video.get_duration() == pytest.approx(8 / 23.976)
    written: list[Any] = []
    video.save_to(written, format="mp4")
    assert written[0] == (6, 4, Fraction("23.976"), {"format": "mp4"})
    assert [frame[0, 0, 0].item() for frame in written[1:]] == order


def test_pictures_in_their_own_order_are_not_copied(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    images = shades(0.0, 1.0)
    video = film(pack, images)
    assert video.get_components().images is images
    # The host's encoder, and anything that replaces it, gets the tensor itself.
    given: list[Any] = []
    encoder = vars(sys.modules["comfy_api.latest"])["InputImpl"].VideoFromComponents
    monkeypatch.setattr(encoder, "save_to", lambda self, path, **settings: given.append(self.components.images))
    video.save_to("film.mp4")
    assert given[0] is images


def test_the_pace_is_the_one_that_is_said(pack: ModuleType) -> None:
    assert film(pack, shades(0.0)).get_frame_rate() == 12
    assert film(pack, shades(0.0), schedule=schedule()).get_frame_rate() == 5
    assert film(pack, shades(0.0), schedule=schedule(), fps=8.0).get_frame_rate() == 8


def test_a_film_has_the_in_betweens_of_its_recipe(pack: ModuleType) -> None:
    pytest.importorskip("cv2")
    smooth = plan(schedule().recipe.replace(between=1))
    for fps, rate in ((0.0, 10), (8.0, 16)):
        video = film(pack, shades(0.0, 0.4), shades(0.8), schedule=smooth, fps=fps)
        assert video.get_frame_rate() == rate
        assert video.get_frame_count() == 5
        assert video.get_components().images[:, 0, 0, 0].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8], abs=0.01)
    there_and_back = film(pack, shades(0.0, 0.4, 0.8), schedule=smooth, ping_pong=True)
    assert there_and_back.get_components().images[:, 0, 0, 0].tolist() == pytest.approx(
        [0, 0.2, 0.4, 0.6, 0.8, 0.6, 0.4, 0.2], abs=0.01
    )


def test_the_frames_of_a_job_are_read_when_they_are_wanted(pack: ModuleType, tmp_path: Path) -> None:
    paths = []
    for index in range(3):
        picture = np.full((4, 6, 3), index * 100, dtype=np.uint8)
        paths.append(save_picture(tmp_path / f"{index}.png", picture))
    inputs = room(pack, "inputs")
    video = film(pack, job=inputs.Rendered(tmp_path, schedule(), tuple(paths)), ping_pong=True)
    assert video.get_frame_rate() == 5
    paths[2].unlink()
    save_picture(paths[2], np.full((4, 6, 3), 250, dtype=np.uint8))
    assert (video.get_components().images[:, 0, 0, 0] * 255).round().tolist() == [0, 100, 250, 100]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ((), "images, job: neither is connected; connect one of them"),
        ((shades(0.0), shades(0.0, size=(8, 6))), "images: sizes 6x4 and 6x8; give frames of one size"),
        ((shades(0.0)[:0],), "images: there are none; give at least one"),
    ],
)
def test_a_film_of_nothing_or_of_two_sizes_is_refused(
    pack: ModuleType, images: tuple[torch.Tensor, ...], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        film(pack, *images)


@pytest.mark.parametrize("name", ["fps", "ping_pong", "repeat", "job", "schedule", "audio"])
def test_a_list_where_a_film_takes_one_is_refused(pack: ModuleType, name: str) -> None:
    """Otherwise the host would silently take only the first of them."""
    lists: dict[str, Any] = {"fps": [0.0], "ping_pong": [False], "repeat": [1], "images": [shades(0.0)]}
    if name == "job":
        del lists["images"]
    with pytest.raises(BadInput, match=f"{name}: 2 of them came as a list; this input takes one"):
        node(pack, "film").execute(**{**lists, name: lists.get(name, [schedule()]) * 2})


def test_a_part_of_a_film_is_cut_by_the_host(pack: ModuleType) -> None:
    video = film(pack, shades(0.0, 0.5, 1.0), fps=1.0)
    assert video.as_trimmed(0.0, 9.0, strict_duration=True) is None
    assert video.as_trimmed(1.0).args == ("film",)


def test_the_encoder_gets_a_tensor_that_reads_one_frame_at_a_time(pack: ModuleType, tmp_path: Path) -> None:
    film = room(pack, "film")
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        save_picture(path, np.full((8, 8, 3), 50 * number, np.uint8))
    frames = film.Frames(paths, [0, 1, 2, 3, 2])
    images = film.FrameTensor(frames)
    loaded: list[Path] = []
    film.load_picture = lambda path: (loaded.append(path), load_picture(path))[1]
    assert isinstance(images, torch.Tensor)
    assert (images.shape, images.dtype, len(images)) == ((5, 8, 8, 3), torch.float32, 5)
    assert [round(float(frame.mean()) * 255) for frame in images] == [0, 50, 100, 150, 100]
    assert torch.equal(images[1], images[-4])
    assert len(loaded) == 7
    assert torch.equal(images * 2, frames.whole() * 2)
    assert torch.equal(images[1:3], frames.whole()[1:3])
