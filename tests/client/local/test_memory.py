"""Memory that runs out and pictures that come out blank, both injected."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from remix.client.local import Local, batch, engine, latent_model, loaded
from remix.client.local.devices import Place, frames_at_once
from remix.engine.memory import is_out_of_memory
from remix.errors import BlankFrame, EngineError, OutOfMemory
from remix.mix import Conditioning
from remix.plan import Keyframe, Recipe, plan
from tests.client.local import tiny
from tests.client.local.films import TOLERANCE, largest_difference, pictures, travel

FULL = (
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("GET was unable to find an engine: Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("unable to mmap 2097152 bytes from file: Cannot allocate memory (12)"),
    MemoryError(),
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.stable_diffusion(tmp_path_factory.mktemp("sd1")))


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames each attempt had."""
    attempts: list[int] = []
    real = batch.render_batch

    def counted(model: Any, schedule: Any, indices: Sequence[int], *rest: Any) -> Any:
        attempts.append(len(indices))
        return real(model, schedule, indices, *rest)

    monkeypatch.setattr(engine, "render_batch", counted)
    return attempts


def memory_for(frames: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the U-Net raise `error` for more than this many frames (guided, so twice as many rows)."""
    from remix.client.local.stable_diffusion import StableDiffusion

    real = StableDiffusion.estimate

    def limited(self: Any, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(x) > 2 * frames:
            raise error
        return real(self, x, *rest)

    monkeypatch.setattr(StableDiffusion, "estimate", limited)


@pytest.mark.parametrize("error", FULL[:4], ids=lambda error: type(error).__name__)
def test_a_batch_that_does_not_fit_is_halved_for_the_rest_of_the_run_and_told(
    error: BaseException,
    checkpoint: str,
    tried: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recipe = travel(checkpoint)
    whole = pictures(recipe, batch=4)
    tried.clear()
    memory_for(1, error, monkeypatch)
    with caplog.at_level(logging.WARNING, "remix.client.local.engine"):
        halved = pictures(recipe, batch=4)
    assert tried == [4, 2, 1, 1, 1, 1, 1, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "cpu: 4 frames at once do not fit; continuing with 2",
        "cpu: 2 frames at once do not fit; continuing with 1",
    ]
    assert largest_difference(whole, halved) <= TOLERANCE


def test_a_resumed_run_with_halved_batches_gives_the_same_bytes(
    checkpoint: str, tried: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = travel(checkpoint, frames=8)
    memory_for(2, FULL[0], monkeypatch)
    whole = pictures(recipe, batch=4)
    tried.clear()
    assert np.array_equal(pictures(recipe, [3, 6], batch=4), whole[[3, 6]])
    assert tried == [4, 2, 2]


def test_when_not_even_one_frame_fits_it_is_said(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_for(0, FULL[0], monkeypatch)
    with pytest.raises(OutOfMemory, match=r"frame 0: not even one frame fits into the memory of cpu; .* smaller"):
        pictures(travel(checkpoint), batch=4)


def test_a_model_that_does_not_fit_is_said(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise FULL[0]

    monkeypatch.setattr(loaded, "open_model", full)
    with pytest.raises(OutOfMemory, match=r"model.checkpoint: .* does not fit into the memory of cpu"):
        pictures(travel(checkpoint))


def test_other_errors_are_no_lack_of_memory(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(map(is_out_of_memory, FULL))
    memory_for(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"), monkeypatch)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        pictures(travel(checkpoint))


@pytest.mark.parametrize(
    ("device", "gigabytes", "size", "frames"),
    [
        ("cpu", 64, (64, 64), 16),
        ("cpu", 64, (128, 128), 16),
        ("cpu", 64, (256, 256), 4),
        ("cpu", 64, (512, 512), 1),
        ("cpu", 64, (1024, 1024), 1),
        ("cuda", 64, (64, 64), 32),
        ("cuda", 64, (512, 512), 8),
        ("cuda", 4, (512, 512), 4),
        ("cuda", 2, (512, 512), 1),
        ("cuda", 1, (512, 512), 1),
    ],
)
def test_how_many_frames_go_together_follows_from_size_and_memory(
    device: str, gigabytes: float, size: tuple[int, int], frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(torch.device(device), torch.float16 if device == "cuda" else torch.float32)
    monkeypatch.setattr(Place, "memory", lambda self: int(gigabytes * 2**30))
    weights = torch.nn.Linear(2**15, 2**15, bias=False, device="meta", dtype=torch.bfloat16)
    assert frames_at_once(place, *size, [weights]) == frames


class TestAVaeThatDoesNotFit:
    """Pictures are decoded and encoded in tiles; nothing is sampled again."""

    inputs: ClassVar = {"a.png": np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)}

    @pytest.fixture
    def recipe(self, checkpoint: str) -> Recipe:
        keyframe = Keyframe(at=0, prompt="a fish", image="a.png", denoise=0.5)
        return travel(checkpoint, frames=2, keyframes=(keyframe,))

    @pytest.fixture(autouse=True)
    def small_tiles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(latent_model, "TILE", 32)

    def memory_for(self, side: int, half: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lets a half of the VAE raise `error` for pictures or latents larger than this."""
        from diffusers.models.autoencoders import vae

        kind = getattr(vae, half)
        real = kind.forward

        def limited(self: Any, x: torch.Tensor, *rest: Any) -> torch.Tensor:
            if x.shape[-1] > side:
                raise error
            return real(self, x, *rest)

        monkeypatch.setattr(kind, "forward", limited)

    @pytest.mark.parametrize(("half", "side"), [("Decoder", 4), ("Encoder", 32)])
    def test_pictures_are_made_in_tiles_and_that_is_told(
        self,
        half: str,
        side: int,
        recipe: Recipe,
        tried: list[int],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        self.memory_for(side, half, FULL[0], monkeypatch)
        with caplog.at_level(logging.WARNING, "remix.client.local"):
            pictures(recipe, inputs=self.inputs, batch=1)
        assert tried == [1, 1]
        assert [record.getMessage() for record in caplog.records] == [
            "cpu: the VAE does not fit whole; continuing in tiles of 32x32, which may show"
        ]

    def test_tiles_are_those_of_diffusers(self, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from diffusers import AutoencoderKL

        model = Local(device="cpu")._loaded.model(plan(travel(checkpoint)))
        stock = AutoencoderKL.from_pretrained(f"{checkpoint}/vae")
        stock.enable_tiling()
        stock.tile_sample_min_size, stock.tile_latent_min_size = 32, 4
        latents = torch.randn(2, 4, 8, 8)
        with torch.inference_mode():
            wanted = (stock.decode(latents / stock.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
        assert not torch.allclose(model.to_pictures(latents), wanted, atol=0.01)
        self.memory_for(4, "Decoder", FULL[0], monkeypatch)
        assert torch.allclose(model.to_pictures(latents), wanted, atol=1e-4)

    def test_where_not_even_tiles_fit_it_is_said(
        self, recipe: Recipe, tried: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.memory_for(2, "Decoder", FULL[0], monkeypatch)
        with pytest.raises(OutOfMemory, match=r"model.vae: not even tiles of 32x32 fit into the memory of cpu; close"):
            pictures(recipe, inputs=self.inputs, batch=2)
        assert tried == [2]

    def test_smaller_pictures_are_made_whole_again(self, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.memory_for(4, "Decoder", FULL[0], monkeypatch)
        model = Local(device="cpu")._loaded.model(plan(travel(checkpoint)))
        small, large = torch.randn(2, 4, 4, 4), torch.randn(2, 4, 8, 8)
        before = model.to_pictures(small)
        assert model.to_pictures(large).shape == (2, 3, 64, 64)
        assert torch.equal(model.to_pictures(small), before)

    def test_other_errors_are_not_tried_again(self, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
        self.memory_for(4, "Decoder", RuntimeError("shapes cannot be multiplied"), monkeypatch)
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            pictures(recipe, inputs=self.inputs)


def test_the_memory_of_this_machine_is_known() -> None:
    assert Place.find("cpu").memory() > 1 << 28


SPOIL = {"nan": (float("nan"), 0.0), "black": (0.0, 0.0), "red": (0.0, torch.eye(3)[0].view(3, 1, 1))}
"""What values are multiplied by, and what is added to them."""


class TestBlankFrames:
    """A latent that is not finite, a picture of one color."""

    @pytest.fixture
    def half(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Half precision on the CPU, as CUDA has it."""
        monkeypatch.setattr(Place, "find", lambda *given: Place(torch.device("cpu"), torch.float16))

    def spoil(self, monkeypatch: pytest.MonkeyPatch, how: str, only: torch.dtype | None = None) -> None:
        from remix.client.local.stable_diffusion import StableDiffusion

        name = {"nan": "estimate", "text": "encode"}.get(how, "to_pictures")
        real = getattr(StableDiffusion, name)

        def spoiled(self: Any, *given: Any) -> Any:
            made = real(self, *given)
            if only is not None and self.place.dtype is not only:
                return made
            return Conditioning(made.tokens * float("nan")) if how == "text" else made * SPOIL[how][0] + SPOIL[how][1]

        monkeypatch.setattr(StableDiffusion, name, spoiled)

    @pytest.mark.parametrize("how", ["nan", "black", "red", "text"])
    def test_in_half_precision_the_frames_are_made_once_more_in_float32(
        self,
        how: str,
        checkpoint: str,
        half: None,
        tried: list[int],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        recipe = travel(checkpoint, frames=4, keyframes=travel(checkpoint).keyframes[:1])
        with monkeypatch.context() as full:
            full.setattr(Place, "find", lambda *given: Place(torch.device("cpu"), torch.float32))
            wanted = pictures(recipe, batch=2)
        tried.clear()
        self.spoil(monkeypatch, how, only=torch.float16)
        with caplog.at_level(logging.WARNING, "remix.client.local.engine"):
            made = pictures(recipe, batch=2)
        assert tried == [2, 2, 2, 2]
        assert "in half precision; frames 0 to 1 again in float32" in caplog.records[0].getMessage()
        # The weights went through half precision once, hence the tolerance.
        assert largest_difference(wanted, made) <= 3

    def test_a_model_that_does_not_fit_in_float32_is_in_half_precision_again(
        self, checkpoint: str, half: None, tried: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.spoil(monkeypatch, "nan", only=torch.float16)
        local, real = Local(batch=2), Place.put

        def put(self: Place, network: Any) -> Any:
            if self.dtype is torch.float32 and type(network).__name__ == "CLIPTextModel":
                raise FULL[0]
            return real(self, network)

        recipe = travel(checkpoint, frames=2, keyframes=travel(checkpoint).keyframes[:1])
        model = local._loaded.model(plan(recipe))
        monkeypatch.setattr(Place, "put", put)
        with pytest.raises(OutOfMemory, match="not even one frame fits"):
            list(local.render(plan(recipe), [0, 1], {}, lambda event: None))
        assert tried == [2, 1]
        assert model.place.dtype is torch.float16
        assert {weight.dtype for part in model.parts().values() for weight in part.parameters()} == {torch.float16}

    @pytest.mark.parametrize("how", ["nan", "black", "red"])
    def test_after_one_retry_it_is_an_error_that_names_the_switch(
        self, how: str, checkpoint: str, half: None, tried: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.spoil(monkeypatch, how)
        with pytest.raises(BlankFrame, match=r'frame 0: .*, in float32 too \(precision "full"\); lower cfg'):
            pictures(travel(checkpoint), batch=2)
        assert tried == [2, 2]

    def test_in_float32_there_is_nothing_to_retry(
        self, checkpoint: str, tried: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.spoil(monkeypatch, "nan")
        with pytest.raises(EngineError, match="not finite"):
            pictures(travel(checkpoint), batch=2)
        assert tried == [2]

    def test_a_given_picture_of_one_colour_is_shown(self, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spoil(monkeypatch, "black")
        keyframe = Keyframe(at=0, image="black.png", denoise=0)
        black = np.zeros((64, 64, 3), np.uint8)
        recipe = travel(checkpoint, frames=1, keyframes=(keyframe,))
        assert np.array_equal(pictures(recipe, inputs={"black.png": black})[0], black)


def test_an_unknown_precision_is_refused(checkpoint: str) -> None:
    from remix.errors import Unsupported

    with pytest.raises(Unsupported, match="precision: 'double' is not known; use one of auto, full"):
        Local(device="cpu", precision="double").check(plan(travel(checkpoint)))


def test_auto_prefers_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from remix.client.local.devices import _best

    for cuda, mps, best in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert _best() == best
