"""Errors of a recipe point into its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import Recipe, read_recipe
from remix.plan.documents import write_toml
from remix.plan.keyframe import KEYFRAME_FIELDS
from remix.plan.locate import locate

TOML = '''\
frames = 8
note = """
[[keyframes]] at = 3
"quoted" \\""" still """"
size = [512,
        7]   # [[keyframes]]
model.checkpoint = "dream"
"quoted key" = 'a "literal" # string'
dates = 1979-05-27T07:32:00Z

[[keyframes]]
at = 1
prompt = """
at = 5
"""

  [[ keyframes ]]
  prompt = { a = 1, "at" = 2, 'b c' = 3 }
  at = 2
[[model.loras]]
name = "x"
[[model.loras]]
name = "y"
  strength=3
[model.deep."er than"]
x = 1
[[list]]
[[list.inner]]
[[list.inner]]
[[list]]
[[list.inner]]
x = [[1, 2], [3, { y.z = [4,
5] }]]
'''


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ("frames", 1, 1),
        ("size", 5, 1),
        ("size[0]", 5, 9),
        ("size[1]", 6, 9),
        ("size[2]", 5, 1),
        ("model.checkpoint", 7, 1),
        ("['quoted key']", 8, 1),
        ("dates", 9, 1),
        ("keyframes[0]", 11, 1),
        ("keyframes[0].at", 12, 1),
        ("keyframes[0].seed", 11, 1),
        ("keyframes[1]", 17, 3),
        ("keyframes[1].prompt", 18, 3),
        ("keyframes[1].prompt.at", 18, 21),
        ("keyframes[1].prompt['b c']", 18, 31),
        ("keyframes[1].at", 19, 3),
        ("model.loras[1].strength", 24, 3),
        ("model.deep['er than'].x", 26, 1),
        ("list[0].inner[1]", 29, 1),
        ("list[1].inner[0].x", 32, 1),
        ("list[1].inner[0].x[0][1]", 32, 10),
        ("list[1].inner[0].x[1][1].y.z[1]", 33, 1),
    ],
)
def test_a_field_of_toml_is_found(path: str, line: int, column: int) -> None:
    assert locate(TOML, path) == (line, column)
    assert locate(TOML.encode(), path) == (line, column)


JSON = r"""
{ "frames": 8, "note": "{\"keyframes\": [{\"at\": 3}]} \\",
  "keyframes": [
    {"at": 1}, {"prompt":
      {"a": 1, "at": [2, {"b": -1.5e3}]}, "at" : 2
    },
    [], {}, null, 3
  ], "empty": {}, "last": [[]]
}
"""


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ("frames", 2, 3),
        ("keyframes", 3, 3),
        ("keyframes[0]", 4, 5),
        ("keyframes[0].at", 4, 6),
        ("keyframes[1]", 4, 16),
        ("keyframes[1].prompt", 4, 17),
        ("keyframes[1].prompt.at", 5, 16),
        ("keyframes[1].prompt.at[1].b", 5, 27),
        ("keyframes[1].at", 5, 43),
        ("keyframes[1].seed", 4, 16),
        ("keyframes[2]", 7, 5),
        ("keyframes[3]", 7, 9),
        ("keyframes[5]", 7, 19),
        ("empty", 8, 6),
        ("last[0]", 8, 28),
    ],
)
def test_a_field_of_json_is_found(path: str, line: int, column: int) -> None:
    assert locate(JSON, path) == (line, column)


@pytest.mark.parametrize("text", [TOML, JSON, "", "[]", "{"])
def test_what_is_not_there_has_no_place(text: str) -> None:
    assert locate(text, "absent.x") == (None, None)
    assert locate(text, "") == (None, None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "frames = 48\n\n[[keyframes]]\nat = 0\n\n[[keyframes]]\n  at = 48\n",
            'film.toml:7:3: keyframes[1].at: 48 is past the last frame (47); raise "frames" or move the keyframe',
        ),
        (
            'frames = 8\nkeyframes = [{ prompt = "a" },\n  { promt = "b" }]\n',
            'film.toml:3:5: keyframes[1].promt: there is no such field; did you mean "prompt"? '
            f"(known: {', '.join(KEYFRAME_FIELDS)})",
        ),
        (
            "frames = 8\n[[keyframes]]\n[[keyframes]]\nat = 0\n",
            "film.toml:4:1: keyframes[1].at: frame 0 already belongs to keyframes[0]; "
            'move one of the two, or raise "frames"',
        ),
        ("[[keyframes]]\n", 'film.toml: frames: is missing; write 48 or "4s"'),
    ],
)
def test_an_error_is_one_sentence_with_its_place(
    tmp_path: Path, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("film.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        read_recipe("film.toml")
    assert str(caught.value) == sentence


keys = st.text(st.sampled_from("ab_-"), min_size=1, max_size=3)
leaves = st.booleans() | st.integers(0, 99) | st.sampled_from(["", "x = 1", '"', "'", "[[a]]", "a\nb = 1", "{", "#"])
tables = st.dictionaries(
    keys,
    st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
    ),
    min_size=1,
    max_size=4,
)


def _places(value: Any, path: str = "") -> dict[str, Any]:
    found = {path: value} if path else {}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= _places(inner, f"{path}.{key}" if path else key)
    if isinstance(value, list):
        for i, inner in enumerate(value):
            found |= _places(inner, f"{path}[{i}]")
    return found


@given(tables, st.sampled_from([None, 1]))
def test_every_field_of_any_text_is_found(table: dict[str, Any], indent: int | None) -> None:
    """What stands at a field's place is the field's key, or its value where it has no key of its own."""
    for text, written in ((json.dumps(table, indent=indent), json.dumps), (write_toml(table), None)):
        lines = text.split("\n")
        for path, value in _places(table).items():
            line, column = locate(text, path)
            assert line is not None
            assert column is not None
            here = lines[line - 1][column - 1 :]
            key = path.rpartition(".")[2]
            if not path.endswith("]"):
                assert here.lstrip('"[').startswith(key)
            elif written:
                assert here.startswith(json.dumps(value)[:1])


def test_recipes_from_python_have_no_place() -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"frames": 8})
    assert (caught.value.line, caught.value.column, caught.value.source) == (None, None, None)
