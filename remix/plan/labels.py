"""What A1111 and Forge call the samplers and noise schedules of a recipe: the one table, read in both directions.

A recipe has ComfyUI's names. A1111 says a sampler and a schedule in two labels ("DPM++ 2M", "Karras"), and its
"Automatic" means another schedule for each sampler. docs/agreement.md tells how well the pairs agree, measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from remix.errors import Unsupported

AUTOMATIC = "Automatic"

SAMPLERS: Mapping[str, str] = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "ddim": "DDIM",
    "uni_pc": "UniPC",
    "lcm": "LCM",
    "lms": "LMS",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "restart": "Restart",
    "plms": "PLMS",
}
"""A recipe's sampler -> A1111's label. `restart` and `plms` are A1111's alone."""

SCHEDULERS: Mapping[str, str] = {
    "normal": "Uniform",
    "karras": "Karras",
    "exponential": "Exponential",
    "simple": "Simple",
    "sgm_uniform": "SGM Uniform",
    "ddim_uniform": "DDIM",
    "beta": "Beta",
    "kl_optimal": "KL Optimal",
    "align_your_steps": "Align Your Steps",
    "polyexponential": "Polyexponential",
}
"""A recipe's scheduler -> A1111's label. The last two are A1111's alone."""

ALSO_NORMAL = ("normal", "automatic")
"""Other labels, in small letters, that mean `normal`; "Automatic" only where no sampler says otherwise."""

WRITTEN_AS: Mapping[str, str] = {"ddim": "euler"}
"""Samplers that A1111 is told by another's label. ComfyUI's ddim is Euler's method along the schedule that is asked
for, and so is this; A1111's own DDIM reads no schedule, and stops at the least noise level and not at 0."""

OWN_STEPS: Mapping[str, str] = {"ddim": "ddim_uniform", "plms": "ddim_uniform", "uni_pc": "normal"}
"""Samplers for which A1111 reads no schedule -> the scheduler that their own steps are."""

BY_DEFAULT: Mapping[str, str] = {
    "dpmpp_2m": "karras",
    "dpmpp_sde": "karras",
    "dpmpp_2s_ancestral": "karras",
    "dpm_2": "karras",
    "dpm_2_ancestral": "karras",
    "restart": "karras",
    "dpmpp_2m_sde": "exponential",
    "dpmpp_2m_sde_heun": "exponential",
    "dpmpp_3m_sde": "exponential",
    **OWN_STEPS,
}
"""Samplers for which A1111's "Automatic" is another scheduler than `normal`."""


def a1111_labels(sampler: str, scheduler: str) -> tuple[str, str]:
    """The labels with which A1111 and Forge do what a recipe's sampler and scheduler say.

    Unsupported where they cannot: a name that they do not have, or a schedule that the sampler there does not read.

    >>> a1111_labels("dpmpp_2m", "karras"), a1111_labels("ddim", "normal"), a1111_labels("uni_pc", "normal")
    (('DPM++ 2M', 'Karras'), ('Euler', 'Uniform'), ('UniPC', 'Automatic'))
    """
    if sampler not in SAMPLERS:
        raise Unsupported(f"sampler: A1111 does not have {sampler!r}; use one of {', '.join(SAMPLERS)}")
    if scheduler not in SCHEDULERS:
        raise Unsupported(f"scheduler: A1111 does not have {scheduler!r}; use one of {', '.join(SCHEDULERS)}")
    sampler = WRITTEN_AS.get(sampler, sampler)
    own = OWN_STEPS.get(sampler, scheduler)
    if own != scheduler:
        raise Unsupported(
            f"scheduler: {scheduler!r} is not read by A1111's {SAMPLERS[sampler]}, which has steps of its own; "
            f'write "{own}", or use another sampler'
        )
    return SAMPLERS[sampler], AUTOMATIC if sampler in OWN_STEPS else SCHEDULERS[scheduler]


def names_of_labels(sampler: str, scheduler: str | None = None) -> tuple[str, str]:
    """The sampler and scheduler of a recipe that A1111's two labels mean, "Automatic" worked out.

    Unsupported for a label that no recipe has a name for.

    >>> names_of_labels("DPM++ 2M", "Automatic"), names_of_labels("Euler", None)
    (('dpmpp_2m', 'karras'), ('euler', 'normal'))
    """
    name = next((name for name, label in SAMPLERS.items() if _plain(sampler) in (_plain(label), name)), None)
    if name is None:
        raise Unsupported(f"sampler: {sampler!r} has no name in a recipe; use one of {', '.join(SAMPLERS.values())}")
    plain = _plain(scheduler or AUTOMATIC)
    if name in OWN_STEPS or plain == _plain(AUTOMATIC):
        return name, BY_DEFAULT.get(name, "normal")
    if plain in ALSO_NORMAL:
        return name, "normal"
    found = next((own for own, label in SCHEDULERS.items() if plain in (_plain(label), own)), None)
    if found is None:
        raise Unsupported(
            f"scheduler: {scheduler!r} has no name in a recipe; use one of {', '.join(SCHEDULERS.values())}"
        )
    return name, found


def _plain(label: str) -> str:
    return " ".join(label.lower().split())
