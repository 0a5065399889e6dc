"""From the panel's fields or a request to a recipe; no host is needed for it."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest

from a1111_extension.settings import Fields, Settings
from remix.errors import BadInput, RecipeError
from remix.plan import Mix, plan

HOST = Fields(
    prompt="a lamp", negative="dull", seed=7, steps=9, cfg=5, width=64, height=128, sampler="DPM++ 2M", scheduler=None
)
TOML = 'frames = 4\n[[keyframes]]\nprompt = "a"\n[[keyframes]]\nprompt = "b"\n'


def test_what_a_recipe_says_holds_and_the_host_fills_in_the_rest() -> None:
    recipe = Settings(text=f'steps = 3\nsampler = "euler"\n{TOML}').recipe(HOST)
    assert (recipe.frames, recipe.steps, recipe.sampler, recipe.scheduler) == (4, 3, "euler", "normal")
    assert (recipe.cfg, recipe.width, recipe.height) == (5, 64, 128)
    first = recipe.keyframes[0]
    assert (first.prompt, first.negative, first.seed) == (Mix.one("a"), Mix.one("dull"), Mix.one(7))


def test_the_hosts_labels_are_read_with_their_automatic_schedule() -> None:
    recipe = Settings(text=TOML).recipe(HOST)
    assert (recipe.sampler, recipe.scheduler) == ("dpmpp_2m", "karras")


@pytest.mark.parametrize(
    ("settings", "field", "value"),
    [
        ({"frames": "8"}, "frames", 8),
        ({"frames": "2s", "fps": 6.0}, "frames", 12),
        ({"fps": 24.0}, "fps", 24),
        ({"loop": True}, "loop", True),
        ({"ease": "in-out"}, "ease", "in-out"),
        ({"mix": "slerp"}, "mix", "slerp"),
    ],
)
@pytest.mark.parametrize("text", [TOML, "0: a\n3: b"])
def test_the_fields_of_the_panel_hold_before_the_text(text: str, settings: Any, field: str, value: Any) -> None:
    frames = {} if "frames" in settings or text == TOML else {"frames": "4"}
    assert getattr(Settings(text=text, **{**frames, **settings}).recipe(HOST), field) == value


@pytest.mark.parametrize("frames", ["²", "٣", "9" * 5_000, "9" * 41])
def test_what_looks_like_a_number_of_frames_and_is_none_is_refused(frames: str) -> None:
    with pytest.raises(RecipeError, match=r"frames: .* is not a length; write frames \(48\) or a time"):
        Settings(text=TOML, frames=frames).recipe(HOST)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("9" * 5_000, "cfg: an integer of 5000 digits is too long; keep to 40"),
        ("7, " + "9" * 400 + ".5", "is not a finite number; write one"),
        ("²", "cfg: "),
        ("1" * 200_000 + "x", "cfg: there is no : after"),
        ("1, " * 60_000 + "x", "cfg: there is no : after '1'"),
        (" " * 200_000 + "x", "cfg: there is no : after 'x'"),
    ],
    ids=len,
)
def test_a_travel_of_any_digits_is_read_or_refused_in_little_time(text: str, sentence: str) -> None:
    start = time.thread_time()
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        Settings(text=TOML, cfg=text).recipe(HOST)
    assert time.thread_time() - start < 0.5


def test_other_syntaxes_are_told_by_their_looks_or_by_name() -> None:
    found = Settings(text='"0": "spring", "11": "winter"', frames="12").recipe(HOST)
    assert plan(found)[11].prompt.values == ("winter",)
    named = Settings(text="a cat\na dog", syntax="prompt-travel", frames="5").recipe(HOST)
    assert plan(named)[4].prompt.values == ("a dog",)


@pytest.mark.parametrize(
    ("settings", "frame", "field", "value"),
    [
        ({"cfg": "4, 8"}, 1, "cfg", 4 + 4 / 3),
        ({"cfg": "0:(4), 3:(10)"}, 2, "cfg", 8),
        ({"cfg": "0:(3+t)"}, 2, "cfg", 5),
        ({"seeds": "1, 2"}, 3, "seed", Mix.one(2)),
        ({"seeds": "0:(5), 2:(6)"}, 2, "seed", Mix.one(6)),
        ({"seeds": "12"}, 3, "seed", Mix.one(12)),
    ],
)
def test_values_travel_beside_the_recipe(settings: Any, frame: int, field: str, value: Any) -> None:
    found = getattr(plan(Settings(text=TOML, **settings).recipe(HOST))[frame], field)
    assert found == (value if isinstance(value, Mix) else pytest.approx(value))


def test_random_seeds_follow_from_that_of_the_host() -> None:
    def seeds(text: str, seed: int) -> list[int]:
        keyframes = Settings(text="0: a", frames="9", seeds=text).recipe(Fields(seed=seed)).keyframes
        return [key.seed.values[0] for key in keyframes if key.seed is not None]

    first, second, third = seeds("-1, -1, -1", 7)
    assert (first, len({first, second, third})) == (7, 3)
    assert seeds("-1, -1, -1", 7) == [first, second, third]
    assert not {second, third} & {*seeds("-1, -1, -1", 8)}
    assert seeds("5, -1, 9", 7) == [5, 7, 9]
    with pytest.raises(RecipeError, match="seed"):
        seeds("-2, 5", 7)


def test_seeds_alone_are_a_film_of_the_hosts_prompt() -> None:
    schedule = plan(Settings(seeds="1, 2", frames="3").recipe(HOST))
    assert [frame.seed.values for frame in schedule] == [(1,), (1, 2), (2,)]
    assert {frame.prompt for frame in schedule} == {Mix.one("a lamp")}


@pytest.mark.parametrize(("frames", "count"), [("", 24), ("12", 12)])
def test_seeds_and_one_line_are_a_film_of_its_prompt(frames: str, count: int) -> None:
    read = Settings(text=" a cat, (big:1.2)\n", seeds="1, 2", frames=frames).read(Fields())
    film = plan(read.recipe)
    assert read.syntax == "a1111"
    assert len(film) == count
    assert {frame.prompt.values for frame in film} == {("a cat, (big:1.2)",)}
    assert (film[0].seed.values, film[count - 1].seed.values) == ((1,), (2,))
    with pytest.raises(RecipeError, match="one line of plain text"):
        Settings(text="a cat").read(Fields())


def test_the_init_picture_is_the_hosts_unless_keyframes_set_some() -> None:
    host = replace(HOST, images=("init.png",), denoise=0.5)
    frame = plan(Settings(text=TOML).recipe(host))[0]
    assert (frame.image, frame.denoise) == (Mix.one("init.png"), 0.5)
    travels = plan(Settings(text=TOML, denoise="0.2, 0.8").recipe(host))
    assert [round(frame.denoise, 3) for frame in travels] == [0.2, 0.4, 0.6, 0.8]
    alone = plan(Settings(denoise="0.2, 0.8", frames="2").recipe(host))
    assert [(frame.image, frame.denoise) for frame in alone] == [(Mix.one("init.png"), 0.2), (Mix.one("init.png"), 0.8)]
    own = plan(Settings(text=TOML + 'image = "b.png"\n').recipe(host))[0]
    assert own.image == Mix.one("b.png")
    kept = plan(Settings(text=TOML.replace('"a"', '"a"\ndenoise = 0.3', 1)).recipe(host))[0]
    assert (kept.image, kept.denoise) == (Mix.one("init.png"), 0.3)


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"text": " "}, "recipe: is empty"),
        ({"text": TOML.replace("frames =", "framez =", 1)}, "line 1:1: framez: there is no such field"),
        ({"text": "a\nb\nc"}, "frames: the text does not say how many there are; set them, such as 48 or 4s"),
        ({"text": "0: a"}, "frames: the text does not say how many there are; set them, such as 48 or 4s"),
        ({"text": "0: a\n48: b\n96 c", "frames": "99"}, "line 3:1: '96 c' looks like a key without its mark"),
        ({"text": "0 | a\n8 | b", "frames": "9"}, "line 1:1: '0 | a' looks like a key in a form that is not supported"),
        ({"text": "0:(1.02), 30:(1.1)", "frames": "9"}, "line 1:1: these numbers may set any field"),
        ({"text": TOML, "cfg": "0:(4"}, "cfg: "),
        (
            {"text": "cfg = 3\n" + TOML.replace('"a"', '"a"\ncfg = 2', 1), "cfg": "4, 5"},
            "cfg: travels in the recipe too",
        ),
        ({"text": TOML, "cfg": "4, 500"}, "cfg: 500"),
        ({"text": TOML, "seeds": "one"}, "seed: "),
        ({"text": TOML, "syntax": "klingon"}, "there is no syntax 'klingon'"),
    ],
)
def test_what_cannot_be_is_one_sentence(settings: Any, given: str) -> None:
    with pytest.raises(RecipeError) as refused:
        Settings(**settings).recipe(HOST)
    assert given in str(refused.value)


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        (TOML, Settings(text=TOML)),
        ({"frames": 2}, Settings(text='{"frames": 2}')),
        ({"recipe": TOML, "first": 2, "count": 1}, Settings(text=TOML, first=2, count=1)),
        ({"recipe": {"frames": 2}, "frames": 9}, Settings(text=json.dumps({"frames": 2}), frames="9")),
        ({"recipe": TOML, "fps": 8, "loop": True, "film": ""}, Settings(text=TOML, fps=8.0, loop=True, film="")),
    ],
)
def test_a_request_says_a_recipe_or_fields_by_their_names(given: Any, settings: Settings) -> None:
    assert Settings.of_request(given) == settings


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (7, "script_args\\[0\\]: 7 is not text"),
        ({"recipe": TOML, "bach": 2}, 'did you mean "batch"'),
        ({"recipe": TOML, "batch": 0}, "batch: 0 is outside 1 to 64"),
        ({"recipe": TOML, "loop": 1}, "loop: 1 is neither true nor false"),
        ({"recipe": TOML, "fps": "8"}, "fps: '8' is not a number"),
    ],
)
def test_a_request_that_says_something_else_is_refused(given: Any, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        Settings.of_request(given)


def test_a_part_of_the_frames_is_a_part_of_the_film() -> None:
    assert Settings(first=2, count=9).wanted(4) == range(2, 4)
    assert Settings().wanted(4) == range(4)
    with pytest.raises(BadInput, match="first: 4 is past the last frame"):
        Settings(first=4).wanted(4)


@pytest.mark.parametrize(
    ("settings", "frames"),
    [
        ({"text": "0: a\n3: b"}, 4),
        ({"text": "0s: a\n1.5s: b\n3s: c", "fps": 10.0}, 31),
        ({"text": '"0": "a", "24": "b"'}, 25),
    ],
)
def test_a_text_without_a_length_ends_on_its_last_keyframe(settings: Any, frames: int) -> None:
    reading = Settings(**settings).read(HOST)
    assert reading.recipe == Settings(**settings, frames=str(frames)).recipe(HOST)
    assert reading.notes[0] == f"Frames is empty, so the film ends on the last keyframe: {frames} frames."


def test_a_song_is_not_looked_for_on_the_server_but_its_numbers_are_used() -> None:
    music = '[music]\nfile = "song.mp3"\n'
    host = replace(HOST, folder="/")
    with pytest.raises(RecipeError, match=r"music\.file: 'song\.mp3' .* \(remix music FILE --toml prints them\)"):
        Settings(text=TOML + music).recipe(host)
    text = f'{music}length = 4\nbeats = [0.2]\n[[keyframes]]\nat = "beat 1"\ncfg = "5 + beat"\n'
    recipe = Settings(text=f"frames = 4\n{text}").recipe(host)
    assert (recipe.positions(), recipe.folder, plan(recipe)[2].cfg) == ((2,), "/", 6)
