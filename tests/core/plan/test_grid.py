"""Axes of a grid as text, the cells that they give, and the recipes that render those."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from remix.engine.capabilities import PLANNED
from remix.errors import RecipeError
from remix.plan import Keyframe, Lora, Mix, Model, Recipe, plan
from remix.plan.axes import MAX_VALUES, Axis, read_axis
from remix.plan.grid import Grid, cells_of, films_of

RECIPE = Recipe(
    5,
    [Keyframe(prompt="a red cat", seed=3), Keyframe(prompt="a dog", cfg=9)],
    width=64,
    height=64,
    model=Model(loras=[Lora("grain", 0.5)]),
)


def grid(x: str, y: str | None = None, z: str | None = None, **changes: Any) -> Grid:
    axes = [None if text is None else read_axis(text) for text in (x, y, z)]
    return Grid(RECIPE, *axes, **changes)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("steps=1, 2,4", (1, 2, 4)),
        ("cfg=1..9..2", (1, 3, 5, 7, 9)),
        ("cfg=0..0.3..0.1,5", (0, 0.1, 0.2, 0.3, 5)),
        ("seed=3..1", (3, 2, 1)),
        ("sampler=euler|heun", ("euler", "heun")),
        ("model.checkpoint=1.5,2", ("1.5", "2")),
        ("loop=true,false", (True, False)),
        ("prompt=a house, at night|a boat", ("a house, at night", "a boat")),
        ("prompt=a house, at night", ("a house, at night",)),
        ("negative=|blurry", ("", "blurry")),
        ("variant=0..2", (0, 1, 2)),
        ("prompt=a {red|blue} cat", ("a red cat", "a blue cat")),
        ("prompt=a {red|blue} cat|a dog", ("a {red|blue} cat", "a dog")),
        ("prompt:a {red,blue} {,big} moon", ("a red moon", "a red big moon", "a blue moon", "a blue big moon")),
        ("prompt[a dog, at sea]=0,0.5", (0, 0.5)),
        ("word[red]=1,two", ("1", "two")),
        ("at=0%,2s,4", ("0%", "2s", 4)),
    ],
)
def test_an_axis_has_the_values_of_its_text(text: str, values: tuple[Any, ...]) -> None:
    axis = read_axis(text)
    assert axis.values == values
    assert len(axis.labels) == len(values)


def test_labels_are_the_words_that_differ_and_the_title_says_what_they_mean() -> None:
    axis = read_axis("prompt:a red {house,boat}")
    assert (axis.labels, axis.heading) == (("house", "boat"), "prompt: a red {...}")
    assert read_axis("prompt=|a dog").labels == ("(empty)", "a dog")
    assert read_axis("prompt[a dog]=0,0.5").title == "share of a dog in prompt"
    assert read_axis("loras[film grain]=0,1").title == "strength of film grain"


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        ("steps", None, "write FIELD=VALUES"),
        ("stepz=1,2", "stepz", 'did you mean "steps"?'),
        ("guidance_scale=1,2", "guidance_scale", 'called "cfg" here'),
        ("fps=1,2", "fps", "each cell of a grid is one picture"),
        ("frame=1", "frame", 'called "at"'),
        ("loras=1", "loras", "loras[film grain]=0,0.5,1"),
        ("sampler[a]=1", "sampler", "takes no [a]"),
        ("steps=,", "steps", "has no values"),
        ("steps=1,2,1", "steps", "the value '1' twice"),
        ("cfg=0..1..0", "cfg", "a step of 0"),
        ("seed=1..100000", "seed", f"keep to {MAX_VALUES}"),
        ("prompt:{" + ",".join(map(str, range(300))) + "}", "prompt", f"keep to {MAX_VALUES}"),
    ],
)
def test_an_axis_that_cannot_be_is_refused_with_its_field(text: str, path: str | None, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_axis(text)
    assert caught.value.path == path
    assert sentence in caught.value.problem


@pytest.mark.parametrize(
    ("text", "path", "sentence"),
    [
        ("steps=4,0", "steps", "0 is outside 1 to 1000"),
        ("sampler=eulr", "sampler", 'did you mean "euler"?'),
        ("denoise=0.5", "denoise", 'set "image"'),
        ("seed=-1", "seed", "-1 is outside"),
        ("size=63x64", "size[0]", "not a multiple of 8"),
        ("prompt[a cow]=2", "prompt[a cow]", "2 is outside 0 to 1"),
        ("seed[x]=1", "seed[x]", "'x'"),
        ("image[a.png]=0.5", "image[a.png]", "no other value"),
        ("word[green]=blue", "word[green]", "not a word of the prompt 'a red cat'"),
        ("loras[grain]=11", "loras[grain]", "outside -10 to 10"),
        ("at=5", "at", "give an earlier moment"),
        ("at=beat 1", "at", "is a moment of music"),
    ],
)
def test_a_value_that_a_recipe_cannot_have_is_refused_with_its_field(text: str, path: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        cells_of(grid(text))
    assert path in str(caught.value)
    assert sentence in caught.value.problem


def test_each_cell_has_the_values_of_its_column_row_and_block() -> None:
    cells = cells_of(grid("steps=2,4", "seed=1,2,3", "cfg=1,5"))
    assert [cell.place for cell in cells][:4] == [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)]
    for cell in cells:
        x, y, z = cell.place
        assert (cell.recipe.steps, cell.frame.seed, cell.frame.cfg) == ((2, 4)[x], Mix.one(y + 1), (1, 5)[z])
        assert cell.frame.prompt == Mix.one("a red cat")


def test_a_cell_shows_the_moment_that_is_asked_for() -> None:
    assert cells_of(grid("steps=2", at="50%"))[0].frame.prompt == plan(RECIPE)[2].prompt
    moments = [cell.frame for cell in cells_of(grid("at=0,1,2,3,4"))]
    assert [replace(frame, index=0) for frame in plan(RECIPE)] == moments


def test_choices_and_expressions_are_those_of_the_recipe() -> None:
    recipe = RECIPE.replace(keyframes=[Keyframe(prompt="{red|blue} cat `t+1` ``")], variants="film")
    cells = cells_of(Grid(recipe, x=read_axis("variant=0..9"), at=2))
    assert {cell.frame.prompt.values[0] for cell in cells} == {"red cat 3 `", "blue cat 3 `"}
    [film] = films_of(cells)
    assert sorted(frame.prompt.values for frame in plan(film.recipe)) == [("blue cat 3 `",), ("red cat 3 `",)]


def test_a_share_leaves_the_others_in_their_proportion() -> None:
    frame = cells_of(grid("prompt[a cow]=0.2", at=2))[0].frame
    assert dict(frame.prompt.items) == {"a red cat": 0.4, "a dog": 0.4, "a cow": 0.2}
    frame = cells_of(grid("prompt[a dog]=0.8", at=2))[0].frame  # which has half of it already
    assert dict(frame.prompt.items) == {"a red cat": 0.2, "a dog": 0.8}
    assert [cell.frame.seed for cell in cells_of(grid("seed[4]=0,1"))] == [Mix.one(3), Mix.one(4)]


def test_a_word_is_replaced_whole_and_in_mixed_prompts_too() -> None:
    assert cells_of(grid("word[red]=blue", at=0))[0].frame.prompt == Mix.one("a blue cat")
    frame = cells_of(grid("prompt[a redder red dog]=0.5", "word[red]=blue"))[0].frame
    assert frame.prompt.values == ("a blue cat", "a redder blue dog")


def test_strengths_change_the_lora_of_the_model_or_else_that_of_the_frame() -> None:
    assert [cell.recipe.model.loras for cell in cells_of(grid("loras[grain]=0,1"))] == [
        (Lora("grain", 0),),
        (Lora("grain", 1),),
    ]
    cells = cells_of(grid("loras[ink]=0,1"))
    assert [cell.frame.loras for cell in cells] == [(Lora("ink", 0),), (Lora("ink", 1),)]
    assert len(films_of(cells)) == 1


@pytest.mark.parametrize(
    ("axes", "frames"),
    [
        (("seed=1..3", "prompt=a|b"), [6]),
        (("seed=1..3", "steps=2,4"), [3, 3]),
        (("cfg=1,2", "loop=true,false"), [2]),
        (("checkpoint=a,b", "steps=1,2"), [1, 1, 1, 1]),
        (("prompt[a dog]=0,0.5,1", "size=64x64,64x128"), [3, 3]),
    ],
)
def test_cells_with_equal_settings_are_frames_of_one_recipe(axes: tuple[str, str], frames: list[int]) -> None:
    cells = cells_of(grid(*axes))
    films = films_of(cells)
    assert [film.recipe.frames for film in films] == frames
    wanted = {cell.place: cell for cell in cells}
    for film in films:
        for frame, places in zip(plan(film.recipe), film.places, strict=True):
            for place in places:
                cell = wanted.pop(place)
                assert replace(frame, index=0) == replace(cell.frame, index=0)
                assert plan(cell.recipe).settings() == plan(film.recipe).settings()
    assert not wanted


def test_recipes_of_one_model_are_neighbors() -> None:
    films = films_of(cells_of(grid("checkpoint=a,b", "steps=1,2")))
    assert [film.recipe.model.checkpoint for film in films] == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        (("steps=1,2", "steps=3"), "give each its own field"),
        (("size=64x64", "width=64"), "so is width"),
        (("seed=1..256", "cfg=1..10"), "2560 cells"),
    ],
)
def test_axes_that_do_not_go_together_are_refused(axes: tuple[str, str], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        grid(*axes)


def input_axis(text: str) -> Axis:
    return read_axis(text, inputs=True)


def test_inputs_of_a_workflow_are_axes() -> None:
    keyframes = [{"inputs": {"KSampler.cfg": 5, "Positive.text": "a cat"}}, {"inputs": {"KSampler.cfg": 9}}]
    recipe = Recipe.from_dict({"frames": 3, "workflow": "mine.json", "keyframes": keyframes})
    axes = (
        input_axis("Positive.text=a {cat,dog}"),
        input_axis("KSampler.cfg=1..3"),
        input_axis("Own node.tiled=true,false"),
    )
    films = films_of(cells_of(Grid(recipe, *axes, at=2)))
    (film,) = films
    frames = [dict(frame.inputs) for frame in plan(film.recipe)]
    assert len(frames) == 12
    assert frames[0] == {"KSampler.cfg": 1, "Own node.tiled": True, "Positive.text": Mix.one("a cat")}
    assert frames[-1] == {"KSampler.cfg": 3, "Own node.tiled": False, "Positive.text": Mix.one("a dog")}
    assert [axis.title for axis in axes] == ["Positive.text", "KSampler.cfg", "Own node.tiled"]
    assert all(keyframe.prompt is None for keyframe in film.recipe.keyframes)  # engines would refuse one
    moments = films_of(cells_of(Grid(recipe, input_axis("at=0%,50%,100%"))))
    assert [dict(frame.inputs)["KSampler.cfg"] for frame in plan(moments[0].recipe)] == [5, 7, 9]


def test_fields_of_a_payload_are_axes() -> None:
    keyframes = [{"inputs": {"cfg_scale": 5}}]
    recipe = Recipe.from_dict({"frames": 1, "payload": {"width": 64, "steps": 4}, "keyframes": keyframes})
    films = films_of(cells_of(Grid(recipe, input_axis("width=64,128"), input_axis("cfg_scale=5,7"))))
    assert [film.recipe.payload.fields["width"] for film in films if film.recipe.payload] == [64, 128]
    assert [dict(frame.inputs)["cfg_scale"] for frame in plan(films[0].recipe)] == [5, 7]


def test_films_of_cells_keep_every_setting_that_changes_pictures() -> None:
    settings = {
        "width": 128,
        "height": 64,
        "sampler": "heun",
        "scheduler": "karras",
        "steps": 5,
        "mix": "slerp",
        "lengths": "zero",
        "emphasis": "a1111",
        "chunks": "a1111",
        "restore": True,
        "invert": True,
        "variety": 0.5,
    }
    elsewhere = {"cfg", "workflow", "payload"}  # cfg is in the keyframes; the other two exclude most of these settings
    assert settings.keys() == {field.name for field in fields(Recipe)} - PLANNED - elsewhere
    default = Recipe(1, [Keyframe()])
    assert [name for name, value in settings.items() if getattr(default, name) == value] == []
    (film,) = films_of(cells_of(Grid(RECIPE.replace(**settings), read_axis("seed=1"))))
    assert {name: getattr(film.recipe, name) for name in settings} == settings
    assert settings.keys() <= plan(film.recipe).settings().keys()
