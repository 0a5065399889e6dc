"""What counts for a job besides its recipe, by value, on a fake of the host."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from remix.errors import EngineError
from tests.fakes import webui
from tests.fakes.later import later
from tests.hosts.a1111.conftest import Runner

TOLD = {"recipe": {"frames": 2, "keyframes": [{"prompt": "a", "seed": 1}]}, "film": ""}


def table(ui: Runner, p: Any = None, panel_args: Any = TOLD, **fields: Any) -> dict[str, str]:
    """What a run says of what makes its pictures."""
    from a1111_extension import host
    from a1111_extension.engine import HostEngine
    from a1111_extension.processing import fields_of
    from a1111_extension.settings import Settings
    from remix.plan import plan

    p = p or ui.processing(panel_args, **fields)
    with host.pinned(p):
        settings = Settings.of_request(panel_args)
        recipe = settings.recipe(fields_of(p, ui.base))
        engine = HostEngine(p, recipe, batch=8, portable=settings.portable, about={})
        engine.check(plan(recipe))
        return engine.identity(plan(recipe))


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def script(title: str, *values: Any, defaults: tuple[Any, ...] = (), labels: Any = (), **about: Any) -> Any:
    """A script that is always on, with the controls that the host keeps of it."""
    names = [*labels, *[""] * (len(values) - len(labels))]
    controls = [
        SimpleNamespace(label=label, value=default, type=about.get("type"), choices=about.get("choices"))
        for label, default in zip(names, defaults, strict=True)
    ]
    found = SimpleNamespace(
        title=lambda: title, filename=f"/host/extensions/{title}/scripts/tool.py", controls=controls
    )
    found.values = values
    return found


def with_scripts(ui: Runner, *scripts: Any, **fields: Any) -> Any:
    p = ui.processing(TOLD, **fields)
    for each in scripts:
        each.args_from = len(p.script_args)
        p.script_args = [*p.script_args, *each.values]
        each.args_to = len(p.script_args)
    p.scripts.alwayson_scripts = list(scripts)
    return p


def test_a_plain_run_is_known_by_the_files_and_the_settings_that_are_not_defaults(ui: Runner) -> None:
    found = table(ui)
    assert len(found.pop("checkpoint_file")) == 16
    assert found == {
        "engine": "a1111",
        "checkpoint": "model.safetensors",
        "vae": "",
        "vae_file": "",
        "setting randn_source": "CPU",
        "script always.SimpleNamespace": '{"argument 0": "always"}',
        "noise": "portable",
    }


@pytest.mark.parametrize(
    "scripts",
    [
        [script("tool", False, 0.5, defaults=(False, 0.5))],
        [script("tool v1.2.3", False, 1, 7, defaults=(False, 1.0, 7))],
        [script("units", {"enabled": False, "weight": 3}, defaults=(None,))],
        [script("units", SimpleNamespace(enabled=False, weight=3), defaults=(None,))],
        [script("lists", 1, defaults=("b",), type="index", choices=["a", "b"])],
        [script("none")],
    ],
    ids=["plain", "version", "table", "object", "index", "without"],
)
def test_extensions_that_are_asked_for_nothing_change_nothing(ui: Runner, scripts: list[Any]) -> None:
    assert table(ui, with_scripts(ui)) == table(ui, with_scripts(ui, *scripts))


def test_what_an_extension_is_asked_for_counts_by_its_labels_whatever_its_title_and_its_other_fields(
    ui: Runner,
) -> None:
    one = script("Tool v1", True, 0.7, defaults=(False, 0.5), labels=("Enable", "Weight"))
    other = script("Tool v2", True, "new", 0.7, defaults=(False, "new", 0.5), labels=("Enable", "Mode", "Weight"))
    found = table(ui, with_scripts(ui, one))
    assert found["script tool.SimpleNamespace"] == '{"Enable": true, "Weight": 0.7}'
    assert table(ui, with_scripts(ui, other)) == found
    weaker = script("Tool v2", True, 0.6, defaults=(False, 0.5), labels=("Enable", "Weight"))
    assert differing(found, table(ui, with_scripts(ui, weaker))) == {"script tool.SimpleNamespace"}


def test_settings_that_the_page_shows_among_its_fields_count_as_settings(ui: Runner) -> None:
    shown = script("Extra options", 3, defaults=(1,))
    shown.setting_names = ["CLIP_stop_at_last_layers"]
    found = table(ui, with_scripts(ui, shown))
    assert found["setting CLIP_stop_at_last_layers"] == "3"
    ui.host.shared.opts.set("CLIP_stop_at_last_layers", 3)
    assert table(ui, with_scripts(ui)) == found


def test_a_field_that_a_newer_host_has_changes_nothing_until_it_is_set(ui: Runner) -> None:
    newer = dataclass(
        make_dataclass("Newer", [("distilled", float, 3.5), ("parts", Any, None)], bases=(webui.Processing,))
    )
    before = table(ui)
    assert table(ui, ui.processing(TOLD, kind=newer)) == before
    assert table(ui, ui.processing(TOLD, kind=newer, parts=[])) == before
    changed = table(ui, ui.processing(TOLD, kind=newer, distilled=2.5))
    assert differing(before, changed) == {"field distilled"}
    assert changed["field distilled"] == "2.5"


def test_a_setting_that_a_newer_host_has_changes_nothing_until_it_is_set(ui: Runner) -> None:
    before = table(ui)
    ui.host.shared.opts.data_labels["tiling"] = webui.Label(False)
    ui.host.shared.opts.data_labels["comma_padding_backtrack"] = webui.Label(0)
    assert table(ui) == before


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"override_settings": {"CLIP_stop_at_last_layers": 2}}, {"setting CLIP_stop_at_last_layers"}),
        ({"override_settings": {"CLIP_stop_at_last_layers": 1}}, set()),
        ({"override_settings": {"samples_format": "webp"}}, set()),
        ({"override_settings": {"sd_vae": "fine.pt"}}, {"vae", "vae_file"}),
        ({"override_settings": {"sd_model_checkpoint": "second"}}, {"checkpoint", "checkpoint_file"}),
        ({"refiner_checkpoint": "second"}, {"field refiner_checkpoint"}),
        ({"refiner_switch_at": 0.5}, set()),
        ({"hr_scale": 3.0}, set()),
        ({"n_iter": 2, "batch_size": 3, "do_not_save_grid": True}, set()),
    ],
)
def test_settings_and_fields_count_where_they_act(ui: Runner, fields: dict[str, Any], names: set[str]) -> None:
    assert differing(table(ui), table(ui, **fields)) == names


def test_of_hires_fix_its_denoise_and_its_first_size_count_too(ui: Runner) -> None:
    panel_args = {"recipe": {**TOLD["recipe"], "size": [128, 128]}, "film": ""}  # type: ignore[dict-item]
    common = {"enable_hr": True, "hr_resize_x": 128, "hr_resize_y": 128}
    before = table(ui, panel_args=panel_args, **common, denoising_strength=0.5)
    assert differing(before, table(ui, panel_args=panel_args, **common, denoising_strength=0.6)) == {
        "field denoising_strength"
    }
    assert differing(before, table(ui, panel_args=panel_args, **common, denoising_strength=0.5, width=32)) == {
        "field width"
    }


def test_a_mask_counts_by_its_pixels_and_what_is_about_masks_only_with_one(ui: Runner) -> None:
    def of(mask: Any, **fields: Any) -> dict[str, str]:
        kind = dataclass(make_dataclass("Masked", [("inpainting_fill", int, 0)], bases=(webui.Img2Img,)))
        p = ui.processing(TOLD, kind=kind, init_images=[Image.new("RGB", (64, 64))], **fields)
        p.image_mask = mask
        return table(ui, p)

    black, white = (Image.new("L", (64, 64), value) for value in (0, 255))
    assert of(None) == of(None, inpainting_fill=1)
    assert differing(of(black), of(white)) == {"field image_mask"}
    assert differing(of(black), of(black, inpainting_fill=1)) == {"field inpainting_fill"}


def test_styles_count_by_their_texts(ui: Runner) -> None:
    styles = ui.host.shared.prompt_styles.styles
    styles["oil"] = SimpleNamespace(prompt="in oil", negative_prompt="")
    styles["paint"] = SimpleNamespace(prompt="in oil", negative_prompt="")
    before = table(ui, styles=["oil"])
    assert table(ui, styles=["paint"]) == before
    styles["oil"] = SimpleNamespace(prompt="in oil, thick", negative_prompt="")
    assert differing(before, table(ui, styles=["oil"])) == {"field styles"}


def test_a_lora_counts_by_its_file_and_one_that_is_not_there_is_refused(
    ui: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from remix.errors import Unsupported

    panel_args = {"recipe": {"frames": 2, "keyframes": [{"prompt": "a <lora:warm:1>", "seed": 1}]}, "film": ""}
    file = ui.base / "warm.safetensors"
    file.write_bytes(b"one")
    known = {"warm": SimpleNamespace(filename=str(file))}
    monkeypatch.setitem(sys.modules, "networks", SimpleNamespace(available_networks=known))  # type: ignore[arg-type]
    before = table(ui, panel_args=panel_args)
    assert "lora warm" in before
    file.write_bytes(b"another")
    assert differing(before, table(ui, panel_args=panel_args)) == {"lora warm"}
    listed = dict(known)
    known.clear()
    networks = sys.modules["networks"]
    networks.list_available_networks = lambda: known.update(listed)  # type: ignore[attr-defined]
    assert "lora warm" in table(ui, panel_args=panel_args)  # a file that was put there after the start
    listed.clear()
    known.clear()
    with pytest.raises(Unsupported, match="lora: there is no 'warm' here"):
        table(ui, panel_args=panel_args)


def test_an_embedding_counts_by_its_file_in_a_film_that_names_it(ui: Runner) -> None:
    def recipe(prompt: str, negative: str = "") -> dict[str, Any]:
        keyframe = {"prompt": prompt, "negative": negative, "seed": 1}
        return {"recipe": {"frames": 2, "keyframes": [keyframe]}, "film": ""}

    file = ui.base / "embeddings" / "styles" / "Warm.pt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"one")
    (file.parent / "cat.png").write_bytes(b"a preview")
    for named in (recipe("a cat in (warm:1.2)"), recipe("a cat", "embedding:warm"), recipe("[fog:warm:0.5] AND a cat")):
        before = table(ui, panel_args=named)
        assert differing(before, table(ui, panel_args=recipe("a cat"))) == {"embedding Warm"}
        file.write_bytes(file.read_bytes() + b"another")
        assert differing(before, table(ui, panel_args=named)) == {"embedding Warm"}
    for unnamed in ("a warmer cat", "a cat <hypernet:warm:1>"):
        assert "embedding Warm" not in table(ui, panel_args=recipe(unnamed))


def test_a_vae_that_the_host_would_not_load_is_refused(ui: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was started with --vae-path loads that one, whatever the setting says."""
    panel_args = {"recipe": {**TOLD["recipe"], "model": {"vae": "fine.pt"}}, "film": ""}  # type: ignore[dict-item]
    other = SimpleNamespace(vae=str(ui.base / "second.safetensors"))
    monkeypatch.setattr(ui.host.sd_vae, "resolve_vae", lambda file: other)
    with pytest.raises(webui.HTTPException, match=r"model\.vae: 'fine\.pt' would not be loaded"):
        ui.run(panel_args)


