"""What a recipe takes, and what it refuses with which words."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import Keyframe, Lora, Mix, Model, Recipe
from tests.core.plan.recipes import recipes

SHORT: dict[str, Any] = {"frames": 8, "keyframes": [{"prompt": "a cat"}]}


def refusal(data: Any) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(data)
    return caught.value


def keyframe(**fields: Any) -> dict[str, Any]:
    return {"frames": 8, "keyframes": [{"image": "a.png"}, fields]}


def test_defaults() -> None:
    recipe = Recipe.from_dict(SHORT)
    assert recipe == Recipe(8, (Keyframe(prompt="a cat"),))
    assert (recipe.fps, recipe.width, recipe.height, recipe.steps, recipe.cfg) == (12.0, 512, 512, 20, 7.0)
    assert (recipe.sampler, recipe.scheduler, recipe.ease, recipe.curve) == ("euler", "normal", "linear", "linear")
    assert (recipe.mix, recipe.lengths, recipe.loop, recipe.folder) == ("lerp", None, False, "")
    assert recipe.model == Model("playground", None, (), 1)


@pytest.mark.parametrize(
    ("given_", "held"),
    [
        ("a cat", (("a cat", 1.0),)),
        ({"a cat": 0.7, "a dog": 0.3}, (("a cat", 0.7), ("a dog", 0.3))),
        ([["a cat", 3], ["a dog", 1]], (("a cat", 0.75), ("a dog", 0.25))),
        ((("a cat", 3), ("a dog", 1)), (("a cat", 0.75), ("a dog", 0.25))),
        (Mix.one("a cat"), (("a cat", 1.0),)),
    ],
)
def test_a_prompt_is_one_or_a_mix(given_: Any, held: Any) -> None:
    assert Keyframe(prompt=given_).prompt == Mix(held)
    assert Keyframe(negative=given_).negative == Mix(held)


@pytest.mark.parametrize(
    ("given_", "held"),
    [
        (7, ((7, 1.0),)),
        (2**64 - 1, ((2**64 - 1, 1.0),)),
        (np.int64(7), ((7, 1.0),)),
        ({7: 1, 8: 1}, ((7, 0.5), (8, 0.5))),
        ({"7": 1, "8": 1}, ((7, 0.5), (8, 0.5))),
        ([[7, 1], [8, 1]], ((7, 0.5), (8, 0.5))),
    ],
)
def test_a_seed_is_one_or_a_mix(given_: Any, held: Any) -> None:
    assert Keyframe(seed=given_).seed == Mix(held)


@pytest.mark.parametrize("size", [[768, 256], (768, 256), "768x256", " 768 X 256 "])
def test_a_size_has_several_spellings(size: Any) -> None:
    recipe = Recipe.from_dict({**SHORT, "size": size})
    assert (recipe.width, recipe.height) == (768, 256)
    assert recipe.to_dict()["size"] == [768, 256]
    assert Recipe.from_dict({**SHORT, "width": 768, "height": 256}) == recipe


def test_a_model_may_be_its_checkpoints_name() -> None:
    assert Recipe.from_dict({**SHORT, "model": "dream"}) == Recipe.from_dict(
        {**SHORT, "model": {"checkpoint": "dream"}}
    )


@pytest.mark.parametrize(
    ("field", "value", "path", "part"),
    [
        ("frames", 0, "frames", "0 is outside 1 to 100000"),
        ("frames", 100_001, "frames", "outside 1 to 100000"),
        ("fps", 0, "fps", "0 is outside 0.001 to 240"),
        ("fps", 241, "fps", "outside"),
        ("fps", "12", "fps", "'12' is not a number"),
        ("fps", True, "fps", "True is not a number"),
        ("fps", float("nan"), "fps", "nan is outside"),
        ("size", [512, 7], "size[1]", "7 is outside 8 to 8192"),
        ("size", [8200, 512], "size[0]", "outside"),
        ("size", [511, 512], "size[0]", "511 is not a multiple of 8; use 504 or 512"),
        ("size", [8192, 8192], "size", "67108864 pixels; keep to 64000000"),
        ("size", [512], "size", "is not a size"),
        ("size", "512", "size", "is not a size"),
        ("size", 512, "size", "is not a size"),
        ("width", 12.0, "width", "12.0 is not a whole number"),
        ("steps", 0, "steps", "outside 1 to 1000"),
        ("steps", 1001, "steps", "outside"),
        ("cfg", -0.1, "cfg", "outside 0 to 100"),
        ("cfg", 10**400, "cfg", "an integer of more than 38 digits is outside 0 to 100"),
        ("sampler", "eulr", "sampler", "'eulr' is not known; did you mean \"euler\"?"),
        ("sampler", "Euler Ancestral", "sampler", 'write "euler_ancestral"'),
        ("sampler", 1, "sampler", "1 is not a name; known: euler"),
        ("scheduler", "kerras", "scheduler", 'did you mean "karras"?'),
        ("loop", 1, "loop", "1 is neither true nor false"),
        ("ease", "linar", "ease", 'did you mean "linear"?'),
        ("ease", 3, "ease", "3 is not the name of an easing"),
        ("curve", "cubik", "curve", 'did you mean "cubic"?'),
        ("mix", "slurp", "mix", 'did you mean "slerp"?'),
        ("lengths", "tiles", "lengths", 'did you mean "tile"?'),
        ("model", 3, "model", "3 is not a table of fields"),
        ("model", " ", "model.checkpoint", "' ' is blank"),
        ("model", "a\nb", "model.checkpoint", "control character"),
        ("model", {"checkpiont": "x"}, "model.checkpiont", 'did you mean "checkpoint"?'),
        ("model", {"clip_skip": 13}, "model.clip_skip", "outside 1 to 12"),
        ("model", {"loras": "x"}, "model.loras", "is not a list"),
        ("model", {"loras": [{}]}, "model.loras[0].name", "is missing"),
        ("model", {"loras": [{"name": "x", "strength": 11}]}, "model.loras[0].strength", "outside -10 to 10"),
        ("model", {"loras": [{"name": "x"}, {"nam": "y"}]}, "model.loras[1].nam", 'did you mean "name"?'),
        ("keyframes", [], "keyframes", "there are 0; give 1 to 10000"),
        ("keyframes", {}, "keyframes", "is not a list of keyframes"),
        ("keyframes", ["a cat"], "keyframes[0]", "'a cat' is not a table of fields"),
        ("keyframes", [{}] * 10_001, "keyframes", "there are 10001"),
        ("frame", 8, "frame", 'there is no such field; did you mean "frames"?'),
        ("weird key", 8, "['weird key']", "there is no such field"),
        ("seed", 7, "seed", 'belongs to a keyframe; write "seed" below [[keyframes]]'),
        ("checkpoint", "x", "checkpoint", 'belongs to the model; write "checkpoint" below [model]'),
        ("resolution", [8, 8], "resolution", 'it is called "size" here'),
        ("guidance_scale", 3, "guidance_scale", 'it is called "cfg" here'),
        ("strength", 1, "strength", 'it is called "denoise" here, and belongs to a keyframe; write "denoise" below'),
        ("model", {"steps": 3}, "model.steps", 'belongs to the whole recipe; write "steps" above all [[keyframes]]'),
        ("keyframes", {"prompt": "a"}, "keyframes", "write [[keyframes]] above each (in JSON a list)"),
        ("sampler", "euler_a", "sampler", "'euler_a' is what other tools call it; write \"euler_ancestral\""),
        ("sampler", "Euler a", "sampler", "'Euler a' is what other tools call it; write \"euler_ancestral\""),
        ("sampler", "DPM++ 2M SDE Karras", "sampler", 'write "dpmpp_2m_sde" and scheduler = "karras"'),
        ("sampler", "DPM++ 3M", "sampler", 'is not known; did you mean "dpmpp_2m"?'),
        ("scheduler", "SGM Uniform", "scheduler", 'is not known; write "sgm_uniform"'),
    ],
)
def test_a_wrong_field_is_refused_with_its_place(field: str, value: Any, path: str, part: str) -> None:
    error = refusal({**SHORT, field: value})
    assert error.path == path
    assert part in str(error)


@pytest.mark.parametrize(
    ("fields", "path", "part"),
    [
        ({"at": "x"}, ".at", "is not a moment"),
        ({"prompts": "x"}, ".prompts", 'did you mean "prompt"?'),
        ({"steps": 3}, ".steps", 'belongs to the whole recipe; write "steps" above all [[keyframes]]'),
        ({"frame": 3}, ".frame", 'it is called "at" here'),
        ({"vae": "x"}, ".vae", 'belongs to the model; write "vae" below [model]'),
        ({"prompt": 3}, ".prompt", "3 is not text"),
        ({"prompt": "x" * 20_001}, ".prompt", "20001 characters are too many; keep to 20000"),
        ({"prompt": "\ud83d"}, ".prompt", "half of a surrogate pair"),
        ({"prompt": []}, ".prompt", "at least one value"),
        ({"prompt": {}}, ".prompt", "at least one value"),
        ({"prompt": {"a": 0}}, ".prompt", "a weight above 0"),
        ({"prompt": {"a": -1}}, ".prompt", "-1 is outside 0 to 1e+06"),
        ({"prompt": {"a": 1, "b": -0.3}}, ".prompt", "the weight -0.3 is outside 0 to 1e+06, since weights are shares"),
        ({"negative": [["a", -0.3]]}, ".negative[0]", "the weight -0.3 is outside"),
        ({"prompt": {"a": "1"}}, ".prompt", "'1' is not a number"),
        ({"prompt": ["a", "b"]}, ".prompt[0]", "'a' is not a pair; write [value, weight]"),
        ({"prompt": [["a", 1], ["b"]]}, ".prompt[1]", "is not a pair"),
        ({"prompt": [["a", 1], [2, 1]]}, ".prompt[1]", "2 is not text"),
        ({"prompt": [[f"{i}", 1] for i in range(65)]}, ".prompt", "65 parts is too large; keep to 64"),
        ({"negative": 3}, ".negative", "3 is not text"),
        ({"seed": -1}, ".seed", "-1 is outside 0 to 18446744073709551615"),
        ({"seed": -1}, ".seed", "It means a random seed in other tools"),
        ({"seed": {-1: 1, 2: 1}}, ".seed", "It means a random seed in other tools"),
        ({"seed": -2}, ".seed", "-2 is outside 0 to"),
        ({"cfg": "strong"}, ".cfg", "'strong' is neither a number nor an expression; write a number from 0 to 100"),
        ({"cfg": "fp"}, ".cfg", "neither a number nor an expression"),
        ({"denoise": " half "}, ".denoise", "neither a number nor an expression; write a number from 0 to 1"),
        ({"cfg": "7 + strong"}, ".cfg", "there is no number named 'strong'"),
        ({"seed": 2**64}, ".seed", "outside"),
        ({"seed": 7.0}, ".seed", "7.0 is not a whole number"),
        ({"seed": True}, ".seed", "True is not a whole number"),
        ({"seed": {"x": 1}}, ".seed", "'x' is not a whole number"),
        ({"cfg": 101}, ".cfg", "outside 0 to 100"),
        ({"denoise": 1.1}, ".denoise", "1.1 is outside 0 to 1"),
        ({"ease": "bounze-in"}, ".ease", 'did you mean "bounce-in"?'),
        ({"image": ""}, ".image", "is blank"),
        ({"mask": 3}, ".mask", "3 is not text"),
        ({"mask_image": "a.png"}, ".mask_image", 'it is called "mask" here'),
        ({"loras": "film grain"}, ".loras", 'is not a table of strengths; write { "film grain" = 0.8 }'),
        ({"loras": [{"name": "x"}]}, ".loras", "is not a table of strengths"),
        ({"loras": {}}, ".loras", "names 0 LoRAs; give 1 to 64"),
        ({"loras": {f"{i}": 1 for i in range(65)}}, ".loras", "names 65 LoRAs"),
        ({"loras": {"x": 1, "y": 11}}, ".loras.y", "11 is outside -10 to 10"),
        ({"loras": {"a/b.c": "1"}}, ".loras['a/b.c']", "'1' is not a number"),
        ({"loras": {" ": 1}}, ".loras", "' ' is blank"),
        ({"lora": {"x": 1}}, ".lora", 'it is called "loras" here'),
    ],
)
def test_a_wrong_keyframe_is_refused_with_its_place(fields: Any, path: str, part: str) -> None:
    error = refusal(keyframe(**fields))
    assert error.path == f"keyframes[1]{path}"
    assert part in str(error)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../a.png",
        "a/../../b.png",
        "a..b.png",
        "C:\\a.png",
        "C:a.png",
        "\\\\server\\share\\a.png",
        "a\\b.png",
        "~/a.png",
        "http://127.0.0.1/a.png",
        "file:a.png",
        "a\x00.png",
        "a\n.png",
    ],
)
def test_a_picture_outside_the_recipes_folder_is_refused(path: str) -> None:
    for field in ("image", "mask"):
        assert refusal(keyframe(**{field: path})).path == f"keyframes[1].{field}"
        with pytest.raises(RecipeError):
            Keyframe(**{field: {path: 1}})


@pytest.mark.parametrize("path", ["a.png", "pictures/a.png", "日本/é.png", ".hidden/a b.png"])
def test_a_picture_beside_the_recipe_is_taken(path: str) -> None:
    assert Keyframe(image=path).image == Mix.one(path)


def test_denoise_below_one_needs_a_picture() -> None:
    error = refusal({"frames": 8, "keyframes": [{}, {"denoise": 0.5}]})
    assert str(error) == (
        'keyframes[1].denoise: 0.5 keeps part of a picture, but no keyframe sets one; set "image", '
        'or leave "denoise" out'
    )
    assert Recipe.from_dict({"frames": 8, "keyframes": [{}, {"denoise": 1}]}).keyframes[1].denoise == 1.0
    assert Recipe.from_dict({"frames": 8, "keyframes": [{"image": "a.png"}, {"denoise": 0}]})


def test_a_mask_needs_a_picture() -> None:
    error = refusal({"frames": 8, "keyframes": [{}, {"mask": "m.png"}]})
    assert str(error) == (
        'keyframes[1].mask: says where a picture is drawn again, but no keyframe sets one; set "image", '
        'or leave "mask" out'
    )
    assert Recipe.from_dict({"frames": 8, "keyframes": [{"image": "a.png"}, {"mask": "m.png"}]})


def test_strengths_are_a_table_in_order_of_the_names() -> None:
    keyframe = Keyframe(loras={"b": 1, "a": -0.5})
    assert keyframe.loras == (Lora("a", -0.5), Lora("b", 1))
    assert keyframe == Keyframe(loras=[Lora("b"), Lora("a", -0.5)])
    assert Recipe(8, (keyframe,)).to_dict()["keyframes"] == [{"loras": {"a": -0.5, "b": 1.0}}]
    with pytest.raises(RecipeError, match="names 1 LoRAs; give 1 to 64, each once"):
        Keyframe(loras=[Lora("b"), Lora("b", 0.5)])


@pytest.mark.parametrize("missing", ["frames", "keyframes"])
def test_what_a_recipe_must_have(missing: str) -> None:
    error = refusal({name: value for name, value in SHORT.items() if name != missing})
    assert error.path == missing
    assert "is missing; write" in str(error)


def test_a_size_is_said_once() -> None:
    assert refusal({**SHORT, "size": [512, 512], "width": 512}).path == "size"


@pytest.mark.parametrize("data", [None, 3, "text", [], [SHORT]])
def test_what_is_no_table_is_no_recipe(data: Any) -> None:
    assert "is not a table of fields" in str(refusal(data))


def test_the_constructor_refuses_what_is_no_keyframe() -> None:
    with pytest.raises(RecipeError, match=r"use Recipe\.from_dict") as caught:
        Recipe(8, (Keyframe(), {}))  # type: ignore[arg-type]
    assert caught.value.path == "keyframes[1]"
    with pytest.raises(RecipeError, match="is not a Model"):
        Recipe(8, (Keyframe(),), model="dream")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="is not a list of Lora"):
        Model(loras=("x",))  # type: ignore[arg-type]


def test_replace_validates_anew() -> None:
    recipe = Recipe(8, (Keyframe(7, prompt="a"),), folder="here")
    assert recipe.replace(steps=3).steps == 3
    assert recipe.replace(steps=3).folder == "here"
    with pytest.raises(RecipeError, match="past the last frame"):
        recipe.replace(frames=4)


def test_a_recipe_is_a_value() -> None:
    recipe = Recipe(8, (Keyframe(prompt="a"),), model=Model(loras=(Lora("x"),)))
    same = Recipe(8, [Keyframe(prompt={"a": 3})], model=Model(loras=[Lora("x", 1)]), folder="elsewhere")  # type: ignore[arg-type]
    assert recipe == same
    assert hash(recipe) == hash(same)
    with pytest.raises(FrozenInstanceError):
        recipe.frames = 9  # type: ignore[misc]


def test_minus_zero_is_zero() -> None:
    keyframe = Keyframe(cfg=-0.0, denoise=-0.0, image="a.png")
    assert (str(keyframe.cfg), str(keyframe.denoise)) == ("0.0", "0.0")


def test_a_dictionary_holds_only_what_is_no_default() -> None:
    assert Recipe.from_dict(SHORT).to_dict() == SHORT
    assert Recipe(8, (Keyframe(), Keyframe(seed={1: 1, 2: 1})), height=256).to_dict() == {
        "frames": 8,
        "size": [512, 256],
        "keyframes": [{}, {"seed": [[1, 0.5], [2, 0.5]]}],
    }


@given(recipes())
def test_a_recipe_survives_its_dictionary(recipe: Recipe) -> None:
    plain = recipe.to_dict()
    assert Recipe.from_dict(plain) == recipe
    assert list(Recipe.from_dict(plain).to_dict()) == list(plain)


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["frames", "fps", "size", "width", "model", "sampler", "steps", "cfg", "loop", "ease", "keyframes"]
KEYFRAME_FIELDS = ["at", "prompt", "negative", "seed", "cfg", "denoise", "image", "mask", "loras", "ease"]


@given(
    st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), plain_values, max_size=4),
    st.lists(st.dictionaries(st.sampled_from(KEYFRAME_FIELDS), plain_values, max_size=3), max_size=3) | st.none(),
)
def test_any_values_give_a_recipe_or_a_recipe_error(data: Any, keyframes: Any) -> None:
    if keyframes is not None:
        data = {"frames": 8, **data, "keyframes": keyframes}
    with suppress(RecipeError):
        recipe = Recipe.from_dict(data)
        assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_planning_needs_neither_numpy_nor_torch() -> None:
    code = "import sys, remix.plan; sys.exit(bool({'numpy', 'torch', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_fields_that_were_left_out_take_the_models_own_defaults() -> None:
    own = {"width": 128, "height": 128, "sampler": "dpmpp_2m", "scheduler": "sgm_uniform", "steps": 12, "cfg": 3.0}
    recipe = Recipe.from_dict({**SHORT, "steps": 20, "size": [512, 768]})
    assert recipe.defaulted == {"sampler", "scheduler", "cfg"}
    fitted = recipe.fitted_to(own)
    assert (fitted.width, fitted.height, fitted.steps) == (512, 768, 20)
    assert (fitted.sampler, fitted.scheduler, fitted.cfg) == ("dpmpp_2m", "sgm_uniform", 3.0)
    assert fitted.defaulted == frozenset()
    assert recipe.settled().fitted_to(own) == recipe
    assert Recipe(8, recipe.keyframes).replace(cfg=7.0).fitted_to(own) == Recipe(
        8, recipe.keyframes, **{**own, "cfg": 7}
    )


@pytest.mark.parametrize("write", [Recipe.to_toml, Recipe.to_json])
def test_a_default_that_was_written_stays_written(write: Any) -> None:
    """Left out of the text, it would become the default of the model."""
    read = Recipe.from_toml if write is Recipe.to_toml else Recipe.from_json
    recipe = Recipe.from_dict({**SHORT, "steps": 20, "size": [512, 512]})
    again = read(write(recipe))
    assert again == recipe
    assert again.defaulted == recipe.defaulted == {"sampler", "scheduler", "cfg"}
    assert recipe.to_dict() == Recipe.from_dict(SHORT).to_dict()  # the canonical form has no defaults


@pytest.mark.parametrize("field", ["width", "height", "sampler", "scheduler", "steps", "cfg", "size"])
def test_null_is_no_value(field: str) -> None:
    error = refusal({**SHORT, field: None})
    assert str(error.path).startswith(field)
