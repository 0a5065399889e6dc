"""Settings of a recipe on their way to samplers: the outputs of Remix Recipe, and its remarks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from remix.errors import BadInput, Unsupported
from tests.hosts.comfyui.conftest import room
from tests.hosts.comfyui.workflows import TEXT, VALUE, Nodes, film, hidden


def recipe_node(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    return hidden(monkeypatch, room(pack, "recipe").RemixRecipe, "1")


def remarks(node: Any, text: str = TEXT) -> tuple[str, ...]:
    """The remarks, without the one on the syntax."""
    return tuple(node.execute(text, 0, 0.0, 0, 0).ui["remarks"][1:])


@pytest.mark.parametrize(
    ("slot", "text", "sentence"),
    [
        (6, TEXT, 'cfg: it travels from 3 (frame 0) to 9 (frame 2), and the output "cfg" gives one number; connect Re'),
        (7, TEXT, 'seed: it travels from 5 (frame 0) to 6 (frame 2), and the output "seed" gives one number; connect '),
        (7, "frames = 2\n[[keyframes]]\nseed = {3 = 1, 4 = 3}\n", "seed: it is 25% of 3 + 75% of 4 in every frame, an"),
        (
            10,
            'frames = 2\n[[keyframes]]\nimage = "a.png"\ndenoise = 0.4\n[[keyframes]]\ndenoise = 0.8\n',
            "denoise: it travels from 0.4 (frame 0) to 0.8 (frame 1)",
        ),
    ],
)
def test_a_setting_that_travels_has_no_output(
    pack: ModuleType,
    workflow: Callable[[Nodes], Any],
    monkeypatch: pytest.MonkeyPatch,
    slot: int,
    text: str,
    sentence: str,
) -> None:
    workflow(film(n4={"number": ["1", slot]}))
    node = recipe_node(pack, monkeypatch)
    with pytest.raises(BadInput) as refused:
        node.execute(text, 0, 0.0, 0, 0)
    assert str(refused.value).startswith(sentence)
    workflow(film())
    node.execute(text, 0, 0.0, 0, 0)


def test_the_outputs_are_what_the_table_shows(
    pack: ModuleType, workflow: Callable[[Nodes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow(film(n4={"number": ["1", 6], "other": ["1", 7], "sampler_name": ["1", 8], "scheduler": ["1", 9]}))
    text = TEXT.replace("cfg = 9", "cfg = 3").replace("seed = 6", "seed = 5")
    assert recipe_node(pack, monkeypatch).execute(text, 0, 0.0, 0, 0).result[5:] == (
        *(12, 3.0, 5, "euler_ancestral", "karras", 1.0),
    )


def test_a_sampler_that_the_host_lacks_is_refused_where_it_is_connected(
    pack: ModuleType, workflow: Callable[[Nodes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TEXT.replace("euler_ancestral", "heun")
    workflow(film(n4={"sampler_name": ["1", 8]}))
    with pytest.raises(Unsupported, match="sampler: this ComfyUI does not have 'heun'; use \"euler\""):
        recipe_node(pack, monkeypatch).execute(text, 0, 0.0, 0, 0)
    workflow(film())
    recipe_node(pack, monkeypatch).execute(text, 0, 0.0, 0, 0)


WIDGETS = {"sampler_name": "euler", "scheduler": "karras", "steps": 20, "cfg": ["7", 0], "denoise": 0.5}


@pytest.mark.parametrize(
    ("nodes", "text", "messages"),
    [
        (
            film(more=VALUE, n4=WIDGETS),
            TEXT,
            [
                "sampler: the recipe says euler_ancestral, but KSampler (node 4) has euler; connect the output "
                '"sampler"',
                'steps: the recipe says 12, but KSampler (node 4) has 20; connect the output "steps"',
            ],
        ),
        (film(more=VALUE, n4=WIDGETS), "frames = 3\n[[keyframes]]\n", []),  # it names none of them
        (film(more=VALUE, n4={**WIDGETS, "steps": 9}), 'frames = 3\n[[keyframes]]\nprompt = "stone steps"\n', []),
        (
            film(n4={"sampler_name": "euler"}),
            '{"prompts": {"0": "a"}, "max_frames": 2, "cfg_scale_schedule": "0: (3)"}',
            ['cfg: the recipe says 3, but KSampler (node 4) has 7.0; connect the output "cfg"'],
        ),
        (
            film(n4={"sampler_name": ["1", 8], "scheduler": ["1", 9], "steps": ["1", 5]}),
            TEXT,
            [
                "cfg: it travels from 3 (frame 0) to 9 (frame 2), but KSampler (node 4) has 7.0 for all frames; "
                "connect Remix Value Travel (value: cfg) there instead, or use Remix Render",
            ],
        ),
        (
            film(
                more={**VALUE, "9": ("EmptyLatentImage", {"batch_size": 1})},
                n4={"model": ["0", 0], "latent_image": ["9", 0], "cfg": ["7", 0], "sampler_name": ["1", 8], "seed": 5},
            ),
            TEXT,
            [
                "seed: it travels from 5 (frame 0) to 6 (frame 2), but KSampler (node 4) has 5 for all frames; "
                "connect Remix Noise Travel between the model and the sampler instead, or use Remix Render"
            ],
        ),
        (
            film(
                more={"9": ("EmptyLatentImage", {"batch_size": 1})},
                n4={"model": ["0", 0], "latent_image": ["9", 0], "sampler_name": "euler", "seed": 0},
            ),
            "frames = 2\n[[keyframes]]\nseed = 5\n",
            ['seed: the recipe says 5, but KSampler (node 4) has 0; connect the output "seed"'],
        ),
        (
            film(
                more={
                    "7": ("KSamplerSelect", {"sampler_name": "euler"}),
                    "8": ("BasicScheduler", {"scheduler": "normal", "steps": 12, "denoise": 1.0}),
                    "9": ("CFGGuider", {"positive": ["2", 0], "cfg": 4.0}),
                    "4": (
                        "SamplerCustomAdvanced",
                        {"noise": ["3", 0], "guider": ["9", 0], "sampler": ["7", 0], "sigmas": ["8", 0]},
                    ),
                }
            ),
            TEXT.replace("cfg = 9", "cfg = 3"),
            [
                "sampler: the recipe says euler_ancestral, but KSamplerSelect (node 7) has euler; connect the output "
                '"sampler"',
                "scheduler: the recipe says karras, but BasicScheduler (node 8) has normal; connect the output "
                '"scheduler"',
                'cfg: the recipe says 3, but CFGGuider (node 9) has 4.0; connect the output "cfg"',
            ],
        ),
    ],
)
def test_what_samplers_do_otherwise_is_said(
    pack: ModuleType,
    workflow: Callable[[Nodes], Any],
    monkeypatch: pytest.MonkeyPatch,
    nodes: Nodes,
    text: str,
    messages: list[str],
) -> None:
    if nodes["4"][1].get("latent_image") == ["9", 0]:  # and no Remix Noise Travel
        del nodes["3"]
    workflow(nodes)
    assert list(remarks(recipe_node(pack, monkeypatch), text)) == messages


def test_a_recipe_node_runs_again_when_a_sampler_behind_it_changes(
    pack: ModuleType, workflow: Callable[[Nodes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = recipe_node(pack, monkeypatch)
    found = []
    for inputs in ({}, {"cfg": 8.0}, {"cfg": ["1", 6]}, {"seed": 3}):
        workflow(film(n4={"sampler_name": "euler", **inputs}))
        found.append(node.fingerprint_inputs())
    assert len(set(found)) == 3
    assert found[0] == found[3]


def test_a_song_is_read_from_the_input_folder_and_noticed_when_it_is_replaced(
    pack: ModuleType, workflow: Callable[[Nodes], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    numbers = {
        "length": 1.0,
        "tempo": 120.0,
        "beats": [0.25],
        "onsets": [],
        "rms": [],
        "bass": [],
        "mid": [],
        "high": [],
    }
    monkeypatch.setattr("remix.motion.song._measured", lambda path: numbers)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    workflow(film())
    node = recipe_node(pack, monkeypatch)
    text = 'frames = "song"\nfps = 12\n[music]\nfile = "song.mp3"\n[[keyframes]]\nat = "beat 1"\nprompt = "`beat`"\n'
    assert "'song.mp3' is not a file in" in node.validate_inputs(text)
    song = Path(pack.base, "input", "song.mp3")
    song.write_bytes(b"one")
    assert node.validate_inputs(text) is True
    schedule = node.execute(text, 0, 0.0, 0, 0).result[0]
    assert (len(schedule), schedule[3].prompt.heaviest) == (12, "1")
    before = node.fingerprint_inputs(recipe=text)
    song.write_bytes(b"two")
    assert node.fingerprint_inputs(recipe=text) != before
    assert "may lead out" in node.validate_inputs(text.replace("song.mp3", "../song.mp3"))
