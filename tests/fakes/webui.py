"""A1111's modules as far as the script touches them, in `sys.modules`: its order of calls, on a model of a few lines.

A prompt's conditioning is a table of numbers made of its words, 75 words to a chunk; sampling adds to the noise what
the conditioning says, times cfg. So every mix shows in the pictures, and can be computed by hand.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from remix.prompt.tags import TAG
from tests.fakes.gradio import gradio

WIDTH, CHUNK = 768, 4
Scheduled = namedtuple("Scheduled", ["end_at_step", "cond"])


class Part:
    """A ComposableScheduledPromptConditioning."""

    def __init__(self, schedules: Any, weight: float = 1.0) -> None:
        self.schedules, self.weight = schedules, weight


class Multicond:
    """A MulticondLearnedConditioning."""

    def __init__(self, shape: Any, batch: Any) -> None:
        self.shape, self.batch = shape, batch


class ImageRNG:
    """The host's own noise: seeds drawn one by one, here another stream than the portable one."""

    def __init__(self, shape: Any, seeds: Any, **_: Any) -> None:
        self.shape, self.seeds = tuple(shape), seeds
        self._generators = [torch.Generator().manual_seed(seed + 1000) for seed in seeds]

    def next(self) -> torch.Tensor:
        return torch.stack([torch.randn(self.shape, generator=generator) for generator in self._generators])


class Sampler:
    """A sampler that draws noise at its one step where its name says so; `levels` are those that it walked last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.func = own_noise if name == "DDPM" else no_noise
        self.model_wrap_cfg = SimpleNamespace(forward=lambda x, sigma: x)
        self.model_wrap = SimpleNamespace(sigmas=torch.tensor([0.5, GREATEST]))
        self.levels: list[float] = []

    def get_sigmas(self, p: Any, steps: int) -> torch.Tensor:
        """The levels of so many steps, from 16 on each nine tenths of the one before, and 0."""
        return torch.cat([16 * 0.9 ** torch.arange(steps), torch.zeros(1)])

    def sample_img2img(self, p: Any, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The clean latents with the noise of the first level, after the host's own rule of which that is."""
        total = int(p.steps / min(p.denoising_strength, 0.999))
        levels = self.get_sigmas(p, total)[total - p.steps :]
        self.levels = levels.tolist()
        return x + noise * levels[0] / 40

    def create_noise_sampler(self, x: Any, sigmas: Any, p: Any) -> Any:
        seeds = p.all_seeds[p.iteration * p.batch_size : (p.iteration + 1) * p.batch_size]
        return lambda sigma, sigma_next: torch.stack([torch.full(x.shape[1:], float(seed)) for seed in seeds])


