"""Strangers' text: read strictly, refused with a position, written so that it reads back the same."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.errors import MissingPackage, RecipeError
from remix.plan import Keyframe, Recipe, read_recipe
from remix.plan.documents import LIMIT, read_json, read_toml, write_toml
from tests.core.plan.recipes import recipes

TOML = """\
# a comment with keyframes[1] = "in it"
frames = "4s"
size = "768x256"
loop = true

[model]
checkpoint = "dream"
loras = [{ name = "grain", strength = 0.5 }]

[[keyframes]]
prompt = "a cat"      # who
seed = 7

[[keyframes]]
at = "50%"
prompt = { "a cat" = 2, "a dog" = 1 }
ease = "ease_in_out"
"""


def test_toml_and_json_say_the_same() -> None:
    recipe = Recipe.from_toml(TOML)
    plain = {
        "frames": 48,
        "size": [768, 256],
        "loop": True,
        "model": {"checkpoint": "dream", "loras": [{"name": "grain", "strength": 0.5}]},
        "keyframes": [
            {"prompt": "a cat", "seed": 7},
            {"at": "50%", "prompt": [["a cat", 0.666666667], ["a dog", 0.333333333]], "ease": "in-out"},
        ],
    }
    assert recipe.to_dict() == plain
    assert Recipe.from_json(json.dumps(plain)) == recipe


def test_toml_is_written_to_be_read() -> None:
    assert Recipe.from_toml(TOML).to_toml() == (
        "frames = 48\nsize = [768, 256]\nloop = true\n\n"
        '[model]\ncheckpoint = "dream"\nloras = [{ name = "grain", strength = 0.5 }]\n\n'
        '[[keyframes]]\nprompt = "a cat"\nseed = 7\n\n'
        '[[keyframes]]\nat = "50%"\nprompt = [["a cat", 0.666666667], ["a dog", 0.333333333]]\nease = "in-out"\n'
    )


@given(recipes())
def test_a_recipe_survives_toml_and_json(recipe: Recipe) -> None:
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_toml(recipe.to_toml().encode()) == recipe


plain_values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), plain_values, max_size=5))
def test_any_plain_table_survives_toml(table: dict[str, Any]) -> None:
    assert read_toml(write_toml(table)) == table


def test_toml_has_escapes_for_what_a_terminal_obeys_and_for_nothing_else() -> None:
    plain = "日本\u3000é 👩\u200d💻\xa0"
    text = Recipe(8, (Keyframe(prompt=f"{plain}\x1b\x7f\x9b\u2028\u202e"),)).to_toml()
    assert f'prompt = "{plain}\\u001b\\u007f\\u009b\\u2028\\u202e"' in text


@pytest.mark.parametrize("suffix", [".toml", ".json", ".TOML"])
def test_a_recipe_survives_its_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"日本 é 🎬{suffix}"
    recipe = Recipe(8, (Keyframe(prompt="日本 é 🎬\n\"two\" 'lines'\\\x7f\x85\x9b\u202e\u2066"),))
    recipe.save(path)
    assert read_recipe(path) == Recipe.load(str(path)) == recipe
    assert Recipe.load(path).folder == str(tmp_path)
    assert b"\r" not in path.read_bytes()


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b""])
def test_windows_files_are_read(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(before + TOML.replace("\n", "\r\n").encode())
    assert read_recipe(path) == Recipe.from_toml(TOML) == Recipe.from_toml("\ufeff" + TOML)
    path.write_bytes(before + TOML.replace("\n", "\r\n").replace("seed = 7", "seed = -7").encode())
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert (caught.value.line, caught.value.column) == (12, 1)


@pytest.mark.parametrize("text", ['[{"a": 1},]', '{"a": 1,\n}', '{"a": [1, 2,]}'])
def test_a_comma_after_the_last_value_is_told(text: str) -> None:
    # Its place is that of the comma or of the bracket, by the version of Python.
    with pytest.raises(RecipeError, match="a comma stands after the last value; leave it out"):
        read_json(text)


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("{", 1, 2, "this is not JSON"),
        ('{"a": 1,\n "b": }', 2, 7, "this is not JSON"),
        (
            '{"a": 1 // one\n}',
            1,
            9,
            "this is not JSON: JSON has no comments; leave it out, or write the recipe as TOML",
        ),
        ('{"a": “b”}', 1, 7, 'this is not JSON: “ is a curly quote; write straight ones: "'),
        ("", 1, 1, "this is not JSON"),
        ('{"a": NaN}', 1, 7, "NaN is not a finite number"),
        ('{"NaN": 1,\n"a": -Infinity}', 2, 6, "-Infinity is not a finite number"),
        ('{"a": 1e999}', 1, 7, "1e999 is not a finite number"),
        ('{"a": ' + "1" * 5000 + "}", 1, 7, "an integer of 5000 digits is too long"),
        ('{"a": 1,\n "b": 2, "a": 3}', 2, 10, "the field 'a' is given twice"),
        ('{"b": {"a": 1}, "c": [{"a": 1}, {"x": "\\"a\\": 1",\n"x" : 3}]}', 2, 1, "the field 'x' is given twice"),
        ("[" * 100_000, None, None, "nested too deeply"),
    ],
)
def test_bad_json_is_refused_with_its_place(text: str, line: int | None, column: int | None, part: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_json(text, source="a.json")
    assert (caught.value.line, caught.value.column, caught.value.source) == (line, column, "a.json")
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("a = 1\nb = = 2", 2, 5, "this is not TOML"),
        ("a = 1\na = 2\n", 2, 6, "this is not TOML: the field 'a' is given twice; keep one"),
        ("a = True # yes", 1, 5, "this is not TOML: True begins with a small letter; write true"),
        ("a = “b”", 1, 5, 'this is not TOML: “ is a curly quote; write straight ones: "'),
        ("a = .5", 1, 5, "this is not TOML: .5 needs a digit before its point; write 0.5"),
        ("a = a red \u2764", 1, 5, 'a red \u2764 is text without quotes; write "a red \u2764"'),
        ("frames = 4s", 1, 11, 'this is not TOML: 4s is text without quotes; write frames = "4s"'),
        ("at = 500ms # half", 1, 9, '500ms is text without quotes; write at = "500ms"'),
        ("at = 50%", 1, 8, '50% is text without quotes; write at = "50%"'),
        ("size = 512x768", 1, 11, '512x768 is text without quotes; write size = "512x768"'),
        ('image = "C:\\Users\\a.png"', 1, 14, "a backslash begins an escape"),
        ('image = "C:\\pics\\a.png"', 1, 14, "write / between folders"),
        ('image = "..\\xyz.png"', 1, 14, "a backslash begins an escape"),
        ("a = [1, True]", 1, 9, "this is not TOML: Invalid value; correct it here"),
        ('a = "x', 1, None, "this is not TOML"),
        ("just a long sentence of many words and more, " * 9, 1, 6, "this is not TOML"),
        ("# nan\nb = [1.0,\n nan]", 3, 2, "nan is not a finite number"),
        ("a = -inf", 1, 5, "-inf is not a finite number"),
        ("a = 1e999", 1, 5, "1e999 is not a finite number"),
        ("a = " + "1" * 5000, None, None, "this is not TOML"),
        ("a = 2024-13-01", 1, 9, "this is not TOML"),
        ("a = " + "[" * 100_000, None, None, "nested too deeply"),
        ("a." * 33 + "b = 1", None, None, "a key has more than 32 parts"),
        ("a." * 1_000_000 + "b = 1", None, None, "a key has more than 32 parts"),
        ("[x]\n" + "a . " * 33 + "b = 1", None, None, "a key has more than 32 parts"),
        ("x = { " + "a." * 33 + "b = 1 }", None, None, "a key has more than 32 parts"),
        ("[" + "a." * 33 + "b]", None, None, "a key has more than 32 parts"),
    ],
)
def test_bad_toml_is_refused_with_its_place(text: str, line: int | None, column: int | None, part: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_toml(text, source="a.toml")
    assert (caught.value.line, caught.value.column, caught.value.source) == (line, column, "a.toml")
    assert part in str(caught.value)


def test_a_sentence_of_dots_is_no_deep_key() -> None:
    assert read_toml('prompt = "' + "a.b " * 50 + '"\n# ' + "a.b." * 50)["prompt"].startswith("a.b")


@pytest.mark.parametrize("read", [read_json, read_toml])
def test_long_text_is_refused_before_it_is_read(read: Any) -> None:
    for text in (" " * (LIMIT + 1), b" " * (LIMIT + 1)):
        with pytest.raises(RecipeError, match="longer than 4194304"):
            read(text)
    with pytest.raises(RecipeError, match="longer than 3"):
        read("    ", limit=3)


@pytest.mark.parametrize("read", [read_json, read_toml])
def test_text_that_is_not_utf8_is_refused_with_its_place(read: Any) -> None:
    with pytest.raises(RecipeError, match="not UTF-8") as caught:
        read("a = 1\nb = é".encode("latin-1"))
    assert (caught.value.line, caught.value.column) == (2, 5)
    with pytest.raises(RecipeError, match="not UTF-8"):
        read("a = 1".encode("utf-16"))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("none.toml", "cannot be read (No such file or directory)"),
        ("folder.toml", "cannot be read (Is a directory)"),
        ("recipe.yaml", "'.yaml' is not a suffix of recipes; name it .toml or .json"),
        ("recipe", "is not a suffix of recipes"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_by_name(tmp_path: Path, name: str, part: str) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "recipe.yaml").write_text("", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / name)
    assert caught.value.source == str(tmp_path / name)
    assert part in str(caught.value)


def test_a_long_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b" " * (LIMIT + 1))
    with pytest.raises(RecipeError, match="longer than"):
        read_recipe(tmp_path / "a.json")


def test_python_3_10_without_tomli_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 14))
    monkeypatch.setitem(sys.modules, "tomli", None)
    with pytest.raises(MissingPackage, match="pip install tomli"):
        read_toml("a = 1")


pieces = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        "[[",
        "]]",
        ",",
        ":",
        "=",
        "\n",
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "a",
        "a.b",
        "#",
        " ",
        "1",
        "nan",
    ]
)


@given(st.lists(pieces, max_size=30).map("".join) | st.text(max_size=30) | st.binary(max_size=30))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    for read in (read_json, read_toml):
        with suppress(RecipeError):
            read(text)
    for build in (Recipe.from_json, Recipe.from_toml):
        with suppress(RecipeError):
            build(text)
