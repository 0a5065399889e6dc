"""The wording of pages, docstrings, comments, messages and names follows tests/words.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import words

PLAIN = """\
Only the files that are needed are downloaded from the Hub.
The frame was found in the job folder.
Guidance scale. Ignored once any keyframe sets `cfg`.
The picture is scaled to fill the frame and center-cropped.
If the file is no longer there, the run continues with the next frame.
The two front ends tell users which file is missing.
A mask of another size is resized, as in the hosts.
The message says what to do. There is no picture in this folder.
The server stands behind a proxy that resets long requests.
`nodes behind` and `told by` are code here, and so is the [link](docs/told-by.md).
"""


@pytest.mark.parametrize("row", words.rules()["phrase"], ids=lambda row: row["example"])
def test_a_row_finds_its_example(row: dict[str, str]) -> None:
    assert row["write"] in {write for _, _, write in words.in_text(row["example"])}


@pytest.mark.parametrize("sentence", PLAIN.splitlines())
def test_plain_sentences_pass(sentence: str) -> None:
    assert list(words.in_text(sentence)) == []


def test_all_prose_of_a_module_is_read_and_none_of_its_code(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '"""It counts\n\nnowhere."""\n'
        "# The key is\n# told in the log.\n"
        "def _told(beside):\n"
        '    raise ValueError(f"{beside}: this is made "\n        "anew; run `go on with` it")\n',
        encoding="utf-8",
    )
    text = [found for _, text in words.texts_of(path) for _, found, _ in words.in_text(text)]
    assert text == ["counts nowhere", "anew", "is told"]


def test_no_room_has_more_hits_than_it_is_allowed() -> None:
    """`python -m tests.words PATH` prints them all."""
    if not (words.ROOT / ".git").exists():
        pytest.skip("needs a git checkout, which knows the files of the repository")
    allowance, found = words.rules()["allowance"], words.by_room()
    assert allowance.keys() <= found.keys()
    over = {room: hits for room, hits in found.items() if len(hits) > allowance.get(room, 0)}
    listed = "\n".join(str(hit) for hits in over.values() for hit in hits)
    assert not over, f"more hits than allowed in {', '.join(over)}:\n{listed}"
