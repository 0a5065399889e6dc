"""Large files told apart by their size and both ends."""

from __future__ import annotations

from pathlib import Path

from remix.job.ends import END, ends


def test_size_and_both_ends_count(tmp_path: Path) -> None:
    path = tmp_path / "x"
    variants = [b"", b"a", b"a" * END, b"a" * 3 * END, b"b" + b"a" * (3 * END - 1), b"a" * (3 * END - 1) + b"b"]
    found = set()
    for content in variants:
        path.write_bytes(content)
        found.add(ends(path))
    assert len(found) == len(variants)
    assert all(len(one) == 16 for one in found)


def test_name_and_time_do_not_count(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).write_bytes(b"abc")
    assert ends(tmp_path / "x") == ends(tmp_path / "y")
