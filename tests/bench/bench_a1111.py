"""What the script adds to a real A1111's own calls: the server's processor time, for the same number of pictures.

Both sides have the same work for the model: as many rows through its text encoder, its U-Net and its decoder, which
is counted. What the model takes for that work is the same but for chance, which on a busy machine is far more than the
limit; so a stopwatch in the server measures it, and what is compared is all the rest as a share of it, request by
request: a machine that is slow for a while is slow for both. Ours writes
each frame aside, flushed and hashed, with its recipe, notes it in a journal, mixes prompts and noise, and makes a
contact sheet; the bare call saves its pictures as A1111 does. Both answer with all pictures over the API. A frame here
costs about half a second, as much as the smallest models cost on a processor and less than anybody's real frame.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bench.race import Race
from tests.real.a1111.conftest import started_host
from tests.real.a1111.host import Host

TABLE = "A1111 script: CPU time compared with a plain request for as many pictures"
FRAMES, BATCH, SIDE, STEPS = 16, 8, 64, 8
ROUNDS = 6
MOST = 1.02


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from started_host(tmp_path_factory, extensions=("stopwatch",))


def fields(seed: int) -> dict[str, Any]:
    """What both requests say; new prompts in each round, so that both encode them."""
    size = {"width": SIDE, "height": SIDE, "steps": STEPS, "sampler_name": "Euler"}
    return {**size, "negative_prompt": f"blurry {seed}", "seed": seed}


def bare(host: Host, seed: int) -> None:
    """One request for as many pictures in as large batches, two prompts encoded, every picture saved."""
    prompt = f"[a red apple {seed}:the sea {seed}:0.99]"
    asked = {"batch_size": BATCH, "n_iter": FRAMES // BATCH, "save_images": True, "do_not_save_grid": True}
    answer = host.post("txt2img", **fields(seed), prompt=prompt, **asked)
    assert len(answer.body["images"]) - answer.info["index_of_first_image"] == FRAMES


def ours(host: Host, seed: int) -> None:
    """The same with prompts that travel."""
    text = f"0: a red apple {seed}\n{FRAMES - 1}: the sea {seed}"
    answer = host.remix({"recipe": text, "frames": FRAMES, "film": "", "batch": BATCH}, **fields(seed))
    assert len(answer.pictures) == FRAMES


def test_the_script_adds_little_to_bare_calls(race: Race, host: Host) -> None:
    models: list[float] = []
    rows: dict[str, set[str]] = {"bare": set(), "ours": set()}
    rest: dict[str, list[float]] = {"bare": [], "ours": []}

    def measured(name: str, call: Callable[[Host, int], None]) -> Callable[[int], None]:
        def once(seed: int) -> None:
            before = host.cpu()
            call(host, seed)
            spent = host.cpu() - before
            model = host.get("/stopwatch")
            taken = sum(seconds for seconds, _ in model.values())
            models.append(taken)
            rest[name].append((spent - taken) / taken)
            rows[name].add(str({part: count for part, (_, count) in sorted(model.items())}))

        return once

    for call in (bare, ours):
        call(host, 99)
    host.get("/stopwatch")
    race.run(measured("ours", ours), {"bare": measured("bare", bare)}, range(ROUNDS))
    assert rows["ours"] == rows["bare"]
    assert len(rows["ours"]) == 1
    theirs, own = (1 + statistics.median(rest[name]) for name in ("bare", "ours"))
    ratio, frame = own / theirs, min(models) / FRAMES
    row = f"{FRAMES} frames of {SIDE}x{SIDE}, {STEPS} steps: {theirs * frame:.2f} s per frame"
    race.show(TABLE, row, CPU_time=f"{ratio:.3f} times", extra_per_frame=f"{(own - theirs) * frame * 1e3:.1f} ms")
    race.show("Summary", "A1111 script", baseline="a plain request", ours=f"{ratio:.3f} times its time")
    assert ratio < MOST
