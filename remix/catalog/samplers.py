"""Samplers: their names in each host, and their requirements.

The vocabulary is the union of ComfyUI 0.33, AUTOMATIC1111 1.10.1 and Forge f2.0.1. A sampler has ComfyUI's name, or
A1111's alias for it if ComfyUI lacks it. An engine that lacks a sampler refuses it in its `check`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from remix.catalog.rows import COMFYUI, EVERY_HOST, FORGE, WEBUI, by_label, plain, require
from remix.catalog.schedulers import SCHEDULERS

_COMFYUI_ONLY = frozenset({COMFYUI})
_COMFYUI_FORGE = frozenset({COMFYUI, FORGE})


@dataclass(frozen=True)
class Sampler:
    """A sampler.

    `hosts` support it; `label` is its name in A1111 and Forge. `aliases` are further names, in lower case. `diffusers`
    is the scheduler class of diffusers, `arguments` are its arguments. `like` is the closest relative, suggested if a
    host lacks this one.
    """

    name: str
    hosts: frozenset[str] = EVERY_HOST
    label: str = ""
    aliases: tuple[str, ...] = ()
    diffusers: str = ""
    arguments: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    like: str = ""
    stochastic: bool = False
    """Adds fresh noise at its steps."""
    one_at_a_time: bool = False
    """Chooses its steps based on all pictures of a batch together."""
    skips_least: bool = False
    """ComfyUI drops the lowest noise level above 0, from a schedule that is one step longer."""
    own_for_flows: bool = False
    """Has another formula for flow models."""
    divides_by_signal: bool = False
    """For flow models, divides by the share of the picture, which is 0 at the first level. It starts a little lower."""
    automatic: str = "normal"
    """The scheduler that "Automatic" means in A1111."""
    own_schedule: bool = False
    """A1111 ignores the schedule, and always takes the steps of `automatic`."""
    whole_times: bool = False
    """In A1111, starts only at whole timesteps."""
    starts_elsewhere: bool = False
    """In A1111, starts from a picture at a noise level that differs from the schedule's."""
    own_noise: bool = False
    """A1111 and Forge draw the noise of its steps from another source: a Brownian tree, or the process."""
    rendered_as: str = ""
    """The sampler to request from A1111 instead: it takes the steps of ComfyUI's sampler with this name."""
    calls: int = 1
    """How many calls of the model a step counts for in prompt editing, by A1111's rule."""


def _gpu(name: str) -> Sampler:
    """Returns ComfyUI's variant of a sampler that draws its noise on the GPU."""
    return Sampler(f"{name}_gpu", _COMFYUI_ONLY, like=name, stochastic=True, own_for_flows=True)


