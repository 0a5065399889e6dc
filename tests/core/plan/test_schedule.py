"""The schedule: exact at keyframes, straight or smooth in between, closed where it loops, the same bytes everywhere."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import EASINGS, Frame, Keyframe, Lora, Mix, Model, Recipe, Schedule, plan
from remix.plan.curves import ease
from remix.plan.schedule import is_quick
from remix.plan.travel import Travel
from tests.core.plan.recipes import recipes

FIELDS = ("prompt", "negative", "seed", "cfg", "denoise", "image", "mask")
MIXES = ("prompt", "negative", "seed", "image", "mask")


def film(frames: int, *keyframes: Keyframe, **fields: Any) -> Schedule:
    return plan(Recipe(frames, keyframes, **fields))


def weights(schedule: Schedule, value: Any, field: str = "prompt") -> list[float]:
    return [dict(getattr(frame, field).items).get(value, 0.0) for frame in schedule]


def test_two_prompts_travel_straight_from_end_to_end() -> None:
    schedule = film(5, Keyframe(prompt="a"), Keyframe(prompt="b"))
    assert [frame.prompt.items for frame in schedule] == [
        (("a", 1.0),),
        (("a", 0.75), ("b", 0.25)),
        (("a", 0.5), ("b", 0.5)),
        (("a", 0.25), ("b", 0.75)),
        (("b", 1.0),),
    ]


@pytest.mark.parametrize("loop", [False, True])
def test_a_schedule_too_large_for_memory_is_refused_before_it_is_made(loop: bool) -> None:
    def keyframe(start: str, letters: int) -> Keyframe:
        return Keyframe(prompt=Mix([(f"{start}{n:02}" + "x" * letters, 1) for n in range(64)]))

    with pytest.raises(RecipeError, match=r"^frames: 100000 frames, each with all .* come to 1\d{11} bytes; keep to"):
        film(100_000, keyframe("a", 10_000), keyframe("b", 10_000), loop=loop)
    with pytest.raises(RecipeError, match="smaller mixes"):  # of weights alone
        film(100_000, keyframe("a", 0), keyframe("b", 0), loop=loop)
    with pytest.raises(RecipeError, match="shorter prompts"):
        film(100_000, Keyframe(prompt="x" * 6_000), loop=loop)
    assert len(film(1000, keyframe("a", 1000), keyframe("b", 1000), loop=loop)) == 1000


SINES = "`" + "+".join(f"sin(t/{n})" for n in range(10, 90)) + "`"


@pytest.mark.parametrize(
    "keyframes",
    [
        [Keyframe(prompt=f"{SINES} a {SINES}")],
        [Keyframe(loras={f"lora {n}": n / 64 for n in range(64)}), Keyframe(prompt="b")],
        [Keyframe(at=400 * n, cfg=f"1+abs({SINES[1:-1]})/{n + 1}") for n in range(250)],
    ],
    ids=["prompts", "loras", "numbers"],
)
def test_a_small_recipe_that_would_take_minutes_is_refused_at_once(keyframes: list[Keyframe]) -> None:
    with pytest.raises(RecipeError, match=r"^frames: 100000 frames, each with all .*; keep to \d+: make fewer"):
        film(100_000, *keyframes)
    shorter = [keyframe for keyframe in keyframes if keyframe.at is None or keyframe.at < 3_000]
    assert len(film(3_000, *shorter)) == 3_000


def test_what_is_quick_is_far_below_what_is_planned() -> None:
    def recipe(frames: int, prompt: str = "a cat") -> Recipe:
        return Recipe(frames, (Keyframe(prompt=prompt), Keyframe(prompt="b")))

    assert is_quick(recipe(20_000))
    assert not is_quick(recipe(20_000, f"a {SINES}"))
    assert not is_quick(recipe(100_000))
    assert len(plan(recipe(100_000))) == 100_000


@given(recipes() | st.just(Recipe(9, (Keyframe(prompt="a `1e14*t+t/3` `t` b"), Keyframe(negative="``")))))
def test_what_frames_name_is_never_more_than_was_counted_before(recipe: Recipe) -> None:
    schedule = plan(recipe)
    counted, found = Travel(recipe).extent(), sum(len(json.dumps(frame.to_dict())) for frame in schedule)
    assert found <= counted <= 6 * found  # a frame of a hold names one of the two that are counted


def test_a_loop_travels_home_and_does_not_double_frame_0() -> None:
    schedule = film(4, Keyframe(prompt="a", cfg=1), Keyframe(prompt="b", cfg=3), loop=True)
    assert weights(schedule, "b") == [0.0, 0.5, 1.0, 0.5]
    assert [frame.cfg for frame in schedule] == [1.0, 2.0, 3.0, 2.0]


def test_a_loop_may_begin_between_keyframes() -> None:
    schedule = film(8, Keyframe(2, prompt="a"), Keyframe(6, prompt="b"), loop=True)
    assert weights(schedule, "a") == [0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0, 0.25]


def test_what_no_keyframe_sets_has_its_default() -> None:
    frame = film(1, Keyframe(), cfg=3.5)[0]
    empty = Mix.one("")
    assert frame == Frame(0, prompt=empty, negative=empty, seed=Mix.one(0), cfg=3.5, denoise=1.0, image=None)


def test_what_a_keyframe_leaves_out_travels_on() -> None:
    schedule = film(9, Keyframe(0, prompt="a", cfg=1), Keyframe(4, prompt="b"), Keyframe(8, prompt="c", cfg=5, seed=3))
    assert [frame.cfg for frame in schedule] == [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
    assert weights(schedule, "b") == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]
    assert weights(schedule, 3, "seed") == [1.0] * 9


def test_before_the_first_and_after_the_last_keyframe_it_holds() -> None:
    schedule = film(5, Keyframe(1, cfg=2), Keyframe(3, cfg=4))
    assert [frame.cfg for frame in schedule] == [2, 2, 3, 4, 4]


def test_a_travel_is_eased_as_the_keyframe_where_it_starts_says() -> None:
    schedule = film(
        9,
        Keyframe(0, prompt="a", cfg=0, ease="hold"),
        Keyframe(4, prompt="b", ease="in"),
        Keyframe(8, prompt="c", cfg=8),
    )
    assert weights(schedule, "c") == [0, 0, 0, 0, 0, 0.0625, 0.25, 0.5625, 1]
    assert [frame.cfg for frame in schedule] == [0] * 8 + [8]
    assert weights(film(3, Keyframe(prompt="a"), Keyframe(prompt="b"), ease="in"), "b") == [0, 0.25, 1]


def test_a_mix_travels_part_by_part() -> None:
    schedule = film(3, Keyframe(seed={1: 0.5, 2: 0.5}), Keyframe(seed={2: 0.5, 3: 0.5}))
    assert schedule[1].seed.items == ((1, 0.25), (2, 0.5), (3, 0.25))


def test_overshoot_bends_numbers_within_their_bounds_and_no_weights() -> None:
    schedule = film(50, Keyframe(prompt="a", cfg=90), Keyframe(prompt="b", cfg=100), ease="elastic-out")
    cfgs = [frame.cfg for frame in schedule]
    assert max(cfgs[1:-1]) == 100.0
    assert max(weights(schedule, "b")) == 1.0
    wide = film(50, Keyframe(cfg=10), Keyframe(cfg=20), ease="elastic-out")
    assert max(frame.cfg for frame in wide) > 23
    assert min(frame.cfg for frame in film(50, Keyframe(cfg=0), Keyframe(cfg=9), ease="elastic-in")) == 0.0


def test_the_cubic_curve_is_smooth_and_does_not_overshoot() -> None:
    keyframes = [Keyframe(at, cfg=cfg) for at, cfg in ((0, 1), (10, 2), (20, 10), (30, 10), (40, 3))]
    cfgs = [frame.cfg for frame in film(41, *keyframes, curve="cubic")]
    assert [cfgs[at] for at in (0, 10, 20, 30, 40)] == [1, 2, 10, 10, 3]
    assert cfgs[20:31] == [10] * 11
    assert cfgs[:21] == sorted(cfgs[:21])
    assert cfgs[30:] == sorted(cfgs[30:], reverse=True)
    assert _sharpest_bend(cfgs) < _sharpest_bend([frame.cfg for frame in film(41, *keyframes)]) / 2


def _sharpest_bend(numbers: list[float]) -> float:
    steps = [b - a for a, b in pairwise(numbers)]
    return max(abs(b - a) for a, b in pairwise(steps))


def test_the_cubic_curve_of_a_loop_has_no_seam() -> None:
    """Turned by some frames, the keyframes give the same film, turned."""
    at = {0: 2.0, 12: 9.0, 30: 4.0}
    first = film(40, *[Keyframe(i, cfg=cfg) for i, cfg in at.items()], loop=True, curve="cubic", ease="in-out")
    turned = film(
        40, *[Keyframe((i + 17) % 40, cfg=cfg) for i, cfg in at.items()], loop=True, curve="cubic", ease="in-out"
    )
    assert [turned[(i + 17) % 40].cfg for i in range(40)] == pytest.approx([frame.cfg for frame in first], abs=2e-9)


def strengths(schedule: Schedule, name: str) -> list[float]:
    return [{lora.name: lora.strength for lora in frame.loras}[name] for frame in schedule]


def test_the_strength_of_each_lora_travels_on_its_own() -> None:
    schedule = film(
        9,
        Keyframe(0, loras={"grain": 0, "ink": 1}),
        Keyframe(4, loras={"grain": 0.8}, ease="in"),
        Keyframe(8, loras={"ink": -1, "grain": 0}),
    )
    assert strengths(schedule, "ink") == [1, 0.75, 0.5, 0.25, 0, -0.25, -0.5, -0.75, -1]
    assert strengths(schedule, "grain") == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 0.75, 0.6, 0.35, 0], abs=1e-9)
    assert schedule[4].to_dict()["loras"] == {"grain": 0.8, "ink": 0.0}


def test_the_strength_in_the_text_encoder_travels_on_its_own() -> None:
    schedule = film(
        5,
        Keyframe(0, loras={"ink": {"strength": 1, "text": 0.5}, "grain": 0.25}),
        Keyframe(4, loras={"ink": 0}),
        model=Model(loras=(Lora("oil", 0.5, text=0.5),)),
    )
    assert [frame.to_dict()["loras"]["ink"] for frame in schedule] == [
        {"strength": 1.0, "text": 0.5},
        {"strength": 0.75, "text": 0.375},
        {"strength": 0.5, "text": 0.25},
        {"strength": 0.25, "text": 0.125},
        0.0,
    ]
    assert schedule[0].to_dict()["loras"]["grain"] == 0.25
    assert schedule.settings()["model"]["loras"] == [{"name": "oil", "strength": 0.5}]
    assert Recipe.from_dict(schedule.recipe.to_dict()) == schedule.recipe
    assert schedule[0].loras[1].in_text == 0.5


@pytest.mark.parametrize(
    ("strength", "message"),
    [
        ({"strength": 11}, r"loras\.ink\.strength: 11 is outside"),
        ({"text": "much"}, r"loras\.ink\.text: 'much' is not a number"),
        ({"unet": 1}, r"loras\.ink.*unet"),
        ("much", r"loras\.ink: 'much' is not a number"),
    ],
)
def test_an_invalid_strength_is_refused_with_its_place(strength: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Keyframe(loras={"ink": strength})


def test_a_strength_holds_outside_of_its_keyframes_bends_and_closes_as_numbers_do() -> None:
    held = film(5, Keyframe(1, loras={"ink": 2}), Keyframe(3, loras={"ink": 4}), model=Model(loras=(Lora("ink", 9),)))
    assert strengths(held, "ink") == [2, 2, 3, 4, 4]
    round_trip = film(4, Keyframe(loras={"ink": 1}), Keyframe(loras={"ink": 3}), loop=True)
    assert strengths(round_trip, "ink") == [1, 2, 3, 2]
    at = {0: 1.0, 10: 2.0, 20: 10.0}
    bent = [Keyframe(i, cfg=n, loras={"ink": n}) for i, n in at.items()]
    schedule = film(21, *bent, curve="cubic")
    assert strengths(schedule, "ink") == [frame.cfg for frame in schedule] != [frame.cfg for frame in film(21, *bent)]
    wild = film(50, Keyframe(loras={"ink": -9}), Keyframe(loras={"ink": 9}), ease="elastic-out")
    assert max(strengths(wild, "ink")) == 10.0


def test_masks_and_strengths_are_written_only_where_keyframes_set_them() -> None:
    """What has neither keeps its bytes, and so its job folders."""
    plain = film(2, Keyframe(image="a.png"))[0].to_dict()
    assert not {"mask", "loras"} & plain.keys()
    assert film(2, Keyframe(image="a.png", mask="m.png"))[1].to_dict() == {
        **plain,
        "index": 1,
        "mask": [["m.png", 1.0]],
    }


def _track(recipe: Recipe, field: str) -> list[tuple[int, Any, str]]:
    placed = sorted(zip(recipe.positions(), recipe.keyframes, strict=True), key=lambda pair: pair[0])
    return [
        (at, getattr(keyframe, field), keyframe.ease or recipe.ease)
        for at, keyframe in placed
        if getattr(keyframe, field) is not None
    ]


def _expected(recipe: Recipe, field: str, index: int) -> tuple[Any, Any, float]:
    """By the definition, for one frame alone: the two keyframes that it is between, and how far it is."""
    track = _track(recipe, field)
    before = [stop for stop in track if stop[0] <= index]
    after = [stop for stop in track if stop[0] > index]
    if (not recipe.loop or len(track) == 1) and not (before and after):
        value = (after[0] if after else before[-1])[1]
        return value, value, 0.0
    start, end = (before or track)[-1], (after or track)[0]
    way, span = (index - start[0]) % recipe.frames, (end[0] - start[0]) % recipe.frames
    return start[1], end[1], ease(start[2], way / span)


@given(recipes())
def test_every_frame_is_what_the_definition_says(recipe: Recipe) -> None:
    for frame in plan(recipe):
        for field in FIELDS:
            if not _track(recipe, field):
                continue
            start, end, t = _expected(recipe, field, frame.index)
            found = getattr(frame, field)
            if field in MIXES:
                t = min(max(t, 0.0), 1.0)
                for value in {*start.values, *end.values, *found.values}:
                    exact = (1 - t) * dict(start.items).get(value, 0.0) + t * dict(end.items).get(value, 0.0)
                    assert dict(found.items).get(value, 0.0) == pytest.approx(exact, abs=1.01e-9)
            elif recipe.curve == "linear":
                high = 100.0 if field == "cfg" else 1.0
                exact = min(max(start + (end - start) * t, 0.0), high)
                assert found == pytest.approx(exact, abs=1e-9)
            else:
                assert min(start, end) - 1e-9 <= found <= max(start, end) + 1e-9


@given(recipes())
def test_keyframes_are_hit_exactly(recipe: Recipe) -> None:
    schedule = plan(recipe)
    for at, keyframe in zip(recipe.positions(), recipe.keyframes, strict=True):
        for field in FIELDS:
            if getattr(keyframe, field) is not None:
                assert getattr(schedule[at], field) == getattr(keyframe, field)
        assert set(keyframe.loras or ()) <= set(schedule[at].loras)


@given(recipes())
def test_every_mix_sums_to_one_in_billionths(recipe: Recipe) -> None:
    for frame in plan(recipe):
        for field in MIXES:
            mix = getattr(frame, field)
            if mix is not None:
                assert sum(round(weight * 10**9) for weight in mix.weights) == 10**9
                assert all(weight == round(weight * 10**9) / 10**9 > 0 for weight in mix.weights)
                assert len(set(mix.values)) == len(mix.values)


@given(recipes(), st.integers(1, 59))
def test_a_loop_has_no_beginning(recipe: Recipe, turn: int) -> None:
    """Keyframes that are all moved round the circle give the same frames, moved."""
    frames = recipe.frames
    recipe = recipe.replace(loop=True, curve="linear")
    moved = recipe.replace(
        keyframes=tuple(_moved(keyframe, (int(keyframe.at or 0) + turn) % frames) for keyframe in recipe.keyframes)
    )
    one, other = plan(recipe), plan(moved)
    for i in range(frames):
        for field in (*FIELDS, "loras"):
            assert getattr(other[(i + turn) % frames], field) == getattr(one[i], field)


def _moved(keyframe: Keyframe, at: int) -> Keyframe:
    return Keyframe(at, **{field: getattr(keyframe, field) for field in (*FIELDS, "loras", "ease")})


@given(recipes(), st.randoms())
def test_the_order_in_which_keyframes_are_given_does_not_matter(recipe: Recipe, random: Any) -> None:
    keyframes = list(recipe.keyframes)
    random.shuffle(keyframes)
    assert plan(recipe.replace(keyframes=tuple(keyframes))).frames == plan(recipe).frames


@given(recipes())
def test_the_json_of_a_schedule_is_canonical(recipe: Recipe) -> None:
    schedule = plan(recipe)
    text = schedule.to_json()
    assert text == plan(Recipe.from_toml(recipe.to_toml())).to_json()
    assert text.isascii()
    plain = json.loads(text)
    assert plain == schedule.to_dict()
    assert json.dumps(plain, sort_keys=True, separators=(",", ":")) == text
    assert "-0.0" not in [repr(frame["cfg"]) for frame in plain["frames"]]


def test_a_number_that_overshoots_below_zero_is_not_minus_zero() -> None:
    schedule = film(6, Keyframe(cfg=5.38298876636875e-280, ease="elastic-out"), Keyframe(at=5, cfg=0.0))
    assert [repr(frame.cfg) for frame in schedule][1:] == ["0.0"] * 5
    worked_out = film(3, Keyframe(cfg="-1e-300*t"))
    assert [repr(frame.cfg) for frame in worked_out] == ["0.0"] * 3


def test_a_schedule_is_a_sequence_of_frames() -> None:
    schedule = film(5, Keyframe(cfg=1), Keyframe(cfg=5))
    assert len(schedule) == 5
    assert [frame.index for frame in schedule] == [0, 1, 2, 3, 4]
    assert schedule[-1].cfg == 5.0
    assert [frame.cfg for frame in schedule[1:3]] == [2.0, 3.0]
    assert schedule[2].to_dict() == {
        "index": 2,
        "prompt": [["", 1.0]],
        "negative": [["", 1.0]],
        "seed": [[0, 1.0]],
        "cfg": 3.0,
        "denoise": 1.0,
        "image": None,
    }


GOLDEN = Recipe(
    24,
    (
        Keyframe(prompt="a cat", seed=1, cfg=3),
        Keyframe(prompt={"a dog": 2, "日本": 1}, seed={2: 1, 2**64 - 1: 1, 3: 1}, ease="sine"),
        Keyframe("70%", prompt="a cow", cfg=9, denoise=0.5, image="a.png", ease="cubic-bezier(.3,-.5,.2,1.5)"),
        Keyframe(22, image="b/c.png", denoise=1, negative="fog"),
    ),
    loop=True,
    ease="elastic",
    curve="cubic",
    model=Model("dream", vae="v", loras=(Lora("l", 0.3),), clip_skip=2),
)


def test_the_bytes_of_a_schedule_do_not_change() -> None:
    """Another digest means that every job folder in the world renders again."""
    assert hashlib.sha256(plan(GOLDEN).to_json().encode()).hexdigest() == GOLDEN_DIGEST
    assert plan(GOLDEN).frame_hash(5) == GOLDEN_FRAME


def test_the_bytes_of_masks_and_strengths_do_not_change() -> None:
    first, *others = GOLDEN.keyframes
    added = Keyframe("30%", mask={"m.png": 1, "n.png": 2}, loras={"styles/ink.safetensors": -0.1, "l": 0.7})
    schedule = plan(GOLDEN.replace(keyframes=(first, *others, added, Keyframe(21, loras={"l": 0.2}))))
    assert hashlib.sha256(schedule.to_json().encode()).hexdigest() == MASKED_DIGEST


MASKED_DIGEST = "37120132432f74c2d3d40ace94bebe57859c87768d368ff2964658f7072524ff"
GOLDEN_DIGEST = "bf1878aad58afbcac4ebcbbefb5b06cca83d7b01e840fddf5b73a18e0e6c68e5"
GOLDEN_FRAME = "c45441445b9e5c7c8acead6ffe7ce85866f595079cbaf6fa98620a865df27405"


def test_the_last_bit_of_the_maths_library_does_not_reach_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sines and cosines that are one unit in the last place off give the same bytes."""

    def off_by_a_bit(function: Callable[[float], float]) -> Callable[[float], float]:
        return lambda x: math.nextafter(function(x), 2.0)

    for easing in EASINGS:
        recipe = Recipe(101, (Keyframe(prompt="a", cfg=1), Keyframe(prompt="b", cfg=10)), ease=easing)
        text = plan(recipe).to_json()
        with monkeypatch.context() as patch:
            patch.setattr(math, "sin", off_by_a_bit(math.sin))
            patch.setattr(math, "cos", off_by_a_bit(math.cos))
            assert plan(recipe).to_json() == text


