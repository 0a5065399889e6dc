"""Tags of extra networks in prompts, `<lora:name:0.8>`: their strengths travel with the prompts that contain them.

The host only reads the tags of a batch's first prompt. So tags are removed from the prompts, the strengths of each
frame are computed, and frames with equal strengths are rendered together, with those tags.
"""

from __future__ import annotations

from collections.abc import Sequence

from remix.plan import Frame, Lora, Mix
from remix.prompt.tags import Network, Networks, Strengths, networks_of, without_tags


def networks_of_frame(frame: Frame, always: Sequence[Lora] = ()) -> dict[Network, Strengths]:
    """Returns the networks of a frame: those of its prompts, by their weights, and the recipe's own LoRAs.

    `always` are the LoRAs of the recipe's model; strengths that keyframes set replace theirs.
    """
    total: dict[Network, Strengths] = {}
    for prompt, weight in frame.prompt.items:
        _add(total, networks_of(prompt), weight)
    named = {lora.name: (lora.in_text, lora.strength) for lora in (*always, *frame.loras)}
    _add(total, {Network("lora", name): strengths for name, strengths in named.items()}, 1.0)
    return {network: tuple(round(number, 9) for number in strengths) for network, strengths in total.items()}


def _add(total: dict[Network, Strengths], networks: Networks, weight: float) -> None:
    for network, strengths in networks.items():
        before = total.get(network, (0.0,) * len(strengths))
        total[network] = tuple(a + weight * b for a, b in zip(before, strengths, strict=True))


def written(networks: Networks) -> str:
    """Returns the tags of these networks, without those of zero strength."""
    return "".join(
        f"<{network.kind}:{':'.join([network.name, *map(repr, strengths), *network.rest])}>"
        for network, strengths in networks.items()
        if any(strengths)
    )


def plain(prompts: Mix[str]) -> Mix[str]:
    """Returns a mix of prompts without their tags. Prompts that become equal are merged."""
    return Mix(tuple((without_tags(prompt), weight) for prompt, weight in prompts.items))
