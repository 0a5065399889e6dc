"""What the host's scripts make of prompts: one that fills in wildcards is given the film's prompts one at a time.

Such scripts change `p.all_prompts` before anything is rendered, some picture by picture, others all of them from the
first alone. Pictures of a film are mixes of prompts; so each prompt is filled in by itself, with a seed of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from remix.errors import Unsupported

TEXTS = ("all_prompts", "all_negative_prompts", "all_hr_prompts", "all_hr_negative_prompts")
"""The lists of a processing object by whose change a script is known."""

TAKEN_BACK = (
    *TEXTS,
    *("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt", "main_prompt", "main_negative_prompt"),
    *("seed", "subseed", "all_seeds", "all_subseeds", "batch_size", "n_iter"),
)
"""What such a script may have changed beside them."""

Fill = Callable[[Any], None]
"""Lets one script process a processing object."""


HOOKS = (
    *("before_process", "process", "before_process_batch", "before_process_init_images", "before_hr"),
    *("after_extra_networks_activate", "process_batch", "process_before_every_sampling", "on_mask_blend"),
    *("post_sample", "postprocess_batch", "postprocess_batch_list", "postprocess_image", "postprocess_maskoverlay"),
    *("postprocess_image_after_composite", "postprocess"),
)
"""What the hosts call scripts by while they render."""


def watched(runner: Any, begin: Callable[[Any], None], refill: Callable[[Any, Fill], None], failed: list[str]) -> Any:
    """Returns a copy of the host's runner of scripts whose scripts process as ever, but for those that change prompts.

    `begin(p)` is called before them. What one of these did is taken back, and `refill(p, fill)` is called in its
    place, `fill` being that script's own way of processing. The host goes on without a script that fails; a sentence
    about each such is put into `failed`. The host's runner stays as it is.
    """
    told, noting = copy.copy(runner), _noting(runner, failed)
    for hook in HOOKS:
        if hasattr(noting, hook):
            setattr(told, hook, getattr(noting, hook))

    def process(p: Any) -> None:
        begin(p)
        for fill in _each(noting):
            before = {name: _kept(getattr(p, name)) for name in TAKEN_BACK if hasattr(p, name)}
            fill(p)
            if any(getattr(p, name) != before[name] for name in TEXTS if name in before):
                for name, value in before.items():
                    setattr(p, name, value)
                refill(p, fill)

    told.process = process
    return told


class _Noted:
    """A script of the host that notes what fails in it, before the host reports that and goes on."""

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
    """A copy of a runner whose scripts note what fails in them."""
    noting = copy.copy(runner)
    noting.alwayson_scripts = [_Noted(script, failed) for script in runner.alwayson_scripts]
    if hasattr(runner, "ordered_scripts"):
        # By the original, which sorts scripts by their classes, and keeps the order.
        noting.ordered_scripts = lambda hook: [_Noted(script, failed) for script in runner.ordered_scripts(hook)]
    return noting


def _each(runner: Any) -> Iterator[Fill]:
    """The scripts' ways of processing, in the host's order, with the host's care for what fails in them."""
    ordered = getattr(runner, "ordered_scripts", lambda hook: runner.alwayson_scripts)
    for script in ordered("process"):
        alone = copy.copy(runner)
        alone.alwayson_scripts = [script]
        alone.ordered_scripts = lambda hook, script=script: [script]
        yield alone.process


def _kept(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def filled(p: Any, fill: Fill, texts: Mapping[str, str], seed: int) -> dict[str, str]:
    """Returns what a script makes of one prompt, its negative prompt and those for hires fix, by their names in TEXTS.

    Unsupported where it makes several prompts of one.
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
    """Returns what each picture shows, and after that the prompts that none does: scripts see all that there are."""
    return [*shown, *(text for text in dict.fromkeys(sources) if text not in shown)]
