"""The panel of the A1111 script, without a host: what fields say, what is shown back, and what an infotext keeps."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a1111_extension import pasting, preview
from a1111_extension.presets import examples
from a1111_extension.settings import Fields, Settings
from remix.errors import BadInput, RecipeError
from remix.hosts.a1111.infotext import parse_infotext
from remix.hosts.examples import EXAMPLES
from remix.job.reading import JOB, RECIPE
from remix.plan import EASINGS, Keyframe, Recipe, plan
from tests.fakes.gradio import Page
from tests.fakes.webui import webui

DEFORUM_ITER = json.dumps({"max_frames": 9, "prompts": {"0": "a", "8": "b"}, "seed": -1, "seed_behavior": "iter"})
THREE = "0: a red house\n6: a white house\n11: a boat"


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[ModuleType]:
    """The file panel.py, among fakes of A1111 and of gradio; `panel.page` is what is made with them."""
    with webui(tmp_path):
        loaded = importlib.import_module("a1111_extension.panel")
        loaded.page = sys.modules["gradio"].page  # type: ignore[attr-defined]
        loaded.live = importlib.import_module("a1111_extension.live_preview")  # type: ignore[attr-defined]
        yield loaded


def values_of(panel: ModuleType, **changed: Any) -> list[Any]:
    """The values of the components as they are at first, but for some."""
    components = panel.Panel().build(False, lambda name: name)
    first = {name: component.value for name, component in zip(panel.NAMES, components, strict=True)}
    assert set(changed) <= set(first)
    return [{**first, **changed}[name] for name in panel.NAMES]


def test_fields_that_nobody_touched_say_what_settings_say(panel: ModuleType) -> None:
    plain = panel.live.Settings()
    assert panel.live.settings_of(values_of(panel)) == plain
    assert panel.live.settings_of([]) == plain
    assert panel.live.settings_of([None] * len(panel.NAMES)) == plain
    assert panel.live.settings_of([THREE]) == panel.live.Settings(text=THREE)


@pytest.mark.parametrize(
    ("field", "shown", "meant"),
    [
        ("frames", "4s", "4s"),
        ("fps", 24, 24.0),
        ("ease", "sine-in-out", "sine-in-out"),
        ("mix", "slerp", "slerp"),
        ("film", "gif", "gif"),
        ("film", "frames alone", ""),
        ("new", "new", True),
        ("new", "resume", False),
        ("portable", False, False),
        ("syntax", "fizznodes", "fizznodes"),
    ],
)
def test_what_a_field_shows_is_what_it_means(panel: ModuleType, field: str, shown: Any, meant: Any) -> None:
    assert getattr(panel.live.settings_of(values_of(panel, **{field: shown})), field) == meant


@pytest.mark.parametrize(("field", "value"), [("fps", -1), ("fps", 1000), ("batch", 0), ("batch", 1.5)])
def test_a_number_out_of_range_is_refused_by_its_name(panel: ModuleType, field: str, value: float) -> None:
    with pytest.raises(BadInput, match=f"^{field}"):
        panel.live.settings_of(values_of(panel, **{field: value}))


@pytest.mark.parametrize("is_img2img", [False, True])
def test_every_field_has_its_own_id_and_name(panel: ModuleType, is_img2img: bool) -> None:
    made = panel.Panel().build(is_img2img, lambda name: f"script_{name}")
    ids = [component.elem_id for component in panel.page if component.elem_id]
    assert len(set(ids)) == len(ids)
    assert len({component.label for component in made}) == len(panel.NAMES) == len(made)
    assert all(component.elem_id.startswith("script_") for component in made)
    assert all(
        component.options.get("tooltip") or component.options.get("info") for component in made if component.label
    )


def wire(panel: ModuleType, tab: str) -> Any:
    """A panel in a tab of a host that makes its own fields before, and its results after."""
    made, component = panel.Panel(), sys.modules["gradio"].Textbox  # type: ignore[attr-defined]
    names = ("prompt", "neg_prompt", "seed", "cfg_scale", "denoising_strength", "subseed_strength")
    for name in (f"{tab}_{name}" for name in names):
        made.seen(component(elem_id=name), name)
    made.build(tab == "img2img", lambda name: f"{tab}_{name}")
    for name in (f"{tab}_gallery_container", f"{tab}_gallery", f"generation_info_{tab}"):
        made.seen(component(elem_id=name), name)
    return made


def test_building_a_panel_alone_changes_nothing_else(panel: ModuleType) -> None:
    """As the host does it more than once, for the defaults of its API."""
    made = panel.Panel()
    for _ in range(3):
        made.build(False, lambda name: name)
    clicks = [("click", "Add the bundled model"), ("click", "Use it"), ("click", "Save")]
    assert [(event.name, event.component.value) for event in panel.page.events] == clicks * 3


@pytest.mark.parametrize(("tab", "denoise"), [("txt2img", False), ("img2img", True)])
def test_every_change_asks_what_is_understood(panel: ModuleType, tab: str, denoise: bool) -> None:
    wire(panel, tab)
    page: Page = panel.page  # type: ignore[assignment]
    asking = [event.component.elem_id for event in page.events if event.js and "remixLook" in event.js]
    assert len(asking) == len(panel.NAMES) + (6 if denoise else 5)
    assert (f"{tab}_denoising_strength" in asking) is denoise
    (look,) = [event for event in page.events if event.js and "remixAsked" in event.js]
    assert f"slice(0, {len(look.inputs)})" in look.js
    seed = [component.elem_id for component in look.inputs].index(f"{tab}_seed")
    values = [*values_of(panel, text=THREE, frames="12"), *[None] * (len(look.inputs) - len(panel.NAMES))]
    values[seed] = 4711
    assert "4711" in look.fn(*values)


def clicked(panel: ModuleType, button: str) -> Any:
    """The event of a button, in a panel of its own."""
    panel.page.events.clear()
    panel.Panel().build(False, lambda name: name)
    (found,) = [event for event in panel.page.events if event.component.value == button]
    return found


UPDATE = {"__type__": "update"}


def test_an_example_goes_into_the_text(panel: ModuleType) -> None:
    used = clicked(panel, "Use it")
    assert used.fn("prompt travel", "") == [examples()["prompt travel"], *[UPDATE] * (len(panel.NAMES) - 1)]
    assert used.fn(None, "my text") == used.fn("no such one", "my text") == [UPDATE] * len(panel.NAMES)
    assert used.js == "remixReplace"  # asks before a text is replaced


def test_fields_are_saved_as_a_preset_and_given_back(panel: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "remix-presets"
    changed = {"text": THREE, "frames": "4s", "loop": True, "film": "frames alone", "new": "new", "between": 3}
    values = values_of(panel, **changed)
    listed, shown = clicked(panel, "Save").fn("my: film", *values)
    assert listed == {**UPDATE, "choices": [*examples(), "my_ film"], "value": "my_ film"}
    assert f"Saved my_ film in {folder}" in shown
    kept = json.loads((folder / "my_ film.json").read_text(encoding="utf-8"))
    assert kept == {"recipe": THREE, "frames": "4s", "loop": True, "film": "", "between": 3}  # as the API takes it
    used = clicked(panel, "Use it")
    assert used.inputs[0].choices[-1] == "my_ film"
    back = dict(zip(panel.NAMES, used.fn("my_ film", ""), strict=True))
    assert back == {**dict(zip(panel.NAMES, values, strict=True)), "new": UPDATE, "every": UPDATE}
    for name in ("broken", "other"):
        (folder / f"{name}.json").write_text({"broken": "{", "other": '{"frames": 3}'}[name], encoding="utf-8")
    assert clicked(panel, "Save").fn("b", *values)[0]["choices"] == [*examples(), "b", "my_ film"]


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        (None, {}, "has no name"),
        ("  ", {}, "has no name"),
        ("seed walk", {}, "is an example"),
        ("x", {"fps": 1000}, "FPS"),
    ],
)
def test_a_preset_that_cannot_be_saved_says_why(
    panel: ModuleType, tmp_path: Path, name: str | None, changed: dict[str, Any], words: str
) -> None:
    listed, shown = clicked(panel, "Save").fn(name, *values_of(panel, text=THREE, **changed))
    assert listed == UPDATE
    assert words in shown
    assert not (tmp_path / "data").exists()


def test_notes_name_fields_of_the_page_and_no_options(panel: ModuleType) -> None:
    shown = page_of(panel, '{"prompt_map": {"0": "a", "8": "b"}, "seed": [-1]}', frames="12")
    assert "a random seed; here it is 0 unless you give one (Seed)" in shown


def test_a_draft_is_named_in_the_preview(panel: ModuleType) -> None:
    assert "Draft: 4 of 12 frames are rendered." in page_of(panel, THREE, frames="12", every=5, film="")
    assert "Draft:" not in page_of(panel, THREE, frames="12")


def test_in_betweens_are_those_of_the_recipe_and_need_opencv(
    panel: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cv2")
    settings = panel.live.settings_of(values_of(panel, text=THREE, frames="12", between=3))
    assert settings.recipe(Fields()).between == 3
    assert "<table" in page_of(panel, THREE, frames="12", between=3)
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert "opencv" in page_of(panel, THREE, frames="12", between=3)
    assert "<table" in page_of(panel, THREE, frames="12", between=3, film="frames alone")


HOST = {"prompt": "", "negative": "", "seed": 7, "steps": 20, "cfg": 5.5, "width": 512, "height": 512}
HOST |= {"sampler": "DPM++ 2M", "scheduler": "Karras"}


def page_of(
    panel: ModuleType, text: str, host: dict[str, Any] | None = None, tab: str = "txt2img", **changed: Any
) -> str:
    """What is shown, without its style."""
    shown = panel.live.live_preview(values_of(panel, text=text, **changed), HOST if host is None else host, tab)
    return re.sub(r"<style>.*?</style>", "", shown, flags=re.DOTALL)


def cells(page: str) -> list[list[str]]:
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", page)]


@pytest.mark.parametrize("text", ["", "  \n ", "\t"])
def test_an_empty_panel_invites(panel: ModuleType, text: str) -> None:
    assert "Write keyframes" in page_of(panel, text)
    assert "<table" not in page_of(panel, text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (THREE, "sd-webui-animatediff"),
        ('"0": "a red house", "11": "a boat"', "FizzNodes"),
        ('{"0": "a red house", "11": "a boat"}', "Deforum"),
        ('0:11 = "a red house", -1 = "a boat"', "AnimateDiff-Evolved"),
        ("a red house\na boat", "prompt travel"),
        ("0s: a red house\n0.9s: a boat", "lines with frames, times or shares"),
        ('[[keyframes]]\nprompt = "a red house"\n[[keyframes]]\nprompt = "a boat"', "a recipe"),
    ],
)
def test_whatever_syntax_it_is_the_table_and_the_curves_are_shown(panel: ModuleType, text: str, read: str) -> None:
    page = page_of(panel, text, frames="12")
    assert "<b>12 frames</b>, 1.0 s at 12 fps" in page
    assert read in page
    assert cells(page)[0] == ["frame", "time", "prompt", "seed", "cfg"]
    assert cells(page)[1] == ["0", "0.00s", "a red house", "7", "5.5"]
    assert cells(page)[-1][2] == "a boat"
    assert page.count('src="data:image/png;base64,') == 1
    assert "<i style=" in page
    assert "a boat</span>" in page


def test_long_prompts_and_many_of_them_leave_a_short_preview(panel: ModuleType) -> None:
    text = "\n".join(f"{k}: prompt {k} {'of many words ' * 200}" for k in range(300))
    page = page_of(panel, text, frames="300")
    legend = re.findall(r"</i>([^<]*)</span>", page)
    assert len(legend) == 13
    assert legend[-1] == "and 288 more"
    assert max(map(len, legend)) <= 40
    assert 'title="prompt 0 of many words' in page
    assert len(cells(page)) <= 60
    assert max(len(cell) for row in cells(page) for cell in row) <= 120
    assert len(page) < 200_000


def test_a_film_that_takes_long_to_plan_is_not_planned_while_its_text_is_typed(
    panel: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel.live, "plan", lambda recipe: pytest.fail("it was planned"))
    page = page_of(panel, "0: a red house\n11: a boat", frames="100000")
    assert "This film is too long" in page
    assert "It can be generated." in page


@pytest.mark.parametrize(
    ("text", "sentence", "excerpt"),
    [
        ("0: a\n0: b", "line 2:1: frame 0 is given twice, first in line 1; keep one of the two", "0: b\n^"),
        ('[[keyframes]]\nprompt = "a"\n sed = 3', 'did you mean "seed"', " sed = 3\n ^"),
        ("[[keyframes]\n", "line 1:12: this is not TOML", "[[keyframes]\n           ^"),
        ('"0": "a `sni(t)`"', 'did you mean "sin"', '"0": "a `sni(t)`"\n         ^'),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line_and_a_caret(
    panel: ModuleType, text: str, sentence: str, excerpt: str
) -> None:
    page = page_of(panel, text, frames="12")
    wrong = re.search(r'<div class="wrong">(.*?)<pre>(.*?)</pre></div>', page, re.DOTALL)
    assert wrong is not None, page
    unescaped = [part.replace("&quot;", '"').replace("&#x27;", "'") for part in wrong.groups()]
    assert sentence in unescaped[0]
    assert unescaped[0].count("^") == 0
    assert unescaped[1] == excerpt
    assert "<table" not in page


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seeds", "1, x", "Seeds: "),
        ("cfg", "0:(7), 24:(q)", "CFG scale: "),
        ("denoise", "0:(2)", "denoise"),
        ("frames", "many", "frames"),
        ("syntax", "fizznodes", "line 2:2"),
    ],
)
def test_what_is_wrong_in_another_field_is_told_too(panel: ModuleType, field: str, value: str, message: str) -> None:
    page = page_of(panel, THREE, **{"frames": "12", field: value})
    assert '<div class="wrong">' in page
    assert message in page


def test_nothing_that_is_written_becomes_part_of_the_page(panel: ModuleType) -> None:
    page = page_of(panel, '0: <script>alert(1)</script>\n9: "b" <img src=x>', frames="12")
    assert "<script" not in page
    assert page.count("<img") == 1
    assert "<b>x" not in page_of(panel, "0: <b>x\n0: <b>x", frames="12")


def test_a_seed_that_is_still_to_be_drawn_is_not_shown(panel: ModuleType) -> None:
    drawn = {**HOST, "seed": -1}
    page = page_of(panel, THREE, drawn, frames="12")
    assert cells(page)[0] == ["frame", "time", "prompt", "seed", "cfg"]
    assert {row[3] for row in cells(page)[1:]} == {"random"}
    assert "a seed is drawn when the film is made" in page
    assert "4294967295" not in page
    travelling = page_of(panel, THREE, drawn, frames="12", seeds="1, 2")
    assert cells(travelling)[0] == ["frame", "time", "prompt", "seed", "cfg"]
    assert cells(travelling)[1][3] == "1"
    assert "is drawn" not in travelling
    iterating = page_of(panel, DEFORUM_ITER, drawn)
    assert {row[3] for row in cells(iterating)[1:]} == {"random"}
    assert "4294967" not in iterating
    assert "seed" not in re.findall(r"<b>(\w+)</b><span", iterating)


def test_the_hosts_own_prompt_holds_where_keyframes_have_none_and_else_it_is_said(panel: ModuleType) -> None:
    own = {**HOST, "prompt": "an old mill", "negative": "blurry"}
    alone = page_of(panel, "", own, frames="12", seeds="1, 2, 3")
    assert cells(alone)[1][2:5] == ["an old mill", "1", "blurry"]
    assert "not used" not in alone
    assert "host&#x27;s prompt is not used" in page_of(panel, THREE, own, frames="12")
    assert "negative prompt is not used" in page_of(panel, '"0": "a --neg b"', own, frames="12")


def test_in_img2img_the_hosts_denoising_strength_holds(panel: ModuleType) -> None:
    page = page_of(panel, THREE, {**HOST, "denoise": 0.4}, "img2img", frames="12")
    assert cells(page)[0][-1] == "denoise"
    assert cells(page)[1][-1] == "0.4"
    assert "leaves nothing of the picture" not in page
    full = page_of(panel, THREE, {**HOST, "denoise": 1}, "img2img", frames="12")
    assert "image: frames 0 to 11 have denoise 1, which leaves nothing of the picture" in full


def test_the_placeholder_typed_as_it_stands_is_a_film(panel: ModuleType) -> None:
    page = page_of(panel, panel.EXAMPLE)
    assert "<b>48 frames</b>" in page
    assert "Frames is empty, so the film ends on the last keyframe: 48 frames." in page
    assert cells(page)[-1][2] == "a yellow boat at sunset"


def test_frames_and_fps_stand_above_the_preview(panel: ModuleType) -> None:
    panel.Panel().build(False, lambda name: name)
    order = [component.elem_id for component in panel.page]
    assert order.index("frames") < order.index("fps") < order.index("said")


def test_what_a_text_sets_in_place_of_the_hosts_fields_is_said(panel: ModuleType) -> None:
    text = (
        'size = [768, 640]\nsteps = 9\nsampler = "euler"\nscheduler = "karras"\nframes = 2\n[[keyframes]]\nprompt = "a"'
    )
    page = page_of(panel, text, {**HOST, "steps": 20, "width": 512, "height": 512})
    assert "The text sets size 768x640, 9 steps, sampling method Euler, in place of the fields above." in page
    alike = {**HOST, "steps": 9, "width": 768, "height": 640, "sampler": "Euler", "scheduler": "Karras"}
    assert "The text sets" not in page_of(panel, text, alike)
    assert "The text sets" not in page_of(panel, THREE, frames="12")


@pytest.mark.parametrize(
    ("fields", "changed", "problem"),
    [
        ({"subseed_show": True, "subseed_strength": 0.3}, {}, "variation seed: its strength is above 0"),
        ({"subseed_show": True, "resize_width": 64, "resize_height": 64}, {}, "resize seed: is not read here"),
        (
            {"sampler": "Heun"},
            {},
            "Sampling method: this host does not have &#x27;heun&#x27;",
        ),
        ({}, {"text": "a\nb\nc", "frames": ""}, "Frames: the text does not say how many there are"),
        ({}, {"cfg": "0:(7), 24:(q)"}, "CFG scale: "),
    ],
)
def test_what_generate_would_refuse_is_refused_while_it_is_written(
    panel: ModuleType, fields: dict[str, Any], changed: dict[str, Any], problem: str
) -> None:
    written = {"text": THREE, "frames": "12", **changed}
    page = page_of(panel, host={**HOST, **fields}, **written)
    assert f'<div class="wrong">{problem}' in page


def test_a_variation_seed_that_is_not_shown_does_not_count(panel: ModuleType) -> None:
    assert "<table" in page_of(panel, THREE, {**HOST, "subseed_show": False, "subseed_strength": 0.3}, frames="12")


def test_what_generate_would_remark_is_shown_among_the_notes(panel: ModuleType) -> None:
    page = page_of(panel, THREE, {**HOST, "batch_count": 4, "batch_size": 1}, frames="12")
    assert "batch count 4, batch size 1: are not read" in page


def test_curves_of_numbers_are_drawn_for_the_dark_theme_too(panel: ModuleType) -> None:
    page = panel.live.live_preview(values_of(panel, text=THREE, frames="12", cfg="3, 9"), HOST, "txt2img")
    assert '<img class="curve" alt="cfg"' in page
    assert '<img alt="prompt"' in page
    assert ".dark .remix-said .band img.curve { filter: invert(1)" in page


def test_seed_0_is_a_seed(panel: ModuleType) -> None:
    assert cells(page_of(panel, THREE, {**HOST, "seed": 0}, frames="12"))[1][3] == "0"


@pytest.mark.parametrize("seed", ["", None, "x"])
def test_a_seed_field_that_holds_no_number_is_random(panel: ModuleType, seed: Any) -> None:
    assert "is drawn" in page_of(panel, THREE, {**HOST, "seed": seed}, frames="12")


def test_a_sampler_that_no_recipe_can_name_is_told_before_anything_is_rendered(panel: ModuleType) -> None:
    page = page_of(panel, THREE, {**HOST, "sampler": "Somebody's own"}, frames="12")
    assert '<div class="wrong">' in page
    assert "own" in page


def test_settings_that_make_other_frames_than_elsewhere_are_told_below_the_table(panel: ModuleType) -> None:
    opts = sys.modules["modules"].shared.opts
    assert "differ" not in page_of(panel, THREE, frames="12")
    opts.hypertile_enable_unet = True
    _, _, below = page_of(panel, THREE, frames="12").partition("</table>")
    assert "hypertile_enable_unet is True (turn it off in Settings, Hypertile)" in below
    assert "hypertile" not in page_of(panel, THREE, frames="12", portable=False)


def test_a_long_film_has_a_short_page() -> None:
    recipe = Recipe(frames=5000, keyframes=(Keyframe(prompt="a", seed=1), Keyframe(prompt="b", seed=2)))
    page = preview.shown(plan(recipe))
    assert len(page) < 30_000
    assert page.count("<tr") < 60


def test_an_error_without_a_place_is_its_sentence_alone() -> None:
    page = preview.refused(RecipeError("is missing", path="frames"), THREE)
    assert "frames: is missing</div>" in page
    assert "<pre" not in preview.refused(RecipeError("is wrong", line=99, column=1), THREE).split("</style>")[1]


def fielded(settings: Settings, parameters: dict[str, Any]) -> dict[str, Any]:
    """What each field shows after an infotext is pasted."""
    return {label.field: label(parameters) for label in pasting.LABELS}


WRITTEN = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=60)
ANY = st.builds(
    Settings,
    text=WRITTEN.map(str.strip),
    frames=st.sampled_from(["", "48", "4s"]),
    fps=st.sampled_from([0.0, 12.0, 23.976]),
    ease=st.sampled_from(["", *EASINGS]),
    loop=st.booleans(),
    mix=st.sampled_from(["", "slerp"]),
    seeds=st.sampled_from(["", "1, 2, 3"]),
    cfg=st.sampled_from(["", "0:(7), 24:(9*abs(sin(t/8)))"]),
    batch=st.integers(1, 64),
    film=st.sampled_from(["", "mp4", "gif"]),
    name=st.sampled_from(["film", "my film"]),
    portable=st.booleans(),
    between=st.sampled_from([0, 3]),
)


@given(settings=ANY)
def test_an_infotext_gives_the_panel_back(settings: Settings) -> None:
    """Written as the host writes it: in JSON's quotes where a value has a comma, a colon or a line's end."""
    entries = {"Steps": "20", "Sampler": "Euler", **pasting.infotext(settings)}
    line = ", ".join(f"{key}: {quoted(value)}" for key, value in entries.items())
    parameters = dict(parse_infotext(f"a red house\n{line}").settings)
    shown = fielded(settings, parameters)
    words = {field: {word: value for value, word in table.items()} for field, table in pasting.WORDS.items()}
    back = {field: words.get(field, {}).get(value, value) for field, value in shown.items()}
    assert Settings(**back) == settings


def quoted(value: str) -> str:
    special = any(mark in value for mark in ",:\n")
    return json.dumps(value, ensure_ascii=False) if special or (value.startswith('"') and value != '""') else value


def test_another_scripts_picture_leaves_the_panel_alone() -> None:
    for parameters in ({}, {"Script": "X/Y/Z plot"}, {"Remix frames": "12"}):
        assert set(fielded(Settings(), parameters).values()) == {None}


def test_what_a_picture_does_not_mention_goes_back_to_its_default() -> None:
    shown = fielded(Settings(), {"Script": "Remix"})
    assert shown["text"] == shown["frames"] == shown["seeds"] == ""
    assert (shown["ease"], shown["film"], shown["portable"], shown["batch"]) == ("as written", "mp4", True, 8)


def test_the_host_compares_labels_as_texts_and_calls_them() -> None:
    label = next(label for label in pasting.LABELS if label.field == "frames")
    assert label == "Remix frames"
    assert label in ["Remix frames"]
    assert callable(label)


def test_a_text_that_is_very_long_stays_out_of_the_pictures() -> None:
    assert "Remix keyframes" not in pasting.infotext(Settings(text="0: " + "a" * 20_000))


def test_examples_leave_to_the_host_what_is_the_hosts() -> None:
    texts = examples()
    left_out = {"pictures travel", "music"}
    assert set(texts) == {path.stem.replace("-", " ") for path in EXAMPLES.glob("*.toml")} - left_out
    for text in texts.values():
        recipe = Settings(text=text).recipe(Fields(width=768, height=640, steps=7, cfg=4, sampler="Heun"))
        assert (recipe.width, recipe.height, recipe.steps, recipe.cfg, recipe.sampler) == (768, 640, 7, 4, "heun")
        assert text.startswith("# ")
        assert len(plan(recipe)) >= 24


@pytest.fixture
def job(tmp_path: Path, panel: ModuleType) -> Path:
    """A job with films, which the host finds by its name."""
    folder = tmp_path / "out" / "remix" / "film_0a"
    folder.mkdir(parents=True)
    (folder / JOB).write_text("{}", encoding="utf-8")
    (folder / RECIPE).write_text(Recipe(frames=8, keyframes=(Keyframe(prompt="a"),)).to_json(), encoding="utf-8")
    for name in ("film.mp4", "film.gif", "film.mkv"):
        (folder / name).write_bytes(b"x" * 3000)
    (folder.parent / "secret.mp4").write_bytes(b"x")
    return folder


def result(panel: ModuleType, job: str = "film_0a", **about: Any) -> str:
    reply = json.dumps({"extra_generation_params": {"Remix job": job, **{f"Remix {k}": v for k, v in about.items()}}})
    return str(panel.results.film_page(reply, "txt2img"))


@pytest.mark.parametrize(("film", "shown"), [("film.mp4", "<video"), ("film.gif", "<img"), ("film.mkv", "<p><a")])
def test_a_film_is_played_where_browsers_can_and_is_always_there_to_keep(
    panel: ModuleType, job: Path, film: str, shown: str
) -> None:
    page = result(panel, film=film)
    assert shown in page
    assert f'download="film_0a{Path(film).suffix}"' in page
    assert f"file={job.as_posix()}/{film}?" in page
    assert "(3 KiB)" in page


def test_a_report_is_there_to_keep_and_a_link_in_its_place_is_not(panel: ModuleType, job: Path) -> None:
    assert "report.html" not in result(panel, film="film.mp4")
    (job / "report.html").write_text("<!doctype html>", encoding="utf-8")
    page = result(panel, film="film.mp4")
    assert f"file={job.as_posix()}/report.html?" in page
    assert 'download="film_0a.html"' in page
    as_link(job / "report.html")
    assert "report.html" not in result(panel, film="film.mp4")


def test_a_film_that_was_stopped_says_how_to_go_on(panel: ModuleType, job: Path) -> None:
    page = result(panel, left=5)
    assert "5 frames are missing" in page
    assert "<video" not in page


@pytest.mark.parametrize("film", ["../secret.mp4", "/etc/passwd", "..", "other.mp4", ""])
def test_no_file_outside_of_the_job_is_shown(panel: ModuleType, job: Path, film: str) -> None:
    assert "file=" not in result(panel, film=film)


def as_link(film: Path) -> None:
    film.unlink()
    film.symlink_to(film.parent.parent / "secret.mp4")


def as_huge_file(film: Path) -> None:
    with open(film, "ab") as file:
        file.truncate(200 * 2**30)


def as_pipe(film: Path) -> None:
    film.unlink()
    os.mkfifo(film)


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")
@pytest.mark.parametrize("spoil", [as_link, as_huge_file, as_pipe])
def test_only_a_regular_film_of_a_plausible_size_is_served(
    panel: ModuleType, job: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(job / "film.mp4")
    page = result(panel, film="film.mp4", left="many")
    assert "file=" not in page
    assert "The job is in" in page
    assert "missing" not in page


@pytest.mark.parametrize(
    "reply", ["", "{", "[]", "null", "{}", "[" * 100_000, '{"extra_generation_params": 3}', '{"a": {}}']
)
def test_results_of_other_scripts_show_no_film(panel: ModuleType, reply: str) -> None:
    assert panel.results.film_page(reply, "txt2img") == ""
    assert panel.results.film_page(json.dumps({"extra_generation_params": {"Remix job": "none"}}), "img2img") == ""


def test_the_bundled_model_is_added_by_a_click_and_only_then(panel: ModuleType, tmp_path: Path) -> None:
    models, listed = sys.modules["modules.sd_models"], list[bool]()
    folder = tmp_path / "checkpoints"
    flags = SimpleNamespace(ckpt_dir=str(folder))
    sys.modules["modules.shared"].cmd_opts = flags  # type: ignore[attr-defined]
    models.list_models = lambda: listed.append(True)  # type: ignore[attr-defined]
    panel.Panel().build(False, lambda name: name)
    (add,) = (event for event in panel.page.events if event.component.elem_id == "playground")
    assert not folder.exists()
    assert str(folder) in add.fn()
    folder.mkdir()
    assert "Added playground.safetensors" in add.fn()
    assert {path.name for path in folder.iterdir()} == {"playground.safetensors", "playground.yaml"}
    assert listed == [True]
