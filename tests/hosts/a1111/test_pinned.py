"""A run's settings are its own, and the user's stay the user's, on a fake of the host."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from remix.errors import EngineError
from tests.fakes import webui
from tests.hosts.a1111.conftest import Runner

TOLD = {
    "recipe": {
        "frames": 4,
        "size": [64, 64],
        "keyframes": [{"prompt": "a red apple", "seed": 1}, {"prompt": "the blue sea", "seed": 2}],
    },
    "film": "",
    "batch": 1,
}


def elsewhere(call: Callable[[], Any]) -> None:
    """Does what a click or a request of the API does: in a thread of its own."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(call).result()


def after_first_call(ui: Runner, call: Callable[[], Any]) -> None:
    webui.on_call.append(lambda p: elsewhere(call) if len(webui.calls) == 1 else None)


def pictures(result: Any) -> list[np.ndarray]:
    return [np.asarray(image.convert("RGB")) for image in result.images]


def undisturbed(ui: Runner, **fields: Any) -> list[np.ndarray]:
    frames = pictures(ui.run({**TOLD, **fields, "name": "undisturbed"}))
    webui.calls.clear()
    return frames


@pytest.mark.parametrize("portable", [True, False])
@pytest.mark.parametrize(("name", "value"), [("sd_model_checkpoint", "second"), ("CLIP_stop_at_last_layers", 5)])
def test_a_setting_that_is_changed_during_a_film_does_not_change_the_film(
    ui: Runner, name: str, value: Any, portable: bool
) -> None:
    before = undisturbed(ui, portable=portable)
    opts = ui.host.shared.opts
    after_first_call(ui, lambda: opts.set(name, value))
    frames = pictures(ui.run({**TOLD, "portable": portable}))
    assert len(webui.calls) == 4
    assert all(np.array_equal(a, b) for a, b in zip(before, frames, strict=True))
    assert getattr(opts, name) == value  # what the user chose holds afterwards
    webui.on_call.clear()
    changed = pictures(ui.run({**TOLD, "portable": portable}))
    assert not np.array_equal(changed[0], frames[0])


def test_what_is_saved_during_a_film_is_the_users_with_what_they_change(ui: Runner, tmp_path: Path) -> None:
    opts, file = ui.host.shared.opts, tmp_path / "config.json"
    seen: list[Any] = []

    def click() -> None:
        seen.append((opts.randn_source, opts.data.get("randn_source")))
        opts.set("samples_format", "webp")
        opts.save(file)

    after_first_call(ui, click)
    ui.run(TOLD)
    saved = json.loads(file.read_text(encoding="utf-8"))
    assert saved == {"sd_model_checkpoint": "model", "samples_format": "webp"}
    assert seen == [("GPU", None)]
    assert opts.data == saved


def test_a_script_that_saves_within_the_run_saves_the_users_settings(ui: Runner, tmp_path: Path) -> None:
    opts, file = ui.host.shared.opts, tmp_path / "config.json"
    during: list[Any] = []

    def save(p: Any) -> None:
        opts.save(file)
        during.append(opts.randn_source)

    webui.on_call.append(save)
    ui.run(TOLD)
    assert json.loads(file.read_text(encoding="utf-8")) == {"sd_model_checkpoint": "model"}
    assert set(during) == {"CPU"}


@pytest.mark.parametrize("error", [ValueError("no such thing"), KeyboardInterrupt()])
def test_an_error_leaves_the_hosts_settings_as_they_were(ui: Runner, error: BaseException) -> None:
    opts = ui.host.shared.opts
    kind, data, before = type(opts), opts.data, dict(opts.data)

    def fail(p: Any) -> None:
        raise error

    webui.on_call.append(fail)
    with pytest.raises(type(error)):
        ui.run(TOLD)
    assert (type(opts), opts.data) == (kind, before)
    assert opts.data is data


def test_a_dictionary_that_a_thread_took_before_the_run_is_still_the_users(ui: Runner) -> None:
    opts = ui.host.shared.opts
    held = opts.data
    after_first_call(ui, lambda: held.update(CLIP_stop_at_last_layers=7))
    ui.run(TOLD)
    assert opts.CLIP_stop_at_last_layers == 7


