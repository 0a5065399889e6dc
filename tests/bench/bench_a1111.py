"""What the script adds to a real A1111's own calls: the server's processor time, for the same number of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bench.race import Race
from tests.real.a1111.conftest import started_host
from tests.real.a1111.host import Host

TABLE = "A1111: processor time beside a bare call for as many pictures"
FRAMES, SIDE, STEPS = 8, 64, 20
ROUNDS = 6
MOST = 1.02


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from started_host(tmp_path_factory)


def fields(seed: int) -> dict[str, Any]:
    """What both requests say; new prompts in each round, so that both encode them."""
    size = {"width": SIDE, "height": SIDE, "steps": STEPS, "sampler_name": "Euler"}
    return {**size, "negative_prompt": f"blurry {seed}", "seed": seed}


def bare(host: Host, seed: int) -> None:
    """One call with a batch of pictures, two prompts encoded, every picture saved."""
    prompt = f"[a red apple {seed}:the sea {seed}:0.99]"
    answer = host.post("txt2img", **fields(seed), prompt=prompt, batch_size=FRAMES, save_images=True)
    assert answer.info["index_of_first_image"] in (0, 1)


def ours(host: Host, seed: int) -> None:
    """The same with prompts that travel: every frame on the disk for good, hashed and noted, and a contact sheet."""
    text = f"0: a red apple {seed}\n{FRAMES - 1}: the sea {seed}"
    answer = host.remix({"recipe": text, "frames": FRAMES, "film": "", "batch": FRAMES}, **fields(seed))
    assert len(answer.pictures) == FRAMES


def test_the_script_adds_little_to_bare_calls(race: Race, host: Host) -> None:
    spent: dict[str, list[float]] = {"bare": [], "ours": []}

    def measured(name: str, call: Callable[[Host, int], None]) -> Callable[[int], None]:
        def once(seed: int) -> None:
            before = host.cpu()
            call(host, seed)
            spent[name].append(host.cpu() - before)

        return once

    for call in (bare, ours):  # the model is loaded
        call(host, 99)
    race.run(measured("ours", ours), {"bare": measured("bare", bare)}, range(ROUNDS))
    ratio = min(spent["ours"]) / min(spent["bare"])
    race.show(TABLE, f"{FRAMES} frames of {SIDE}x{SIDE}, {STEPS} steps", processor_time=f"{ratio:.3f} times")
    race.show("In short", "A1111, the script", beside="a bare call", ours=f"{ratio:.3f} times its time")
    assert ratio < MOST
