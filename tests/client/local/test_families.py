"""SD2 and SDXL: the pictures of diffusers' own pipelines, and the layers, pads and sizes of ComfyUI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from remix.client.local import Local
from remix.client.local.batch import stacked
from remix.client.local.encoded import Encoded
from remix.client.local.sdxl import SIZES
from remix.errors import MixError, Unsupported
from remix.mix import Conditioning
from remix.plan import Keyframe, Model, plan
from remix.prompt import Reading
from tests.client.local import tiny
from tests.client.local.films import TOLERANCE, largest_difference, pictures, travel

DDIM = {"steps": 5, "sampler": "ddim", "scheduler": "simple"}


@pytest.fixture(scope="module")
def sd2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion(tmp_path_factory.mktemp("sd2"), prediction="v_prediction", second=True))


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion_xl(tmp_path_factory.mktemp("sdxl")))


def stock(kind: str, folder: str, **changes: Any) -> np.ndarray:
    import diffusers

    pipeline = getattr(diffusers, kind).from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    settings: dict[str, Any] = {"num_inference_steps": 5, "guidance_scale": 5.0, "width": 64, "height": 64}
    made = pipeline(
        "a red circle",
        negative_prompt="blue",
        generator=torch.Generator().manual_seed(1),
        output_type="np",
        **{**settings, **changes},
    )
    return (made.images * 255).round().astype(np.uint8)


def one(folder: str, **changes: Any) -> Any:
    return travel(folder, frames=1, keyframes=travel(folder).keyframes[:1], **{**DDIM, **changes})


def loaded(folder: str, **model: Any) -> Any:
    return Local(device="cpu")._loaded.model(plan(one(folder, model=Model(folder, **model))))


def test_an_sd2_picture_is_the_one_that_the_stock_pipeline_makes(sd2: str) -> None:
    assert largest_difference(stock("StableDiffusionPipeline", sd2), pictures(one(sd2))) <= TOLERANCE


@pytest.mark.parametrize("size", [(64, 64), (64, 128)])
def test_an_sdxl_picture_is_the_one_that_the_stock_pipeline_makes(sdxl: str, size: tuple[int, int]) -> None:
    width, height = size
    theirs = stock("StableDiffusionXLPipeline", sdxl, width=width, height=height)
    assert largest_difference(theirs, pictures(one(sdxl, width=width, height=height))) <= TOLERANCE


@pytest.mark.parametrize("family", ["sd2", "sdxl"])
def test_frames_of_a_batch_are_frames_alone(family: str, request: pytest.FixtureRequest) -> None:
    recipe = travel(request.getfixturevalue(family), mix="slerp", sampler="dpmpp_2m_sde")
    alone = pictures(recipe, batch=1)
    assert largest_difference(alone, pictures(recipe, batch=4)) <= TOLERANCE
    assert largest_difference(alone[:-1], alone[1:]) > 8


def test_families_are_told_apart(sd2: str, sdxl: str, tmp_path: Path) -> None:
    first = str(tiny.stable_diffusion(tmp_path))
    assert [loaded(folder).family for folder in (first, sd2, sdxl)] == ["sd1", "sd2", "sdxl"]
    assert loaded("playground").family == "sd1"


def test_clip_skip_counts_from_the_end_and_starts_at_the_layer_that_was_trained_with(sd2: str, sdxl: str) -> None:
    """SD2 and SDXL were trained with the layer before the last: 1 and 2 are the same there, as in ComfyUI."""
    for folder in (sd2, sdxl):
        first, second, third = (
            loaded(folder, clip_skip=skip).encode("a red fish", Reading(), Encoded(8)).tokens for skip in (1, 2, 3)
        )
        assert torch.equal(first, second)
        assert not torch.equal(second, third)


@pytest.mark.parametrize(("family", "most"), [("sd1", 3), ("sd2", 4), ("sdxl", 3)])
def test_more_clip_skip_than_layers_is_refused(
    family: str, most: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = str(tiny.stable_diffusion(tmp_path)) if family == "sd1" else request.getfixturevalue(family)
    loaded(folder, clip_skip=most)
    with pytest.raises(Unsupported, match=f"model.clip_skip: {most + 1} is more .* use 1 to {most}"):
        loaded(folder, clip_skip=most + 1)


def test_sd2_pads_with_the_exclamation_mark_and_sdxl_in_its_second_encoder(sd2: str, sdxl: str) -> None:
    end = tiny.tokenizer().eos_token_id
    texts = [loaded(sd2).text, *loaded(sdxl).texts]
    assert [text._padded((1,))[-1] for text in texts] == [0, end, 0]


def test_the_pooled_vector_of_a_long_prompt_is_its_first_chunks(sdxl: str) -> None:
    model = loaded(sdxl)
    words = "a red circle and " * 20
    rows = [model.encode(prompt, Reading(), Encoded(8)).tokens.shape[1] for prompt in (words, "fish")]
    assert rows[0] > rows[1]
    assert [model.rows(prompt, Reading()) for prompt in (words, "fish")] == rows
    assert torch.allclose(
        model.encode(words, Reading(), Encoded(8)).pooled, model.encode(words + "a dog", Reading(), Encoded(8)).pooled
    )
    assert not torch.allclose(
        model.encode("fish", Reading(), Encoded(8)).pooled, model.encode("a dog", Reading(), Encoded(8)).pooled
    )


def test_sizes_come_from_the_picture_or_else_from_the_conditioning(sdxl: str) -> None:
    model = loaded(sdxl)
    x, fish = torch.zeros(2, 4, 8, 16), model.encode("fish", Reading(), Encoded(8))
    both = Conditioning(fish.tokens.repeat(2, 1, 1), fish.pooled.repeat(2, 1))
    assert model.added(x, both)["time_ids"].tolist() == [[64, 128, 0, 0, 64, 128]] * 2
    labelled = Conditioning(both.tokens, both.pooled, {"width": 512, "crop_h": torch.tensor([1.0, 2.0])})
    assert model.added(x, labelled)["time_ids"].tolist() == [[64, 512, 1, 0, 64, 128], [64, 512, 2, 0, 64, 128]]
    assert set(labelled.extra) <= set(SIZES)


@pytest.mark.parametrize(
    ("file", "key", "value", "message"),
    [
        ("scheduler/scheduler_config.json", "prediction_type", "sample", "predicts sample; use an epsilon or v model"),
        ("vae/config.json", "latent_channels", 8, "takes 4 channels, not 8; inpainting"),
    ],
)
def test_models_for_something_else_are_refused(file: str, key: str, value: Any, message: str, tmp_path: Path) -> None:
    folder = tiny.stable_diffusion(tmp_path)
    config = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps({**config, key: value}), encoding="utf-8")
    if file.startswith("vae"):
        odd = tiny.AutoencoderKL.from_config(json.loads((folder / file).read_text(encoding="utf-8")))
        odd.save_pretrained(folder / "vae")
    with pytest.raises(Unsupported, match=f"model.checkpoint: .* {message}"):
        loaded(str(folder))


class TestStacked:
    """Two conditionings as one batch."""

    def conditioning(self, value: float, rows: int, frames: int = 2, **extra: Any) -> Conditioning:
        return Conditioning(torch.full((frames, rows, 3), float(value)), torch.full((frames, 5), float(value)), extra)

    @pytest.mark.parametrize(("lengths", "rows"), [("tile", 6), ("zero", 3), ("trim", 2), ("empty", 3)])
    def test_unlike_lengths_meet_by_the_policy(self, lengths: str, rows: int) -> None:
        empty = self.conditioning(9, 4, frames=1)
        both = stacked(self.conditioning(1, 2), self.conditioning(2, 3), lengths, empty)
        assert both.tokens.shape == (4, rows, 3)
        assert both.tokens[:, 0, 0].tolist() == [1, 1, 2, 2]
        assert both.pooled is not None
        assert both.pooled[:, 0].tolist() == [1, 1, 2, 2]
        assert both.tokens[0, -1, 0] == {"tile": 1, "zero": 0, "trim": 1, "empty": 9}[lengths]

    def test_keys_become_values_for_each_frame_where_they_differ(self) -> None:
        mask = torch.ones(2, 2, dtype=torch.long)
        first = self.conditioning(1, 2, guidance=3.5, width=64, attention_mask=mask, tag="x")
        second = self.conditioning(2, 3, guidance=1, width=64, attention_mask=torch.ones(2, 3).long(), tag="x")
        extra = stacked(first, second, "zero").extra
        assert extra["guidance"].tolist() == [3.5, 3.5, 1, 1]
        assert (extra["width"], extra["tag"]) == (64, "x")
        assert extra["attention_mask"].tolist() == [[1, 1, 0]] * 2 + [[1, 1, 1]] * 2

    @pytest.mark.parametrize(
        ("first", "second"), [({"guidance": 1}, {}), ({"tag": "x"}, {"tag": "y"}), ({"t": torch.ones(3)}, {"t": 1})]
    )
    def test_what_cannot_stand_side_by_side_is_refused(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        with pytest.raises(MixError, match="prompt and negative"):
            stacked(self.conditioning(1, 2, **first), self.conditioning(1, 2, **second), "tile")


@pytest.mark.parametrize("emphasis", ["comfy", "a1111"])
def test_a_text_encoder_may_have_a_text_of_its_own(sdxl: str, emphasis: str) -> None:
    model = loaded(sdxl)
    reading, width = Reading(emphasis, "a1111"), model.texts[0].encoder.config.hidden_size

    def encoded(prompt: str) -> Conditioning:
        return model.encode(prompt, reading, Encoded(9))

    found = encoded("a red square, TE(g=a (blue:1.2) circle BREAK on grass)")
    first, second, empty = encoded("a red square, "), encoded("a (blue:1.2) circle BREAK on grass"), encoded("")
    both = torch.cat([first.tokens, empty.tokens], dim=1)
    assert torch.equal(found.tokens, torch.cat([both[..., :width], second.tokens[..., width:]], dim=-1))
    assert torch.equal(found.pooled, second.pooled)
    asked = plan(travel(sdxl, frames=1, keyframes=[Keyframe(prompt="TE(t5xxl=a)")]))
    with pytest.raises(Unsupported, match="no text encoder 't5xxl', which TE names; it has l, g"):
        list(Local(device="cpu").render(asked, [0], {}, lambda event: None))
