"""Credits: what films and pictures say that they were made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from remix.digest import sha256
from remix.job import Made, credits_of, film_credits, job_texts, open_job, read_metadata
from remix.job.credits import MOST_SOURCES
from remix.motion import save_picture
from remix.plan import Keyframe, Lora, Model, Recipe, plan

PICTURE = np.full((8, 8, 3), 90, np.uint8)
INFOTEXT = "a red fox\nNegative prompt: blur\nSteps: 9, Sampler: Euler, Seed: 4711, Model hash: abc123, Model: fox"
ENGINE = {"engine": "local", "checkpoint": "fox.safetensors"}

TRAVELING = ("prompt", "negative", "seed", "lora", "source")


def rendered(folder: Path) -> Path:
    save_picture(folder / "a.png", PICTURE, {"parameters": INFOTEXT})
    keyframes = (
        Keyframe(prompt="a cat", image="a.png", denoise=0.5, seed=3, loras={"ink": 0.2}),
        Keyframe(prompt="a dog", loras={"ink": 0.9}),
    )
    recipe = Recipe(2, keyframes, width=8, height=8, folder=str(folder), model=Model("fox", loras=[Lora("film", 0.5)]))
    with open_job(folder / "job", plan(recipe), ENGINE) as job:
        for index in range(2):
            job.keep(index, PICTURE)
    return folder / "job"


def test_a_frame_and_a_film_name_models_prompts_and_the_hash_of_each_source(tmp_path: Path) -> None:
    job = rendered(tmp_path)
    digest = sha256((tmp_path / "a.png").read_bytes())
    (frame, film) = (
        credits_of(read_metadata(job / "frames" / "000000.png")),
        credits_of(Made("remix", remix=json.loads(job_texts(job)["remix"]))),
    )
    for rows in (frame, film):
        assert {("checkpoint", "fox.safetensors"), ("lora", "film 0.5")} <= set(rows)
        assert {("prompt", "a cat"), ("seed", "3")} <= set(rows)
        assert ("source", f"a.png, sha256 {digest}") in rows
    assert {("prompt", "a dog"), ("lora", "ink 0.2 to 0.9")} <= set(film)
    assert {("  prompt", "a red fox"), ("  model", "fox"), ("  Model hash", "abc123")} <= set(film)


def test_a_frame_names_only_what_reaches_it(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_picture(tmp_path / name, PICTURE)
    keyframes = (
        Keyframe(prompt="a cat", negative="red", image="a.png", denoise=0.5, seed=3, loras={"ink": 0.2}),
        Keyframe(prompt="a dog", negative="blue", image="b.png", denoise=0.5, seed=4, loras={"ink": 0.8}),
    )
    schedule = plan(Recipe(3, keyframes, width=8, height=8, folder=str(tmp_path)))
    rows = []
    with open_job(tmp_path / "job", schedule, ENGINE) as job:
        for index in range(3):
            found = credits_of(read_metadata(job.keep(index, PICTURE)))
            rows.append([(name, text.partition(",")[0]) for name, text in found if name in TRAVELING])
    first = [("lora", "ink 0.2"), ("prompt", "a cat"), ("negative", "red"), ("seed", "3"), ("source", "a.png")]
    last = [("lora", "ink 0.8"), ("prompt", "a dog"), ("negative", "blue"), ("seed", "4"), ("source", "b.png")]
    assert (rows[0], rows[2]) == (first, last)
    assert set(rows[1]) == {*first[1:], *last[1:], ("lora", "ink 0.5")}


def test_a_frame_with_many_sources_has_one_hash_of_them(tmp_path: Path) -> None:
    names = [f"{number:0100}.png" for number in range(60)]
    for name in names:
        save_picture(tmp_path / name, PICTURE)
    keyframes = tuple(Keyframe(image=name, denoise=0.5) for name in names)
    schedule = plan(Recipe(60, keyframes, width=8, height=8, folder=str(tmp_path)))
    with open_job(tmp_path / "job", schedule, ENGINE) as job:
        made = read_metadata(job.keep(0, PICTURE)).remix
    assert made is not None
    assert len(made["sources_sha256"]) == 64


def test_the_credits_of_all_sources_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remix.job.credits.FILM_BYTES", 3_000)
    for name in ("a.png", "b.png"):
        save_picture(tmp_path / name, PICTURE, {"parameters": "x" * 2_000 + INFOTEXT})
    keyframes = (Keyframe(image="a.png", denoise=0.5), Keyframe(image="b.png"))
    with open_job(tmp_path / "job", plan(Recipe(2, keyframes, width=8, height=8, folder=str(tmp_path))), ENGINE):
        pass
    found = json.loads(job_texts(tmp_path / "job")["remix"])["sources"]
    assert [(each["name"], "credits" in each) for each in found] == [("a.png", True), ("b.png", False)]


def test_a_film_of_pictures_lists_them_and_what_made_them(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        save_picture(path, PICTURE, {"parameters": INFOTEXT} if path.name == "1.png" else {})
    rows = credits_of(Made("unknown", film_credits(paths)))
    assert [text.split(",")[0] for label, text in rows if label == "source"] == ["0.png", "1.png", "2.png"]
    assert rows[0][1].startswith("3 pictures, sha256 ")
    assert {("made with", "AUTOMATIC1111"), ("prompt", "a red fox"), ("model", "fox")} <= {
        (label, text if label != "made with" else "AUTOMATIC1111") for label, text in rows
    }
    many = json.loads(film_credits([paths[0]] * (MOST_SOURCES + 1))["credits"])
    assert (many["pictures"], len(many["sources"])) == (MOST_SOURCES + 1, MOST_SOURCES)


def test_forged_credits_are_only_texts() -> None:
    for text in ("[]", '{"sources": 5, "credits": [5, ["a"], ["b", 7]]}', '{"sources": [5, {"name": []}]}', "{"):
        credits_of(Made("unknown", {"credits": text}))
    assert credits_of(Made("unknown")) == []
