"""Inputs of a workflow or a payload: what keyframes may set, and what each frame has."""

from __future__ import annotations

from typing import Any

import pytest

from remix.errors import RecipeError
from remix.plan import Keyframe, Mix, Recipe, plan
from remix.plan.inputs import Payload, Workflow
from remix.syntax.inputs import with_tracks

FILE = {"file": "mine.json"}


def recipe(*keyframes: dict[str, Any], **fields: Any) -> Recipe:
    given = {"frames": 5, "workflow": FILE, **fields}
    return Recipe.from_dict({**given, "keyframes": [{"inputs": inputs} if inputs else {} for inputs in keyframes]})


def track(made: Recipe, name: str) -> list[Any]:
    return [dict(frame.inputs)[name] for frame in plan(made)]


def test_numbers_travel_and_whole_ones_are_integers() -> None:
    values = track(recipe({"KSampler.cfg": 5}, {"KSampler.cfg": 8}), "KSampler.cfg")
    assert values == [5, 5.75, 6.5, 7.25, 8]
    assert [type(value) for value in values] == [int, float, float, float, int]


def test_a_large_seed_stays_exact_at_its_keyframe() -> None:
    seed = 2**64 - 1
    assert track(recipe({"KSampler.seed": seed}), "KSampler.seed") == [seed] * 5


def test_texts_are_mixed_and_switches_wait_for_the_next_keyframe() -> None:
    made = recipe({"a.text": "a cat", "b.on": True}, {"a.text": "a dog", "b.on": False})
    assert track(made, "a.text")[1] == Mix((("a cat", 0.75), ("a dog", 0.25)))
    assert track(made, "b.on") == [True, True, True, True, False]


def test_what_is_held_waits_for_the_next_keyframe() -> None:
    made = recipe({"a.text": "a cat", "b.n": 1}, {"a.text": "a dog", "b.n": 9}, hold=["a.text", "b.n"])
    assert track(made, "a.text") == [*[Mix.one("a cat")] * 4, Mix.one("a dog")]
    assert track(made, "b.n") == [1, 1, 1, 1, 9]


def test_expressions_are_in_backticks() -> None:
    made = recipe({"a.cfg": "`2*t`", "a.text": "snow (`t/4`)"})
    assert track(made, "a.cfg") == [0, 2, 4, 6, 8]
    assert track(made, "a.text")[2] == Mix.one("snow (0.5)")


def test_a_recipe_with_inputs_reads_its_own_text_again() -> None:
    made = recipe({"a.cfg": "`2*t`", "a.text": {"x": 1, "y": 3}, "b.on": True}, hold=["a.cfg"], payload=None)
    for text, read in ((made.to_toml(), Recipe.from_toml), (made.to_json(), Recipe.from_json)):
        assert read(text) == made
    sent = Recipe.from_dict({"frames": 1, "keyframes": [{}], "payload": {"a": [{"b": 1.5}], "c": "x"}})
    assert Recipe.from_toml(sent.to_toml()) == sent
    assert sent.payload is not None
    assert sent.payload.fields == {"a": [{"b": 1.5}], "c": "x"}


def test_a_frame_of_a_clip_has_the_inputs_of_its_first_frame() -> None:
    made = recipe({"a.n": 0}, {"a.n": 2}, {"a.n": 4}, frames=9, workflow={**FILE, "clip": "keyframes"})
    frames = plan(made).frames
    assert [frame.inputs[0][1] for frame in frames] == [0, 0, 0, 0, 2, 2, 2, 2, 2]
    assert [frame.clip for frame in frames[3:6]] == [(3, 4), (0, 5), (1, 5)]
    hashes = [plan(made).frame_hash(index) for index in range(9)]
    assert len(set(hashes)) == 9


def test_a_frame_is_known_by_its_inputs() -> None:
    one, other = recipe({"a.n": 1}, {"a.n": 5}), recipe({"a.n": 1}, {"a.n": 1})
    hashes = [[plan(made).frame_hash(index) for index in range(5)] for made in (one, other)]
    assert hashes[0][0] == hashes[1][4]
    assert hashes[0][1] != hashes[1][1]


