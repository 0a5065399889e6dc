"""Jobs of a real A1111: what is not lost, what is not rendered twice, and what the API says."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from remix.job import read_metadata
from tests.real.a1111.host import EXTENSIONS, ROOT, Answer, Host
from tests.real.a1111.running import frames_of, in_background, job, until

STEPS = 4
TEXT = f"""
frames = 6
size = [64, 64]
steps = {STEPS}
[[keyframes]]
prompt = "a red apple"
seed = 1
[[keyframes]]
prompt = "the blue sea"
seed = 2
"""
FIELDS = {"recipe": TEXT, "batch": 2, "film": ""}


def test_a_killed_server_goes_on_where_it_stopped_to_the_same_bytes(host: Host) -> None:
    fields = {**FIELDS, "name": "killed", "film": "gif"}
    thread, _ = in_background(lambda: host.remix(fields))
    until(lambda: [*host.jobs.glob("killed_*/frames/000001.png")])
    host.stop(signal.SIGKILL)
    thread.join()
    (folder,) = host.jobs.glob("killed_*")
    before = {path: path.stat().st_mtime_ns for path in (folder / "frames").glob("0*.png")}
    assert 2 <= len(before) < 6
    host.start()
    answer = host.remix(fields)
    assert job(host, answer) == folder
    assert answer.about["Remix film"] == "film.gif"
    assert {path: path.stat().st_mtime_ns for path in before} == before
    resumed = {**frames_of(folder), "film": (folder / "film.gif").read_bytes()}
    folder.rename(folder.with_name("aside"))
    assert job(host, host.remix(fields)) == folder
    assert {**frames_of(folder), "film": (folder / "film.gif").read_bytes()} == resumed


def test_a_host_with_renamed_and_new_extensions_fields_and_settings_keeps_the_frames(host: Host) -> None:
    """All of them at their defaults, which reach no picture."""
    fields = {**FIELDS, "name": "newer"}
    folder = job(host, host.remix(fields))
    before = {path: path.stat().st_mtime_ns for path in (folder / "frames").glob("0*.png")}
    assert len(before) == 6
    places = host.base / "extensions"
    host.stop()
    (places / "hints").rename(places / "a-renamed-one")
    (places / "newer").symlink_to(EXTENSIONS / "newer")
    try:
        host.start()
    finally:  # for the next start
        (places / "a-renamed-one").rename(places / "hints")
        (places / "newer").unlink()
    assert host.get("/sdapi/v1/options")["later"] is True
    assert job(host, host.remix(fields)) == folder
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_embedding_in_the_same_file_is_another_job(host: Host) -> None:
    """A1111 itself keeps what it read from a `.pt` that is overwritten."""
    file = host.base / "embeddings" / "quillmark.pt"
    recipe = {"frames": 1, "size": [64, 64], "steps": STEPS, "keyframes": [{"prompt": "a quillmark apple", "seed": 1}]}
    file.parent.mkdir(exist_ok=True)
    folders, pictures = [], []
    for name, spread in (("ink", 1.0), ("ink", -3.0), ("ink_again", 1.0)):
        vectors = torch.linspace(-spread, spread, 2 * 768).view(2, 768)
        # The host refuses what newer versions of torch put into a ZIP.
        torch.save({"emb_params": vectors}, file, _use_new_zipfile_serialization=False)
        answer = host.remix({"recipe": recipe, "name": name, "film": ""})
        folders.append(job(host, answer))
        pictures += answer.pictures
    file.unlink()
    assert len({*folders}) == 3
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 1
    assert np.array_equal(pictures[0], pictures[2])


def test_an_interrupt_keeps_whole_frames_alone_and_the_job_can_go_on(host: Host) -> None:
    slow = {**FIELDS, "recipe": TEXT.replace(f"steps = {STEPS}", "steps = 12"), "name": "stopped"}
    thread, answers = in_background(lambda: host.remix(slow))
    until(lambda: [*host.jobs.glob("stopped_*/frames/000001.png")])
    host.post("interrupt")
    thread.join()
    (answer,) = answers
    left = answer.about["Remix left"]
    assert 0 < left < 6
    assert len(answer.pictures) == 6 - left
    again = host.remix(slow)
    assert len(again.pictures) == 6
    assert "Remix left" not in again.about
    assert all(np.array_equal(a, b) for a, b in zip(answer.pictures, again.pictures, strict=False))


def test_chunks_of_one_job_are_the_frames_of_the_whole(host: Host) -> None:
    whole = host.remix({**FIELDS, "name": "whole"}).pictures
    first = host.remix({**FIELDS, "name": "chunks", "count": 2})
    assert len(first.pictures) == 2
    assert sorted(frames_of(job(host, first))) == ["000000.png", "000001.png"]
    assert not (job(host, first) / "film.mp4").exists()
    second = host.remix({**FIELDS, "name": "chunks", "first": 2, "film": "mp4"})
    assert job(host, second) == job(host, first)
    assert (job(host, second) / "film.mp4").exists()
    again = host.remix({**FIELDS, "name": "chunks", "first": 1, "count": 3})
    for some, part in ((first, whole[:2]), (second, whole[2:]), (again, whole[1:4])):
        assert all(np.array_equal(a, b) for a, b in zip(some.pictures, part, strict=True))


def test_a_seed_that_is_drawn_is_drawn_once_for_a_job(host: Host) -> None:
    text = TEXT.replace("seed = 1\n", "").replace("seed = 2\n", "")
    fields = {**FIELDS, "recipe": text, "name": "drawn"}
    some = host.remix({**fields, "count": 2})
    rest = host.remix({**fields})
    assert job(host, rest) == job(host, some)
    assert all(np.array_equal(a, b) for a, b in zip(some.pictures, rest.pictures, strict=False))
    other = host.remix({**fields, "count": 2})
    assert job(host, other) != job(host, some)


def test_a_frame_carries_the_hosts_infotext_and_the_recipe(host: Host) -> None:
    answer = host.remix({**FIELDS, "name": "told", "count": 2}, cfg_scale=5)
    made = read_metadata(job(host, answer) / "frames" / "000001.png")
    assert made.remix is not None
    assert made.remix["recipe"]["cfg"] == 5
    assert made.a1111 is not None
    assert made.a1111.prompt == "a red apple"
    settings = made.a1111.settings
    assert (settings["Sampler"], settings["CFG scale"], settings["Seed"]) == ("Euler", "5.0", "1")
    assert settings["Script"] == "Remix"
    assert settings["Remix keyframes"] == FIELDS["recipe"]
    assert answer.info["infotexts"][1] == made.texts["parameters"]
    assert answer.images[1].info["parameters"] == made.texts["parameters"]
    parsed = host.post("png-info", image=answer.body["images"][1]).body
    assert parsed["parameters"]["Remix frame"] == "1"


def test_one_argument_is_enough_and_other_scripts_keep_theirs(host: Host) -> None:
    """The API puts `script_args` where all scripts' arguments are; a short list would move those that follow."""
    styled = TEXT.replace("a red apple", "a red apple # a remark")
    commented = host.remix({"recipe": styled, "count": 2, "film": "", "name": "comments"})
    assert "a remark" not in commented.info["infotexts"][0].splitlines()[0]  # the host's own script Comments
    one = host.remix(TEXT + "\n# short\n")
    assert len(one.pictures) == 6