_ROWS = (
    Sampler("euler", label="Euler", aliases=("k_euler",), diffusers="EulerDiscreteScheduler"),
    Sampler(
        "euler_ancestral",
        label="Euler a",
        aliases=("k_euler_a", "k_euler_ancestral", "euler ancestral"),
        diffusers="EulerAncestralDiscreteScheduler",
        like="euler",
        stochastic=True,
        own_for_flows=True,
    ),
    Sampler(
        "heun",
        label="Heun",
        aliases=("k_heun",),
        diffusers="HeunDiscreteScheduler",
        like="euler",
        calls=2,
    ),
    Sampler(
        "dpmpp_2m",
        label="DPM++ 2M",
        aliases=("k_dpmpp_2m",),
        diffusers="DPMSolverMultistepScheduler",
        like="euler",
        automatic="karras",
    ),
    Sampler(
        "dpmpp_2m_sde",
        label="DPM++ 2M SDE",
        aliases=("k_dpmpp_2m_sde",),
        diffusers="DPMSolverMultistepScheduler",
        arguments=MappingProxyType({"algorithm_type": "sde-dpmsolver++"}),
        like="euler_ancestral",
        stochastic=True,
        own_for_flows=True,
        divides_by_signal=True,
        automatic="exponential",
        own_noise=True,
    ),
    # ComfyUI's ddim is Euler's method along the requested schedule. A1111's own ignores the schedule, and stops at the
    # lowest noise level instead of 0.
    Sampler(
        "ddim",
        label="DDIM",
        aliases=("ddim_v3",),
        diffusers="DDIMScheduler",
        like="euler",
        automatic="ddim_uniform",
        own_schedule=True,
        rendered_as="euler",
    ),
    Sampler(
        "uni_pc",
        label="UniPC",
        diffusers="UniPCMultistepScheduler",
        arguments=MappingProxyType({"solver_order": 3, "solver_type": "bh1"}),
        like="dpmpp_2m",
        skips_least=True,
        own_schedule=True,
        starts_elsewhere=True,
    ),
    Sampler(
        "lcm",
        label="LCM",
        aliases=("k_lcm",),
        diffusers="LCMScheduler",
        like="euler_ancestral",
        stochastic=True,
        own_for_flows=True,
        starts_elsewhere=True,
    ),
    Sampler("lms", label="LMS", aliases=("k_lms", "klms"), diffusers="LMSDiscreteScheduler", like="dpmpp_2m"),
    Sampler(
        "dpm_2",
        label="DPM2",
        aliases=("k_dpm_2", "kdpm_2"),
        diffusers="KDPM2DiscreteScheduler",
        like="heun",
        skips_least=True,
        automatic="karras",
        calls=2,
    ),
    Sampler(
        "dpm_2_ancestral",
        label="DPM2 a",
        aliases=("k_dpm_2_a", "kdpm_2_a", "dpm2_ancestral"),
        diffusers="KDPM2AncestralDiscreteScheduler",
        like="euler_ancestral",
        stochastic=True,
        own_for_flows=True,
        skips_least=True,
        automatic="karras",
        calls=2,
    ),
    Sampler("dpm_fast", label="DPM fast", aliases=("k_dpm_fast",), like="dpmpp_2m"),
    Sampler("dpm_adaptive", label="DPM adaptive", aliases=("k_dpm_ad",), like="dpmpp_2m", one_at_a_time=True),
    Sampler(
        "dpmpp_2s_ancestral",
        label="DPM++ 2S a",
        aliases=("k_dpmpp_2s_a", "k_dpmpp_2s_ancestral", "dpmpp_2s", "dpmpp_2s_a"),
        like="euler_ancestral",
        stochastic=True,
        own_for_flows=True,
        automatic="karras",
        calls=2,
    ),
    Sampler(
        "dpmpp_sde",
        label="DPM++ SDE",
        aliases=("k_dpmpp_sde",),
        diffusers="DPMSolverSDEScheduler",
        like="dpmpp_2m_sde",
        stochastic=True,
        own_for_flows=True,
        automatic="karras",
        own_noise=True,
        calls=2,
    ),
    Sampler(
        "dpmpp_2m_sde_heun",
        label="DPM++ 2M SDE Heun",
        aliases=("k_dpmpp_2m_sde_heun",),
        diffusers="DPMSolverMultistepScheduler",
        arguments=MappingProxyType({"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"}),
        like="dpmpp_2m_sde",
        stochastic=True,
        own_for_flows=True,
        automatic="exponential",
        own_noise=True,
    ),
    Sampler(
        "dpmpp_3m_sde",
        label="DPM++ 3M SDE",
        like="dpmpp_2m_sde",
        stochastic=True,
        own_for_flows=True,
        automatic="exponential",
        own_noise=True,
    ),
    Sampler("restart", WEBUI, "Restart", like="heun", stochastic=True, automatic="karras", calls=2),
    Sampler(
        "plms",
        WEBUI,
        "PLMS",
        aliases=("pndm",),
        diffusers="PNDMScheduler",
        arguments=MappingProxyType({"skip_prk_steps": True}),
        like="lms",
        automatic="ddim_uniform",
        own_schedule=True,
        whole_times=True,
        starts_elsewhere=True,
    ),
    Sampler(
        "ddim_cfgpp",
        WEBUI,
        "DDIM CFG++",
        like="euler_cfg_pp",
        automatic="ddim_uniform",
        own_schedule=True,
        whole_times=True,
        starts_elsewhere=True,
    ),
    Sampler("heunpp2", _COMFYUI_FORGE, "HeunPP2", like="heun"),
    Sampler("ipndm", _COMFYUI_FORGE, "IPNDM", diffusers="IPNDMScheduler", like="lms"),
    Sampler("ipndm_v", _COMFYUI_FORGE, "IPNDM_V", like="ipndm"),
    Sampler("deis", _COMFYUI_FORGE, "DEIS", diffusers="DEISMultistepScheduler", like="dpmpp_2m"),
    Sampler(
        "ddpm",
        _COMFYUI_FORGE,
        "DDPM",
        diffusers="DDPMScheduler",
        like="euler_ancestral",
        stochastic=True,
        own_noise=True,
    ),
    Sampler("euler_cfg_pp", _COMFYUI_ONLY, like="euler"),
    Sampler("euler_ancestral_cfg_pp", _COMFYUI_ONLY, like="euler_ancestral", stochastic=True),
    Sampler("exp_heun_2_x0", _COMFYUI_ONLY, like="heun", own_for_flows=True),
    Sampler("exp_heun_2_x0_sde", _COMFYUI_ONLY, like="dpmpp_sde", stochastic=True, own_for_flows=True),
    Sampler("dpmpp_2s_ancestral_cfg_pp", _COMFYUI_ONLY, like="dpmpp_2s_ancestral", stochastic=True),
    _gpu("dpmpp_sde"),
    Sampler("dpmpp_2m_cfg_pp", _COMFYUI_ONLY, like="dpmpp_2m"),
    _gpu("dpmpp_2m_sde"),
    _gpu("dpmpp_2m_sde_heun"),
    _gpu("dpmpp_3m_sde"),
    Sampler("res_multistep", _COMFYUI_ONLY, like="dpmpp_2m"),
    Sampler("res_multistep_cfg_pp", _COMFYUI_ONLY, like="dpmpp_2m_cfg_pp"),
    Sampler("res_multistep_ancestral", _COMFYUI_ONLY, like="euler_ancestral", stochastic=True),
    Sampler("res_multistep_ancestral_cfg_pp", _COMFYUI_ONLY, like="euler_ancestral_cfg_pp", stochastic=True),
    Sampler("gradient_estimation", _COMFYUI_ONLY, like="euler"),
    Sampler("gradient_estimation_cfg_pp", _COMFYUI_ONLY, like="euler_cfg_pp"),
    Sampler(
        "er_sde",
        _COMFYUI_ONLY,
        like="dpmpp_2m_sde",
        stochastic=True,
        own_for_flows=True,
        divides_by_signal=True,
    ),
    Sampler("seeds_2", _COMFYUI_ONLY, like="dpmpp_sde", stochastic=True, own_for_flows=True),
    Sampler("seeds_3", _COMFYUI_ONLY, like="dpmpp_sde", stochastic=True, own_for_flows=True),
    Sampler(
        "sa_solver",
        _COMFYUI_ONLY,
        diffusers="SASolverScheduler",
        like="dpmpp_2m_sde",
        stochastic=True,
        own_for_flows=True,
    ),
    Sampler("sa_solver_pece", _COMFYUI_ONLY, like="dpmpp_2m_sde", stochastic=True, own_for_flows=True),
    Sampler(
        "uni_pc_bh2",
        _COMFYUI_ONLY,
        diffusers="UniPCMultistepScheduler",
        arguments=MappingProxyType({"solver_order": 3, "solver_type": "bh2"}),
        like="uni_pc",
        skips_least=True,
    ),
)