def no_noise(model: Any, x: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """A sampler's function that asks for no noise."""
    return x


def own_noise(model: Any, x: torch.Tensor, sigmas: torch.Tensor, noise_sampler: Any = None) -> torch.Tensor:
    """The function of Forge's DDPM: with no other noise it takes that of the whole process."""
    return x + (torch.randn_like(x) if noise_sampler is None else noise_sampler(1.0, 0.5)) / 100


GREATEST = 100.0
"""The greatest level of the model, above where any schedule here begins."""


class OfTimes:
    """The class of samplers that receive times instead of sigmas; the fake one is not."""


def learned(prompt: str, steps: int) -> list[Scheduled]:
    """A prompt's schedule; `[a:b:0.5]` changes half-way."""
    encoded.append(prompt)
    if prompt.startswith("[") and prompt.endswith(":0.5]"):
        first, last = prompt[1:-5].split(":")
        return [Scheduled(steps // 2, table(first)), Scheduled(steps, table(last))]
    return [Scheduled(steps, table(prompt))]


def table(prompt: str) -> torch.Tensor:
    """A prompt's conditioning: the same number all over, as many rows as its words need."""
    chunks = max(1, -(-len(prompt.split()) // 75))
    return torch.full((CHUNK * chunks, WIDTH), zlib.crc32(prompt.strip().encode()) % 1000 / 1000)


encoded: list[str] = []
"""Every prompt that was encoded, in order."""

calls: list[Any] = []
"""Every processing object that was processed."""


@dataclass
class Processing:
    """A StableDiffusionProcessing, and as much of txt2img as hires fix needs."""

    outpath_samples: str = ""
    prompt: Any = ""
    negative_prompt: Any = ""
    seed: Any = -1
    subseed: Any = -1
    subseed_strength: float = 0.0
    seed_resize_from_h: int = 0
    seed_resize_from_w: int = 0
    styles: list[str] = field(default_factory=list)
    steps: int = 4
    cfg_scale: float = 7.0
    width: int = 64
    height: int = 64
    batch_size: int = 1
    n_iter: int = 1
    sampler_name: str = "Euler"
    scheduler: Any = "Automatic"
    denoising_strength: Any = None
    refiner_checkpoint: Any = None
    refiner_switch_at: Any = None
    override_settings: dict[str, Any] = field(default_factory=dict)
    override_settings_restore_afterwards: bool = True
    extra_generation_params: dict[str, Any] = field(default_factory=dict)
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    enable_hr: bool = False
    firstpass_image: Any = None
    hr_prompt: Any = ""
    hr_negative_prompt: Any = ""
    hr_scale: float = 2.0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    rng: Any = field(default=None, init=False)
    sampler: Any = field(default=None, init=False)
    image_mask: Any = field(default=None, init=False)
    is_hr_pass: bool = field(default=False, init=False)
    hr_c: Any = field(default=None, init=False)
    scripts: Any = field(default=None, init=False)
    script_args: Any = field(default=(), init=False)
    comments: dict[str, int] = field(default_factory=dict, init=False)
    is_api: bool = field(default=True, init=False)

    def comment(self, text: str) -> None:
        self.comments[text] = 1

    def setup_prompts(self) -> None:
        style = " " + " ".join(self.styles) if self.styles else ""
        for name in ("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt"):
            own = getattr(self, name)
            if name.startswith("hr_") and own == "":
                own = getattr(self, name[3:])
                setattr(self, name, own)
            every = own if isinstance(own, list) else [own] * self.batch_size
            setattr(self, f"all_{name}s", [text + style for text in every])

    def init(self, prompts: Any, seeds: Any, subseeds: Any) -> None:
        self.sampler = Sampler(self.sampler_name)

    def parse_extra_network_prompts(self) -> None:
        self.extra_network_data = parse_prompt(self.prompts[0])[1]
        self.prompts = [parse_prompt(prompt)[0] for prompt in self.prompts]

    def setup_conds(self) -> None:
        self.c = Multicond((len(self.prompts),), [self._parts(prompt) for prompt in self.prompts])
        self.uc = [learned(prompt, self.steps) for prompt in self.negative_prompts]
        self.hr_c = None

    def calculate_hr_conds(self) -> None:
        self.hr_c = Multicond((len(self.hr_prompts),), [self._parts(prompt) for prompt in self.hr_prompts])
        self.hr_uc = [learned(prompt, self.steps) for prompt in self.hr_negative_prompts]

    def _parts(self, prompt: str) -> list[Part]:
        return [Part(learned(part.strip(), self.steps)) for part in prompt.split(" AND ")]

    def sample(self, conditioning: Any, unconditional_conditioning: Any, **_: Any) -> torch.Tensor:
        latents = self._painted(self.rng.next(), conditioning, unconditional_conditioning)
        if self.enable_hr:
            self.is_hr_pass = True
            self.rng = ImageRNG((4, self.hr_resize_y // 8 or 16, self.hr_resize_x // 8 or 16), self.seeds)
            self.hr_prompts = self.all_hr_prompts[: self.batch_size]
            self.hr_negative_prompts = self.all_hr_negative_prompts[: self.batch_size]
            self.calculate_hr_conds()
            latents = self._painted(self.rng.next(), self.hr_c, self.hr_uc)
        return latents

    def _painted(self, noise: torch.Tensor, c: Any, uc: Any) -> torch.Tensor:
        if "SDE" in self.sampler_name:
            noise = noise + self.sampler.create_noise_sampler(noise, torch.ones(2), self)(1.0, 0.5) / 100
        noise = self.sampler.func(None, noise, torch.ones(2))
        wanted = torch.stack([sum(part.weight * part.schedules[-1].cond.mean() for part in parts) for parts in c.batch])
        unwanted = torch.stack([steps[-1].cond.mean() for steps in uc])
        noise = noise + SHIFT * (host_opts().CLIP_stop_at_last_layers - 1) + loaded().shift
        return noise / 8 + (self.cfg_scale * (wanted - unwanted) / 10).view(-1, 1, 1, 1)


class TextEncoder:
    """A text encoder with the methods that the script replaces. `learned` makes conditionings without it."""

    def tokenize_line(self, line: str) -> Any:
        raise NotImplementedError

    def process_tokens(self, tokens: Any, weights: Any) -> Any:
        raise NotImplementedError


class Img2Img(Processing):
    """A StableDiffusionProcessingImg2Img."""

    init_images: Any = ()
    resize_mode: int = 0
    denoising_strength: Any = 0.75

    def init(self, prompts: Any, seeds: Any, subseeds: Any) -> None:
        super().init(prompts, seeds, subseeds)
        assert len(self.init_images) == self.batch_size
        means = [np.asarray(image.convert("RGB")).mean() / 255 for image in self.init_images]
        jitter = torch.randn(len(means), 1, 1, 1) / 50  # what a VAE's encoder draws without a seed
        self.init_latent = (
            torch.tensor(means).view(-1, 1, 1, 1) * torch.ones(1, 4, self.height // 8, self.width // 8) + jitter
        )
        self.image_conditioning = torch.zeros(len(means), 5, 1, 1)

    def sample(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        found = self.sampler.sample_img2img(self, self.init_latent, super().sample(*args, **kwargs))
        return self.sampler.model_wrap_cfg.forward(found, torch.zeros(len(found)))


def parse_prompt(prompt: str) -> tuple[str, dict[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for tag in TAG.finditer(prompt):
        found.setdefault(tag[1], []).append(tag[2])
    return TAG.sub("", prompt), found


def host_opts() -> Any:
    return sys.modules["modules.shared"].opts  # type: ignore[attr-defined]


def loaded() -> Any:
    """The checkpoint that is loaded."""
    return sys.modules["modules.shared"].sd_model.sd_checkpoint_info  # type: ignore[attr-defined]


def reload_model_weights() -> None:
    """Loads the checkpoint that the settings name, as the host does before each call."""
    models = sys.modules["modules.sd_models"]
    sys.modules["modules.shared"].sd_model.sd_checkpoint_info = models.select_checkpoint()  # type: ignore[attr-defined]


def process_images(p: Any) -> Any:
    """The host's settings for one call: what a request overrides is written into them, and restored after it."""
    opts = host_opts()
    if p.scripts is not None:
        p.scripts.before_process(p)
    stored = {name: opts.data[name] for name in p.override_settings if name in opts.data}
    try:
        aliases = sys.modules["modules.sd_models"].checkpoint_aliases  # type: ignore[attr-defined]
        if aliases.get(p.override_settings.get("sd_model_checkpoint")) is None:
            p.override_settings.pop("sd_model_checkpoint", None)
            reload_model_weights()
        for name, value in p.override_settings.items():
            opts.set(name, value, is_api=True, run_callbacks=False)
            if name == "sd_model_checkpoint":
                reload_model_weights()
            if name == "sd_vae":
                sys.modules["modules.sd_vae"].reload_vae_weights()  # type: ignore[attr-defined]
        return process_images_inner(p)
    finally:
        if p.override_settings_restore_afterwards:
            for name, value in stored.items():
                setattr(opts, name, value)
                if name == "sd_vae":
                    sys.modules["modules.sd_vae"].reload_vae_weights()  # type: ignore[attr-defined]


def process_images_inner(p: Any) -> Any:
    """The host's loop, in its order."""
    calls.append(p)
    p.setup_prompts()
    p.all_seeds = p.seed if isinstance(p.seed, list) else [p.seed] * len(p.all_prompts)
    p.all_subseeds = p.subseed if isinstance(p.subseed, list) else [p.subseed] * len(p.all_prompts)
    if p.scripts is not None:
        p.scripts.process(p)
    p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
    p.prompts, p.negative_prompts = p.all_prompts[: p.batch_size], p.all_negative_prompts[: p.batch_size]
    p.seeds, p.subseeds = p.all_seeds[: p.batch_size], p.all_subseeds[: p.batch_size]
    p.iteration = 0
    p.rng = ImageRNG((4, p.height // 8, p.width // 8), p.seeds)
    if p.scripts is not None:
        p.scripts.before_process_batch(p)
    p.parse_extra_network_prompts()
    activated.append(p.extra_network_data)
    p.setup_conds()
    latents = p.sample(conditioning=p.c, unconditional_conditioning=p.uc, seeds=p.seeds, prompts=p.prompts)
    pictures = (torch.sigmoid(latents[:, :3]) * 255).to(torch.uint8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    images = [Image.fromarray(picture.permute(1, 2, 0).numpy()) for picture in pictures]
    if on_call:
        on_call[0](p)
    texts = [
        f"{prompt}\nSteps: {p.steps}, Sampler: {p.sampler_name}, Seed: {seed}"
        for prompt, seed in zip(p.prompts, p.seeds, strict=True)
    ]
    return Processed(p, images, p.all_seeds[0], infotexts=texts)


activated: list[Any] = []
"""The tags of extra networks that each call was made with."""

SHIFT = 0.5
"""How far another Clip skip, or another checkpoint, moves what is sampled."""

vaes: list[Any] = []
"""The setting by which each VAE was loaded."""

on_call: list[Any] = []
"""What is called at the end of each call, if anything."""

started: list[Any] = []
"""What is called once the host's server has started, with its page and its application."""


class Processed:
    """The host's result."""

    def __init__(
        self,
        p: Any,
        images: Any,
        seed: Any = -1,
        info: str = "",
        infotexts: Any = None,
        all_prompts: Any = None,
        all_negative_prompts: Any = None,
        all_seeds: Any = None,
        all_subseeds: Any = None,
    ) -> None:
        self.images, self.seed, self.info, self.infotexts = images, seed, info, infotexts or [info]
        self.all_prompts, self.all_negative_prompts = all_prompts or [""], all_negative_prompts or [""]
        self.all_seeds, self.all_subseeds = all_seeds or [seed], all_subseeds or [-1]
        self.index_of_first_image = 0
        self.extra_generation_params = p.extra_generation_params


class Script:
    """The base of scripts."""

    args_from = args_to = 0

    def elem_id(self, name: str) -> str:
        return f"script_{name}"


class HTTPException(Exception):
    """fastapi's."""

    def __init__(self, status_code: int, detail: str) -> None:
        super().__init__(detail)
        self.status_code, self.detail = status_code, detail


class Runner:
    """A ScriptRunner with scripts that are always on: one that fails is left out, and the host continues."""

    def __init__(self, scripts: Any, always_on: Any) -> None:
        self.scripts, self.alwayson_scripts = scripts, always_on

    def ordered_scripts(self, hook: str) -> list[Any]:
        return [script for script in self.alwayson_scripts if hasattr(script, hook)]

    def before_process(self, p: Any) -> None:
        self._call("before_process", p)

    def process(self, p: Any) -> None:
        self._call("process", p)

    def before_process_batch(self, p: Any) -> None:
        self._call("before_process_batch", p)

    def _call(self, hook: str, p: Any) -> None:
        for script in self.ordered_scripts(hook):
            try:
                getattr(script, hook)(p, *p.script_args[script.args_from : script.args_to])
            except Exception as error:  # noqa: BLE001 - whatever it is, as the host does
                reported.append(error)


reported: list[Exception] = []
"""What failed in scripts, and was reported on the console alone."""


class Label:
    """An OptionInfo: a setting's default, and where the page shows it."""

    do_not_save = False
    onchange = None

    def __init__(self, default: Any, section: str = "sd") -> None:
        self.default, self.section = default, (section, section.title())


class Options:
    """The host's settings: what was ever set is in `data`, which is saved whole."""

    def __init__(self, labels: dict[str, Label], data: dict[str, Any]) -> None:
        vars(self).update(data_labels=labels, data=data)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.data_labels:
            self.data[name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name in self.data:
            return self.data[name]
        if name in self.data_labels:
            return self.data_labels[name].default
        raise AttributeError(name)

    def set(self, name: str, value: Any, is_api: bool = False, run_callbacks: bool = True) -> bool:
        if self.data.get(name) == value:
            return False
        self.data_labels[name]  # KeyError: the host answers 500
        setattr(self, name, value)
        return True

    def save(self, filename: Any) -> None:
        Path(filename).write_text(json.dumps(self.data, indent=4), encoding="utf-8")


def fake_options(base: Path) -> Options:
    """The settings that the tests change, as they are on a new host."""
    labels = {
        "CLIP_stop_at_last_layers": Label(1),
        "randn_source": Label("GPU"),
        "eta_ddim": Label(0.0, "sampler-params"),
        "sd_model_checkpoint": Label(None),
        "sd_vae": Label("Automatic"),
        "samples_format": Label("png", "saving-images"),
        "img2img_background_color": Label("#ffffff"),
        "outdir_samples": Label("", "saving-paths"),
        "outdir_txt2img_samples": Label(str(base / "out"), "saving-paths"),
        "outdir_img2img_samples": Label(str(base / "out"), "saving-paths"),
    }
    return Options(labels, {"sd_model_checkpoint": "model"})


def checkpoint(base: Path, name: str, shift: float) -> Any:
    """A checkpoint with its file in `base`; `shift` is how far it moves what is sampled."""
    file = base / f"{name}.safetensors"
    write_checkpoint(file, name, "model.diffusion_model.input_blocks.0.0.weight")
    return SimpleNamespace(name=file.name, title=name, filename=str(file), shift=shift, name_for_extra=file.stem)


def write_checkpoint(file: Path, name: str, weight: str) -> None:
    """Writes a checkpoint of its own content that has one weight, of no number."""
    about = {"__metadata__": {"name": name}, weight: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}
    header = json.dumps(about).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header)


def fake_modules(base: Path) -> dict[str, Any]:
    """The host's modules by their names; its checkpoints and its pictures are in `base`."""
    infos = {name: checkpoint(base, name, shift) for name, shift in (("model", 0.0), ("second", SHIFT))}
    opts = fake_options(base)
    state = SimpleNamespace(interrupted=False, skipped=False, stopping_generation=False, job_count=-1, textinfo=None)
    labels = ["PLMS", "Euler", "Euler a", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ SDE", "DDIM", "DPM adaptive"]
    vae_files = {"fine.pt": str(base / "model.safetensors")}
    return {
        "scripts": SimpleNamespace(Script=Script),
        "script_callbacks": SimpleNamespace(on_app_started=started.append),
        "shared": SimpleNamespace(
            opts=opts,
            state=state,
            demo=None,
            device="cpu",
            cmd_opts=SimpleNamespace(embeddings_dir=str(base / "embeddings")),
            sd_model=SimpleNamespace(sd_checkpoint_info=infos["model"], is_sd1=True, modules=lambda: [TextEncoder()]),
            prompt_styles=SimpleNamespace(styles={}),
        ),
        "ui_tempdir": SimpleNamespace(register_tmp_file=lambda demo, path: None),
        "devices": SimpleNamespace(torch_gc=lambda: None),
        "processing": SimpleNamespace(process_images=process_images, Processed=Processed),
        "rng": SimpleNamespace(ImageRNG=ImageRNG),
        "extra_networks": SimpleNamespace(parse_prompt=parse_prompt),
        "sd_models": SimpleNamespace(
            checkpoint_aliases=infos,
            checkpoints_list=infos,
            select_checkpoint=lambda: infos.get(opts.sd_model_checkpoint, infos["model"]),
            get_closet_checkpoint_match=infos.get,
        ),
        "sd_samplers": SimpleNamespace(find_sampler_config=lambda name: name if name in labels else None),
        "prompt_parser": SimpleNamespace(),
        "sd_samplers_timesteps": SimpleNamespace(CompVisSampler=OfTimes),
        "sd_schedulers": SimpleNamespace(schedulers_map=dict.fromkeys(["Automatic", "Uniform", "Karras"])),
        "sd_vae": SimpleNamespace(
            vae_dict=vae_files,
            resolve_vae=lambda file: SimpleNamespace(vae=vae_files.get(opts.sd_vae)),
            reload_vae_weights=lambda: vaes.append(opts.sd_vae),
        ),
        "paths": SimpleNamespace(data_path=str(base / "data")),
        "images": SimpleNamespace(
            flatten=lambda image, color: image.convert("RGB"),
            resize_image=lambda mode, image, w, h: image.resize((w, h)),
        ),
    }


@contextmanager
def webui(base: Path) -> Iterator[Any]:
    """Within it the host's modules are importable; yields them by name. What was loaded on them is forgotten after."""
    found = fake_modules(base)
    before = dict(sys.modules)
    package = ModuleType("modules")
    package.__dict__.update(found)
    fastapi = ModuleType("fastapi.exceptions")
    fastapi.HTTPException = HTTPException  # type: ignore[attr-defined]
    sys.modules |= {
        "modules": package,
        "gradio": gradio(),
        "fastapi": ModuleType("fastapi"),
        "fastapi.exceptions": fastapi,
    }
    sys.modules |= {f"modules.{name}": module for name, module in found.items()}
    for kept in (encoded, calls, activated, vaes, on_call, reported, started):
        kept.clear()
    try:
        yield SimpleNamespace(**found)
    finally:
        for name in [
            name for name in sys.modules if name.split(".")[0] in ("modules", "gradio", "fastapi", "a1111_extension")
        ]:
            del sys.modules[name]
        sys.modules |= {name: module for name, module in before.items() if name.split(".")[0] != "a1111_extension"}