def test_runs_of_two_threads_that_end_in_any_order_leave_nothing(ui: Runner) -> None:
    from a1111_extension.pinned import pinned_settings

    opts = ui.host.shared.opts
    kind, first, second = type(opts), pinned_settings(opts), pinned_settings(opts)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        own = [one.submit(first.__enter__).result(), other.submit(second.__enter__).result()]
        own[0]["randn_source"], own[1]["randn_source"] = "NV", "CPU"
        read = [threads.submit(getattr, opts, "randn_source").result() for threads in (one, other)]
        one.submit(first.__exit__, None, None, None).result()
        assert (read, opts.randn_source) == (["NV", "CPU"], "GPU")
        assert other.submit(getattr, opts, "randn_source").result() == "CPU"
        other.submit(second.__exit__, None, None, None).result()
    assert type(opts) is kind


def test_settings_that_a_request_wants_to_keep_are_kept(ui: Runner) -> None:
    ui.run(TOLD, override_settings={"eta_ddim": 0.5}, override_settings_restore_afterwards=False)
    assert ui.host.shared.opts.data == {"sd_model_checkpoint": "model", "eta_ddim": 0.5}


def test_another_checkpoint_that_was_loaded_all_the_same_is_an_error_and_no_frame(
    ui: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ui.host.sd_models

    def lose() -> None:
        """The host's list is empty for a moment while it reads its folder again, and it takes any other checkpoint."""
        monkeypatch.setattr(models, "select_checkpoint", lambda: models.checkpoints_list["second"])

    after_first_call(ui, lose)
    with pytest.raises(EngineError, match=r"checkpoint: second\.safetensors is loaded in place of model\.safet"):
        ui.run(TOLD)
    (folder,) = (ui.base / "out" / "remix").iterdir()
    assert [path.name for path in (folder / "frames").iterdir()] == ["000000.png"]


def test_a_checkpoint_that_was_chosen_and_not_loaded_yet_is_the_one_that_counts(ui: Runner) -> None:
    """A click waits for its turn to load it; a film that comes first loads it itself."""
    first = ui.run(TOLD)
    ui.host.shared.opts.set("sd_model_checkpoint", "second")
    second = ui.run(TOLD)
    assert first.extra_generation_params["Remix job"] != second.extra_generation_params["Remix job"]
    assert not np.array_equal(pictures(first)[0], pictures(second)[0])


class ModelData:
    """Forge's model data."""

    def __init__(self) -> None:
        self.forge_loading_parameters = {"checkpoint_info": "model"}


def test_forge_loads_what_was_chosen_when_the_film_began_and_then_what_was_chosen_meanwhile(
    ui: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click there hands the model over to the loader at once."""
    from a1111_extension import host

    opts, dynamic = ui.host.shared.opts, {"online_lora": False}
    data = ModelData()

    def refresh() -> None:
        data.forge_loading_parameters = {"checkpoint_info": opts.sd_model_checkpoint}
        dynamic["online_lora"] = opts.sd_model_checkpoint == "second"

    def click() -> None:
        opts.set("sd_model_checkpoint", "second")
        refresh()

    for part in (host.settings, host.models):
        monkeypatch.setattr(part, "FORGE", True)
    monkeypatch.setattr(ui.host.sd_models, "model_data", data, raising=False)
    entry = SimpleNamespace(refresh_model_loading_parameters=refresh, dynamic_args=dynamic)
    monkeypatch.setattr(ui.host.processing, "main_entry", entry, raising=False)
    seen: list[Any] = []

    def note(p: Any) -> None:
        if len(seen) == 1:
            elsewhere(click)  # between the moment when the model is set and the one when it is read
            assert vars(data)["forge_loading_parameters"] == {"checkpoint_info": "second"}
            dynamic["online_lora"] = False
        seen.append((data.forge_loading_parameters["checkpoint_info"], dynamic["online_lora"]))

    webui.on_call.append(note)
    ui.run(TOLD)
    assert seen == [("model", False)] * 4
    assert (data.forge_loading_parameters, dynamic) == ({"checkpoint_info": "second"}, {"online_lora": True})