def test_the_bytes_do_not_depend_on_the_process() -> None:
    code = (
        "from tests.core.plan.test_schedule import GOLDEN, plan; import hashlib;"
        "print(hashlib.sha256(plan(GOLDEN).to_json().encode()).hexdigest())"
    )
    for seed, locale in (("1", "C"), ("2", "C.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == GOLDEN_DIGEST


def test_frames_of_the_same_settings_have_the_same_hash() -> None:
    schedule = film(4, Keyframe(prompt="a"), Keyframe(prompt="b"), loop=True)
    hashes = [schedule.frame_hash(i) for i in range(4)]
    assert hashes[1] == film(9, Keyframe(prompt={"a": 1, "b": 1}), fps=30).frame_hash(3)
    assert len({hashes[0], hashes[1], hashes[2]}) == 3
    assert all(len(text) == 64 and set(text) <= set("0123456789abcdef") for text in hashes)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 520},
        {"height": 520},
        {"model": Model("other")},
        {"model": Model(vae="v")},
        {"model": Model(clip_skip=2)},
        {"model": Model(loras=(Lora("l"),))},
        {"model": Model(loras=(Lora("l", 0.5),))},
        {"sampler": "heun"},
        {"scheduler": "karras"},
        {"steps": 21},
        {"mix": "slerp"},
        {"lengths": "empty"},
        {"cfg": 7.5},
        {"keyframes": (Keyframe(prompt="b"),)},
        {"keyframes": (Keyframe(prompt="a", negative="b"),)},
        {"keyframes": (Keyframe(prompt="a", seed=1),)},
        {"keyframes": (Keyframe(prompt="a", image="a.png"),)},
        {"keyframes": (Keyframe(prompt="a", image="a.png", denoise=0.5),)},
        {"keyframes": (Keyframe(prompt="a", loras={"l": 0}),)},
    ],
)
def test_whatever_makes_the_picture_changes_its_hash(change: dict[str, Any]) -> None:
    recipe = Recipe(4, (Keyframe(prompt="a"),))
    hashes = {plan(recipe.replace(**each)).frame_hash(2) for each in ({}, change)}
    assert len(hashes) == 2


@pytest.mark.parametrize("change", [{"fps": 30.0}, {"frames": 9}, {"loop": True}, {"ease": "in"}, {"folder": "x"}])
def test_whatever_does_not_make_the_picture_leaves_its_hash(change: dict[str, Any]) -> None:
    recipe = Recipe(4, (Keyframe(prompt="a"),))
    assert plan(recipe.replace(**change)).frame_hash(2) == plan(recipe).frame_hash(2)