def test_the_fields_are_shown_by_their_names(host: Host) -> None:
    shown = [script for script in host.get("/sdapi/v1/script-info") if script["name"] == "remix"]
    assert [script["is_img2img"] for script in shown] == [False, True]
    assert shown[0]["args"][0]["label"] == "Keyframes"
    assert all(argument["label"] for script in shown for argument in script["args"])


@pytest.mark.parametrize(
    ("body", "fields", "sentence"),
    [
        (TEXT.replace("steps", "stepz"), {}, 'line 4:1: stepz: there is no such field; did you mean "steps"?'),
        ({"frames": 3}, {}, "keyframes: is missing"),
        ("", {}, "recipe: is empty"),
        ({"recipe": TEXT, "first": 9}, {}, "first: 9 is past the last frame (5)"),
        ({"recipe": TEXT, "name": "../out"}, {}, "name: '../out' is not a name of a folder"),
        ({"recipe": TEXT, "film": "mp5"}, {}, "mp5"),
        ({"recipe": TEXT, "bach": 2}, {}, 'did you mean "batch"?'),
        (
            TEXT.replace("[[keyframes]]", 'sampler = "uni_pc"\nscheduler = "karras"\n[[keyframes]]', 1),
            {},
            "A1111's UniPC ignores 'karras'",
        ),
        (TEXT + 'image = "a.png"\n', {}, "image: keyframes set pictures; run the script in img2img"),
        ('model = "nothing"\n' + TEXT, {}, "model.checkpoint: this host does not have 'nothing'; use one of"),
        (TEXT, {"subseed_strength": 0.5}, "variation seed: its strength is above 0"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_rendered(
    host: Host, body: Any, fields: dict[str, Any], sentence: str
) -> None:
    before = {*host.jobs.glob("*")}
    answer = host.remix(body, **fields)
    assert (answer.status, sentence in answer.message) == (422, True), answer.body
    assert "\n" not in answer.message
    assert {*host.jobs.glob("*")} == before


def test_progress_tells_of_the_film_and_shows_a_preview(host: Host) -> None:
    host.post("options", show_progress_every_n_steps=1)
    slow = {**FIELDS, "recipe": TEXT.replace(f"steps = {STEPS}", "steps = 12"), "name": "watched", "count": 4}
    thread, answers = in_background(lambda: host.remix(slow))
    seen: list[dict[str, Any]] = []
    while thread.is_alive():
        seen.append(host.get("/sdapi/v1/progress"))
        time.sleep(0.1)
    thread.join()
    assert len(answers[0].pictures) == 4
    assert any(state["textinfo"] == "Remix: frames, 2 of 4" for state in seen)
    assert any(state["current_image"] for state in seen)
    shares = [state["progress"] for state in seen if state["state"]["job"]]
    assert all(later >= earlier - 0.01 for earlier, later in pairwise(shares))


def test_the_documented_command_works_as_it_is_written(host: Host) -> None:
    page = (ROOT / "docs" / "a1111.md").read_text(encoding="utf-8")
    command = page.split("```sh\n", 1)[1].split("```", 1)[0].replace("http://127.0.0.1:7860", host.url)
    assert command.startswith("curl ")
    done = subprocess.run(shlex.split(command.replace("\\\n", " ")), capture_output=True, check=True)
    assert len(Answer(200, json.loads(done.stdout)).pictures) == 8


def test_an_even_pace_is_measured_by_the_script_and_written_into_the_job(host: Host) -> None:
    paced = f'pace = "even"{TEXT}'
    folder = job(host, host.remix({**FIELDS, "recipe": paced, "name": "paced"}))
    clock = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))["clock"]
    assert (clock[0], clock[-1]) == (0, 5)
    assert clock != list(range(6))
    before = frames_of(folder)
    again = host.remix({**FIELDS, "recipe": paced, "name": "paced"})
    assert job(host, again) == folder
    assert frames_of(folder) == before
