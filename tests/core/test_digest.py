"""Large files have different digests by size, both ends and samples between."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from remix.digest import END, SAMPLES, sampled_hash


def test_size_and_both_ends_count(tmp_path: Path) -> None:
    path = tmp_path / "x"
    variants = [b"", b"a", b"a" * END, b"a" * 3 * END, b"b" + b"a" * (3 * END - 1), b"a" * (3 * END - 1) + b"b"]
    found = set()
    for content in variants:
        path.write_bytes(content)
        found.add(sampled_hash(path))
    assert len(found) == len(variants)
    assert all(len(one) == 16 for one in found)


@pytest.mark.parametrize("size", [3 * END + 1, 5 * END, 16 * END + 7])
def test_what_lies_between_the_ends_is_sampled(size: int, tmp_path: Path) -> None:
    """A change as long as the way from one sample to the next is seen wherever it is."""
    path, step = tmp_path / "x", (size - 2 * END) // SAMPLES + 1
    path.write_bytes(bytes(size))
    first = sampled_hash(path)
    with path.open("r+b", buffering=0) as file:
        for start in range(END, size - END - step, 9 * step):
            for value, same in ((b"b", False), (b"\0", True)):
                file.seek(start)
                file.write(value * step)
                assert (sampled_hash(path) == first) is same, start


@pytest.mark.parametrize("size", [0, 1, END, 2 * END, 2 * END + 1, 3 * END])
def test_files_up_to_12_mib_have_the_hash_of_their_ends_alone(size: int, tmp_path: Path) -> None:
    """So that jobs with the playground model, which were begun before there were samples, go on."""
    path, content = tmp_path / "x", bytes(range(251)) * (size // 251 + 1)
    path.write_bytes(content[:size])
    read = f"{size}\0".encode() + content[: min(size, END)] + content[max(size - END, min(size, END)) : size]
    assert sampled_hash(path) == hashlib.sha256(read).hexdigest()[:16]


def test_name_and_time_do_not_count(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).write_bytes(b"abc")
    assert sampled_hash(tmp_path / "x") == sampled_hash(tmp_path / "y")