@pytest.mark.parametrize(
    ("fields", "path", "fact"),
    [
        ({"workflow": None, "keyframes": [{"inputs": {"a.n": 1}}]}, "keyframes[0].inputs['a.n']", "[workflow]"),
        ({"keyframes": [{"inputs": {"a.n": 1}}, {"inputs": {"a.n": "x"}}]}, "keyframes[1].inputs['a.n']", "a text"),
        ({"keyframes": [{"inputs": {"a.n": []}}]}, "keyframes[0].inputs['a.n']", "mix"),
        ({"keyframes": [{"inputs": {"a.n": {"x": 1, "`t`": 1}}}]}, "keyframes[0].inputs['a.n']", "only texts"),
        ({"keyframes": [{"inputs": {"a.n": "`tt+1`"}}]}, "keyframes[0].inputs['a.n']", "tt"),
        ({"keyframes": [{"inputs": {"a.n": 2**64}}]}, "keyframes[0].inputs['a.n']", "outside"),
        ({"keyframes": [{"inputs": 5}]}, "keyframes[0].inputs", "not a table"),
        ({"keyframes": [{"inputs": {}}]}, "keyframes[0].inputs", "there are 0"),
        ({"hold": ["b.n"], "keyframes": [{"inputs": {"a.n": 1}}]}, "hold", '"b.n"'),
        ({"payload": {"steps": 2}}, "payload", "A1111"),
        ({"payload": {"steps": None}, "workflow": None}, "payload.steps", "None"),
        ({"workflow": {"file": "../mine.json"}}, "workflow.file", ".."),
        ({"workflow": {"output": "x"}}, "workflow.file", "missing"),
        ({"workflow": {**FILE, "clip": "all"}}, "workflow.clip", "keyframes"),
        ({"workflow": {**FILE, "clip": 0}}, "workflow.clip", "outside"),
        ({"workflow": {**FILE, "clip": "keyframes"}, "keyframes": [{"at": 1}]}, "workflow.clip", "frame 0"),
        ({"workflow": {**FILE, "clip": 4}, "pace": "even"}, "pace", "clips"),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(fields: dict[str, Any], path: str, fact: str) -> None:
    with pytest.raises(RecipeError) as refused:
        plan(Recipe.from_dict({"frames": 5, "keyframes": [{}], "workflow": FILE, **fields}))
    assert refused.value.path == path
    assert fact in refused.value.problem


def test_python_takes_the_same_values() -> None:
    made = Recipe(frames=2, keyframes=[Keyframe(inputs={"a.n": 1})], workflow="mine.json", payload=None)
    assert made.workflow == Workflow("mine.json")
    assert Payload.of({"steps": 2}) == Payload.of(Payload.of({"steps": 2}))


def test_choices_in_texts_are_made_as_in_prompts() -> None:
    made = recipe({"a.text": "a {red|green} cat"}, variants="film", frames=1)
    texts = {track(made.replace(variant=number), "a.text")[0].values[0] for number in range(8)}
    assert texts == {"a red cat", "a green cat"}


def test_a_track_of_another_input_changes_no_choice() -> None:
    ends = ({"a.text": "a {red|green|blue} {cat|dog}"}, {"a.text": "a {red|green|blue} {cat|dog}"})
    for variant in range(6):
        made = recipe(*ends, variants="keyframe", variant=variant)
        tracked = with_tracks(made, {"a.cfg": "0:(1), 2:(7)"})
        assert len(tracked.keyframes) > len(made.keyframes)
        texts = [track(each, "a.text") for each in (made, tracked)]
        assert (texts[0][0], texts[0][-1]) == (texts[1][0], texts[1][-1])


def test_pictures_that_inputs_name_are_found() -> None:
    made = recipe({"a.image": "x/a.png", "a.text": "a photo of a cat.png\nin ../snow.png"}, {"a.image": "b.JPG"})
    assert made.input_pictures() == ["x/a.png", "b.JPG"]


def test_inputs_for_whole_numbers_are_rounded_so_that_equal_frames_have_equal_hashes() -> None:
    made = recipe({"a.n": 0}, {"a.n": 10}, frames=5, whole=["a.n"])
    assert track(made, "a.n") == [0, 3, 5, 8, 10]
    assert Recipe.from_dict(made.to_dict()) == made
    assert made.settled().to_toml().splitlines()[:2] == ["frames = 5", "size = [512, 512]"]
    assert "steps" not in made.settled().to_toml()
    near = recipe({"a.n": 0}, {"a.n": 10.4}, frames=5, whole=["a.n"])
    assert [plan(near).frame_hash(index) for index in range(5)] == [plan(made).frame_hash(index) for index in range(5)]
    assert recipe({"a.n": 0.5}).fitted_to({"whole": ("a.n",)}).whole == ("a.n",)