SAMPLERS: Mapping[str, Sampler] = MappingProxyType({row.name: row for row in _ROWS})
"""Every sampler that a recipe can name, the widely available ones first."""


_CLASSES = {row.diffusers.lower(): row.name for row in reversed(_ROWS) if row.diffusers}

SAMPLER_LABELS: Mapping[str, str] = MappingProxyType({**_CLASSES, **by_label(_ROWS)})
"""Labels of samplers in A1111, Forge, diffusers and older tools, in lower case, if recipes use another name."""


def sampler_of(label: str) -> tuple[str, str] | None:
    """Returns the sampler of a label, and the scheduler in it, "" if it names none.

    A label is A1111's or Forge's, an older tool's, or the class of a diffusers scheduler.

    >>> sampler_of("DPM++ 2M Karras"), sampler_of("Euler a"), sampler_of("euler_a")
    (('dpmpp_2m', 'karras'), ('euler_ancestral', ''), ('euler_ancestral', ''))
    >>> sampler_of("DPMSolverMultistepScheduler")
    ('dpmpp_2m', '')
    """
    words = plain(label[:60])
    name = SAMPLER_LABELS.get(words) or SAMPLER_LABELS.get(words.replace("_", " "), words)
    if name in SAMPLERS:
        return name, ""
    start, _, last = words.rpartition(" ")
    before = sampler_of(start) if start else None
    return (before[0], last) if before and last in SCHEDULERS else None


def require_sampler(name: str, available: Collection[str], engine: str) -> None:
    """Raises `Unsupported`, with the nearest sampler, if an engine does not have this one."""
    require("sampler", SAMPLERS, name, available, engine)
