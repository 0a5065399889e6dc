"""Runs scripts of the host that change prompts, such as for wildcards, on one prompt of the film at a time.

Such scripts change `p.all_prompts` before rendering. Some do so picture by picture, others change all of them based on
the first alone. Pictures of a film are mixes of prompts, so each prompt is filled in separately, with its own seed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from remix.errors import Unsupported

TEXTS = ("all_prompts", "all_negative_prompts", "all_hr_prompts", "all_hr_negative_prompts")
"""The lists of a processing object that such a script changes, by which it is detected."""

TAKEN_BACK = (
    *TEXTS,
    *("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt", "main_prompt", "main_negative_prompt"),
    *("seed", "subseed", "all_seeds", "all_subseeds", "batch_size", "n_iter"),
)
"""All attributes that such a script may change; they are restored."""

Fill = Callable[[Any], None]
"""Runs one script on a processing object."""


HOOKS = (
    *("before_process", "process", "before_process_batch", "before_process_init_images", "before_hr"),
    *("after_extra_networks_activate", "process_batch", "process_before_every_sampling", "on_mask_blend"),
    *("post_sample", "postprocess_batch", "postprocess_batch_list", "postprocess_image", "postprocess_maskoverlay"),
    *("postprocess_image_after_composite", "postprocess"),
)
"""The methods by which the hosts call scripts while they render."""


def watched(runner: Any, begin: Callable[[Any], None], refill: Callable[[Any, Fill], None], failed: list[str]) -> Any:
    """Returns a copy of the host's script runner that handles scripts which change prompts separately.

    The copy first calls `begin(p)` and then runs all scripts as usual. If a script changes prompts, its changes are
    undone, and `refill(p, fill)` is called instead, where `fill` runs that script. If a script fails, the host
    continues without it, and a sentence about it is added to `failed`. The host's own runner is not modified.
    """
    copied, noting = copy.copy(runner), _noting(runner, failed)
    for hook in HOOKS:
        if hasattr(noting, hook):
            setattr(copied, hook, getattr(noting, hook))

    def process(p: Any) -> None:
        begin(p)
        for fill in _each(noting):
            before = {name: _kept(getattr(p, name)) for name in TAKEN_BACK if hasattr(p, name)}
            fill(p)
            if any(getattr(p, name) != before[name] for name in TEXTS if name in before):
                for name, value in before.items():
                    setattr(p, name, value)
                refill(p, fill)

    copied.process = process
    return copied


class _Noted:
    """A script of the host that records its errors before the host reports them and continues."""

    def __init__(self, script: Any, failed: list[str]) -> None:
        vars(self).update(script=script, failed=failed)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.script, name)
        return self._noting(name, found) if name in HOOKS else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.script, name, value)

    def _noting(self, hook: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            try:
                return call(*args, **kwargs)
            except Exception as error:
                about = f"{type(error).__name__}: {error}"
                self.failed.append(f"the always-on script {self.script.title()!r} failed in {hook} ({about})")
                raise

        return noted


def _noting(runner: Any, failed: list[str]) -> Any:
    """Returns a copy of a runner whose scripts record their errors."""
    noting = copy.copy(runner)
    noting.alwayson_scripts = [_Noted(script, failed) for script in runner.alwayson_scripts]
    if hasattr(runner, "ordered_scripts"):
        # By the original script, because the host sorts scripts by their classes and keeps the order.
        noting.ordered_scripts = lambda hook: [_Noted(script, failed) for script in runner.ordered_scripts(hook)]
    return noting


def _each(runner: Any) -> Iterator[Fill]:
    """Yields functions that run one script each, in the host's order and with the host's error handling."""
    ordered = getattr(runner, "ordered_scripts", lambda hook: runner.alwayson_scripts)
    for script in ordered("process"):
        alone = copy.copy(runner)
        alone.alwayson_scripts = [script]
        alone.ordered_scripts = lambda hook, script=script: [script]
        yield alone.process


def _kept(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def filled(p: Any, fill: Fill, texts: Mapping[str, str], seed: int) -> dict[str, str]:
    """Returns a script's result for one prompt, its negative prompt and those for hires fix, by their names in TEXTS.

    Raises Unsupported if the script turns one prompt into several.
    """
    alone = copy.copy(p)
    for name, text in texts.items():
        setattr(alone, name, [text])
        setattr(alone, name.removeprefix("all_").removesuffix("s"), text)
    alone.batch_size = alone.n_iter = 1
    alone.seed = alone.subseed = seed
    alone.all_seeds, alone.all_subseeds = [seed], [seed]
    fill(alone)
    made = {name: getattr(alone, name) for name in texts}
    for name, found in made.items():
        if len(found) != 1:
            raise Unsupported(
                f"prompt: an extension made {len(found)} prompts of {texts[name]!r}; turn it off for this run, or "
                "write the prompts out"
            )
    return {name: str(found[0]) for name, found in made.items()}


def every(shown: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Returns the texts of the pictures, followed by the prompts that none shows, so that scripts see all prompts."""
    return [*shown, *(text for text in dict.fromkeys(sources) if text not in shown)]
