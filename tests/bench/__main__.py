"""The benches, measured and printed as Markdown. Run: python -m tests.bench [PART ...]

Parts are the files `bench_PART.py` of this folder, run through pytest with pytest-benchmark, and tables: `errors`,
what the formulas of other packs get wrong, `formats`, what each film format costs, `weights`, the GPU memory of
models, and `soak`, a thousand jobs on a server that fails in every tenth request. Without a part, all run but `soak`,
which takes long. The tables go to standard output, pytest's report to standard error. The exit code is pytest's: 1
where a figure is below the floor that its bench asserts.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
TABLES = {
    "errors": ("Comparison with other packs", "mixing_errors"),
    "formats": ("Film formats", "film_formats"),
    "weights": ("GPU memory of models", "model_memory"),
    "soak": ("Jobs with a failure in every tenth request", "soak"),
}
"""Parts that are no race but a table: its heading, and the module that makes it."""
LONG = ("soak",)
"""Parts that run only when they are named."""
SHORT = "Summary"
PACKAGES = ("torch", "diffusers", "numpy")


def parts() -> list[str]:
    """The names of the parts, in the order in which they run."""
    return [*sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py")), *TABLES]


def measured(names: Iterable[str]) -> tuple[int, list[list[str]]]:
    """Returns pytest's exit code, and [table, row, column, text] of every cell that the benches gave."""
    import pytest

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        results = Path(folder, "results.json")
        files = [str(HERE / f"bench_{name}.py") for name in names]
        options = ["-q", "--benchmark-quiet", f"--benchmark-json={results}", f"--basetemp={folder}/made"]
        # A bench that failed has nothing to save, and says so itself.
        options += ["-W", "ignore::pytest_benchmark.logger.PytestBenchmarkWarning"]
        code = int(pytest.main([*files, *options]))
        found = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {"benchmarks": []}
    return code, [cell for bench in found["benchmarks"] for cell in bench["extra_info"]["cells"]]


def markdown(cells: Iterable[list[str]]) -> str:
    """Returns the cells as Markdown tables under their headings, in the order they came in, the short one first."""
    tables: dict[str, dict[str, dict[str, str]]] = {SHORT: {}}
    for table, row, column, text in cells:
        tables.setdefault(table, {}).setdefault(row, {})[column] = text
    sections = []
    for name, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        lines = [["", *columns], *([what, *(row.get(column, "-") for column in columns)] for what, row in rows.items())]
        written = [f"| {' | '.join(line)} |" for line in lines]
        written.insert(1, "|---" * len(lines[0]) + "|")
        if rows:
            sections.append("\n".join([f"### {name}\n", *written]))
    return "\n\n".join(sections)


def machine() -> str:
    """Returns on what this was measured, in one line."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), one thread; "
        f"Python {platform.python_version()}, {packages}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures and prints the tables.")
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"one or more of: {', '.join(parts())}; all but {', '.join(LONG)} if left out",
    )
    chosen = parser.parse_args().parts or [name for name in parts() if name not in LONG]
    if unknown := [name for name in chosen if name not in parts()]:
        parser.error(f"there is no part {unknown[0]!r}; choose from {', '.join(parts())}")
    # Read once by OpenMP's runtime, so before anything imports torch. One thread, because waiting ones
    # cost CPU time that is no part of the work.
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    code = 0
    if timed := [name for name in chosen if name not in TABLES]:
        code, cells = measured(timed)
        print(f"{markdown(cells)}\n\n{machine()}")  # noqa: T201
    for name in (name for name in TABLES if name in chosen):
        heading, module = TABLES[name]
        print(f"\n### {heading}\n\n{importlib.import_module(f'tests.bench.{module}').table()}")  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
