"""The experiments: their list, their texts in all languages, and their pages."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import torch

from remix.client import lab
from remix.client.cli import main
from remix.client.lab import LANGUAGES, experiments, table, view_of
from remix.client.lab.studio import Studio, plane
from remix.client.lab.texts import texts_of
from remix.client.playground.generators import NUMBERS, Generator, trained
from remix.client.playground.train_generators import drawn_latents, train_gan, train_vae
from remix.errors import BadInput
from remix.mix.noise import noise_of_seed
from remix.show.experiment import ExperimentView, Strip, experiment_page

ALWAYS = {"title", "introduction", *(f"{kind}{number}" for kind in "qa" for number in (1, 2, 3))}


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio()


@pytest.fixture(scope="module")
def latents() -> ExperimentView:
    return view_of("latents", "de")


def texts(name: str) -> dict[str, str]:
    return dict(importlib.import_module(f"remix.client.lab.topics.{name}").TEXT)


def test_the_list_has_every_file_in_the_order_of_a_course(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(table.ORDER) == list(experiments())
    assert all(re.search(r"  \S.+\.$", line) for line in lines)


@pytest.mark.parametrize("name", experiments())
def test_an_experiment_has_its_texts_in_every_language(name: str) -> None:
    english = texts(name)
    assert english.keys() >= ALWAYS
    for language in LANGUAGES[1:]:
        translated = texts_of(name, language, english)
        same = [key for key in english if translated[key] == english[key] and len(english[key].split()) > 3]
        assert same == []
        for key, text in english.items():
            assert re.findall(r"\{\w+\}", translated[key]) == re.findall(r"\{\w+\}", text), key


def test_a_page_has_pictures_a_curve_and_three_questions_with_hidden_answers(
    latents: ExperimentView, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal calls give equal pages."""
    page = tmp_path / "pages" / "latents.html"
    words = ["explain", "latents", "-o", str(page), "--language", "de"]
    assert main(words) == 0
    html = page.read_text(encoding="utf-8")
    assert html == experiment_page(latents)
    assert '<html lang="de">' in html
    assert html.count("<details>") == 3
    assert html.count("<img ") > 20
    assert html.count("<svg ") == 1
    assert "<script" not in html
    assert "remix explain latents --language de" in html
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_experiments_are_listed_after_one_was_imported() -> None:
    for name in lab.experiments():
        importlib.import_module(f"remix.client.lab.topics.{name}")
    assert list(lab.experiments()) == list(table.ORDER)


def test_what_is_unknown_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match='did you mean "slerp"'):
        view_of("slrp")
    with pytest.raises(BadInput, match="language"):
        view_of("latents", "tlh")
    assert main(["explain", "seed", "noise", "-o", str(tmp_path / "one.html")]) == 2
    monkeypatch.setattr("remix.client.cli.explain.view_of", None)  # which takes a minute
    assert main(["explain", "seed", "--all", "-o", str(tmp_path / "all")]) == 2
    (tmp_path / "file").touch()
    assert main(["explain", "seed", "-o", str(tmp_path / "file")]) == 2


def test_attention_is_a_share_and_changes_nothing_in_the_picture(studio: Studio) -> None:
    found: list[torch.Tensor] = []
    prompt, noise = "a red house on a green hill", studio.noise(3)
    before = studio.sample([prompt], noise, steps=2).latents
    with studio.attention(found.append):
        watched = studio.sample([prompt], noise, steps=2)
    assert torch.allclose(watched.latents, before, atol=1e-4)
    assert {shares.shape[2] for shares in found} == {64}
    assert torch.allclose(found[0].sum(-1), torch.ones_like(found[0][..., 0]), atol=1e-5)
    assert [word for _, word in studio.tokens(prompt)] == prompt.split()
    assert len(watched.estimates) == len(watched.seen) == len(watched.levels) == 2
    assert torch.equal(studio.sample([prompt], noise, steps=2).latents, before)


def test_a_plane_keeps_the_distances_of_paths_that_lie_in_one() -> None:
    corners = [
        torch.tensor([[[[0.0, 0, 0, 0]]]]),
        torch.tensor([[[[0.0, 3, 0, 0]]]]),
        torch.tensor([[[[4.0, 3, 0, 0]]]]),
    ]
    flat = plane({"path": corners, "point": [corners[1]]})
    a, b, c = (torch.tensor(point) for point in flat["path"])
    assert [round(float(x), 4) for x in ((a - b).norm(), (b - c).norm(), (a - c).norm())] == [3, 4, 5]
    assert flat["point"] == [flat["path"][1]]


def test_the_bundled_vae_restores_drawings_and_the_gan_makes_latents_like_theirs() -> None:
    networks, real = trained(), drawn_latents(12, seed=99)
    with torch.inference_mode():
        restored = networks.vae(networks.encoded(real))
        made = networks.gan(torch.cat([noise_of_seed(seed, (NUMBERS,)) for seed in range(64)]))
    off = torch.stack([(restored[:, None] - real[None]).square().mean((2, 3, 4))])[0]
    assert (off.argmin(1) == torch.arange(12)).sum() >= 10  # nearest to the drawing itself
    assert float(off.diagonal().mean()) < 0.25 * float(real.var())
    assert made.std() == pytest.approx(float(real.std()), rel=0.25)
    assert made.std(0).mean() > 0.5 * float(real.std(0).mean())  # not one picture again and again


def test_training_the_small_networks_is_repeatable_and_lowers_the_error() -> None:
    real = drawn_latents(40, seed=1)

    def error(steps: int) -> float:
        decoder, encoder = train_vae(real, steps, 0)
        return float((decoder(encoder(real)[:, :NUMBERS]) - real).square().mean().detach())

    assert error(2) == error(2) > error(20)
    made = train_gan(real, 2, 0, Generator())(torch.zeros(1, NUMBERS))
    assert made.shape == (1, 4, 16, 16)
    assert bool(made.isfinite().all())


def test_every_part_of_a_page_is_escaped(latents: ExperimentView) -> None:
    view, hostile = latents, "<script>alert(1)</script>"
    strip = next(part for part in view.parts if isinstance(part, Strip))
    part = Strip(hostile, hostile, [(hostile, strip.pictures[0][1])])
    assert hostile not in experiment_page(
        type(view)(hostile, hostile, [part], [(hostile, hostile)], hostile, "en", view.words)
    )
