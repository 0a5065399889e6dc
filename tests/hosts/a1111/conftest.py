"""The script among fakes of A1111's modules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes.webui import Img2Img, Processing, webui
from tests.fakes.webui import Runner as Scripts


class Runner:
    """A web UI with the script: requests in, results out."""

    def __init__(self, base: Path, host: Any) -> None:
        from a1111_extension.script import RemixScript

        self.host, self.base = host, base
        self.script = RemixScript()
        self.script.args_from, self.script.args_to = 2, 2 + len(self.script.ui(False))
        self.script.alwayson = False

    def processing(self, *args: Any, kind: type[Processing] = Processing, **fields: Any) -> Any:
        """A request's processing object, `args` where the API puts `script_args`."""
        images = fields.pop("init_images", None)
        p = kind(outpath_samples=str(self.base / "out"), **fields)
        if images is not None:
            p.init_images = images  # type: ignore[attr-defined]
        after = SimpleNamespace(args_from=self.script.args_to, args_to=self.script.args_to + 1, title=lambda: "After")
        always = SimpleNamespace(args_from=1, args_to=2, title=lambda: "Always", filename="always.py")
        p.scripts = Scripts([always, self.script, after], [always])
        p.script_args = [1, "always", *args, "after"]
        return p

    def run(self, *args: Any, **fields: Any) -> Any:
        """The result of the script; `args` as in `script_args`."""
        return self.script.run(self.processing(*args, **fields))

    def img2img(self, *args: Any, **fields: Any) -> Any:
        return self.run(*args, kind=Img2Img, **fields)


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[Runner]:
    """A fake web UI with the script loaded."""
    with webui(tmp_path) as host:
        yield Runner(tmp_path, host)
