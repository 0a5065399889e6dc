"""A job that continues with another device, precision or batch reports this once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from remix.engine import render
from remix.errors import Interrupted
from remix.plan import Schedule
from tests.core.engine.runs import FRAMES, contents, recipe
from tests.fakes.renderer import Painter


class Adjusted(Painter):
    """A painter that names a device and a batch."""

    def __init__(self, device: str, batch: str = "auto", **given: Any) -> None:
        super().__init__(**given)
        self._setting = {"device": device, "batch": batch}

    def setting(self, schedule: Schedule) -> Mapping[str, str]:
        return self._setting


def begun(folder: Path, *given: str) -> None:
    with pytest.raises(Interrupted):
        render(recipe(), Adjusted(*given, stop_after=2), folder)


def settings(folder: Path) -> Any:
    return json.loads((folder / "job.json").read_text(encoding="utf-8")).get("settings")


def test_another_device_or_batch_is_told_once_and_written_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun(tmp_path, "cuda", "4")
    with pytest.raises(Interrupted):
        render(recipe(), Adjusted("cpu", "4", stop_after=1), tmp_path)
    warned = f"{tmp_path}: was begun with device cuda; frames that are rendered now may differ"
    assert [record.getMessage()[: len(warned)] for record in caplog.records] == [warned]
    caplog.clear()
    assert render(recipe(), Adjusted("cpu", "4"), tmp_path).rendered == FRAMES - 3
    assert render(recipe(), Adjusted("mps", "1"), tmp_path).rendered == 0
    assert caplog.records == []
    assert settings(tmp_path) == [{"device": "cuda", "batch": "4"}, {"device": "cpu", "batch": "4"}]


def test_with_the_same_nothing_is_told_and_all_files_are_those_of_an_undisturbed_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun(tmp_path / "job", "cpu")
    render(recipe(), Adjusted("cpu"), tmp_path / "job")
    render(recipe(), Adjusted("cpu"), tmp_path / "whole")
    assert contents(tmp_path / "job") == contents(tmp_path / "whole")
    assert caplog.records == []


@pytest.mark.parametrize("written", [None, [], "cuda", ["cuda", 3], {"device": "cuda"}])
def test_a_job_that_does_not_say_it_goes_on(written: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begun(tmp_path, "cuda")
    about = json.loads((tmp_path / "job.json").read_text(encoding="utf-8"))
    (tmp_path / "job.json").write_text(json.dumps({**about, "settings": written}), encoding="utf-8")
    assert render(recipe(), Adjusted("cpu"), tmp_path).rendered == FRAMES - 2
    assert caplog.records == []
    assert settings(tmp_path) == [{"device": "cpu", "batch": "auto"}]


def test_where_nothing_is_finished_there_is_nothing_to_tell(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failing = Adjusted("cuda", fail_at=0, failure=RuntimeError("out of memory"))
    with pytest.raises(RuntimeError):
        render(recipe(), failing, tmp_path)
    render(recipe(), Adjusted("cpu"), tmp_path)
    assert caplog.records == []
    assert settings(tmp_path) == [{"device": "cpu", "batch": "auto"}]