@pytest.mark.parametrize("hook", ["before_process", "process", "before_process_batch"])
def test_a_frame_of_which_an_extension_failed_is_not_kept(ui: Runner, hook: str) -> None:
    """The host continues without it, and its frames would be reused as if they were good."""

    def fail(p: Any, *args: Any) -> None:
        if len(webui.calls) + (hook == "before_process") > 1:
            raise ValueError("no such thing")

    panel_args = {**TOLD, "batch": 1}
    p = ui.processing(panel_args)
    setattr(p.scripts.alwayson_scripts[0], hook, fail)
    with pytest.raises(EngineError, match=f"frame 1: the always-on script 'Always' failed in {hook}") as failed:
        ui.script.run(p)
    assert "(ValueError: no such thing); repair the extension, or turn it off" in str(failed.value)
    assert webui.reported  # by the host, as usual
    (folder,) = (ui.base / "out" / "remix").iterdir()
    assert [path.name for path in (folder / "frames").iterdir()] == ["000000.png"]
    assert len(ui.script.run(ui.processing(panel_args)).images) == 2


def test_a_field_that_the_engine_does_not_know_is_refused(ui: Runner) -> None:
    from a1111_extension import host
    from a1111_extension.engine import HostEngine
    from remix.errors import Unsupported
    from remix.plan import Keyframe, Recipe, plan

    asked, p = Recipe(2, (Keyframe(prompt="a"),)), ui.processing("")
    with host.pinned(p):
        engine = HostEngine(p, asked, batch=8, portable=True, about={})
        engine.check(plan(later(asked, 0.0)))
        with pytest.raises(Unsupported, match=r"^tilt: 0.5 is set, and this host cannot render that"):
            engine.check(plan(later(asked)))
