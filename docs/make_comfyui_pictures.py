"""Makes the pictures of the ComfyUI nodes, with a real ComfyUI and a headless browser.

    python -m docs.make_comfyui_pictures

Needs what the tests in tests/real/comfyui need, and jinja2, pygal and opencv-python-headless in ComfyUI's Python. Takes
two or three minutes on two cores. The workflows render with the bundled model. Writes docs/pictures/comfyui.png,
comfyui-film.gif and comfyui-job.png.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from remix.motion import fit, probe, read_tags, read_video, write_video
from tests.real.browser import browser
from tests.real.comfyui.host import Host, host_alone

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
SHOWN = 192
"""Pixels of the film in the README."""
CORNER = [75, 140]
"""The position of the first node."""
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False, "Comfy.Graph.CanvasInfo": False}
COLORS = 128
READY = "!!(window.app && window.LiteGraph && window.LiteGraph.registered_node_types.RemixFilm)"
PATIENCE = 300_000
"""Milliseconds."""

RECIPE = """\
frames = 24
fps = 12
size = [128, 128]
loop = true
ease = "sine-in-out"

[[keyframes]]
prompt = "a red house on a green hill"
seed = 3

[[keyframes]]
prompt = "a white house in the snow"

[[keyframes]]
prompt = "a yellow boat at sunset"
"""
SETTINGS_OF_JOB = 'pace = "even"\nsteps = 12\ncfg = 3\nsampler = "dpmpp_2m"\nscheduler = "sgm_uniform"\n'
SAMPLER = {"steps": 12, "cfg": 3, "sampler_name": "dpmpp_2m", "scheduler": "sgm_uniform", "denoise": 1}


@dataclass(frozen=True)
class Workflow:
    """A workflow and the size of its picture."""

    size: tuple[int, int]
    nodes: dict[str, tuple[str, list[int], list[int], dict[str, Any]]]
    """Each node's type, place, size and widgets."""
    links: tuple[tuple[str, str, str, str], ...]


NODES = Workflow(
    (1600, 860),
    {
        "recipe": ("RemixRecipe", [0, 0], [340, 660], {"recipe": RECIPE}),
        "model": ("RemixPlayground", [400, 0], [190, 70], {}),
        "noise": ("RemixNoiseTravel", [400, 130], [235, 110], {}),
        "prompts": ("RemixPromptTravel", [400, 300], [235, 140], {}),
        "sampler": ("KSampler", [700, 0], [225, 270], SAMPLER),
        "decode": ("VAEDecode", [985, 360], [190, 60], {}),
        "film": ("RemixFilm", [985, 0], [190, 270], {"fps": 12}),
        "save": ("SaveVideo", [1225, 0], [280, 430], {"filename_prefix": "video/houses"}),
    },
    (
        ("recipe", "schedule", "prompts", "schedule"),
        ("recipe", "schedule", "noise", "schedule"),
        ("model", "CLIP", "prompts", "clip"),
        ("model", "MODEL", "noise", "model"),
        ("noise", "model", "sampler", "model"),
        ("noise", "latent", "sampler", "latent_image"),
        ("prompts", "positive", "sampler", "positive"),
        ("prompts", "negative", "sampler", "negative"),
        ("sampler", "LATENT", "decode", "samples"),
        ("model", "VAE", "decode", "vae"),
        ("decode", "IMAGE", "film", "images"),
        ("film", "video", "save", "video"),
    ),
)
JOB = Workflow(
    (1600, 860),
    {
        "recipe": ("RemixRecipe", [0, 0], [340, 660], {"recipe": f"{SETTINGS_OF_JOB}{RECIPE}"}),
        "model": ("RemixPlayground", [400, 0], [190, 70], {}),
        "render": ("RemixRender", [400, 130], [320, 520], {"filename_prefix": "remix/houses"}),
        "report": ("RemixReport", [785, 0], [330, 250], {}),
        "film": ("RemixFilm", [785, 310], [330, 270], {"to_fps": 24}),
        "save": ("RemixSaveFilm", [1180, 0], [325, 560], {"filename_prefix": "video/job"}),
    },
    (
        ("recipe", "schedule", "render", "schedule"),
        ("model", "MODEL", "render", "model"),
        ("model", "CLIP", "render", "clip"),
        ("model", "VAE", "render", "vae"),
        ("render", "job", "report", "job"),
        ("render", "job", "film", "job"),
        ("film", "video", "save", "video"),
    ),
)

BUILD = """({nodes, links}) => {
  app.graph.clear()
  const made = {}
  for (const [name, [type, place, size, values]] of Object.entries(nodes)) {
    const node = made[name] = LiteGraph.createNode(type)
    app.graph.add(node)
    for (const [field, value] of Object.entries(values)) {
      const widget = node.widgets.find(one => one.name === field)
      if (!widget) throw `${name} has no ${field}, but ${node.widgets.map(one => one.name)}`
      widget.value = value
      widget.callback?.(value)
    }
    node.pos = place
    node.setSize(size)
  }
  for (const [from, output, to, input] of links) {
    const index = made[to].findInputSlot(input)
    if (index < 0) throw `${to} has no ${input}, but ${made[to].inputs.map(one => one.name)}`
    made[from].connect(made[from].findOutputSlot(output), made[to], index)
  }
}"""

SHOW = """([left, top]) => {
  app.canvas.deselectAllNodes?.()
  app.canvas.ds.scale = 1
  app.canvas.ds.offset = [left, top]
  app.canvas.setDirty(true, true)
}"""

STILL = """at => {
  const video = document.querySelector('video')
  video.controls = false
  video.pause()
  video.currentTime = at
}"""


def make() -> None:
    """Runs the workflows in a ComfyUI, and saves their pages and the film of the first."""
    with host_alone() as host:
        for setting, value in SETTINGS.items():
            host.post(f"/settings/{setting}", value)
        with browser() as started:
            for name, workflow in (("comfyui", NODES), ("comfyui-job", JOB)):
                width, height = workflow.size
                page = started.new_page(viewport={"width": width, "height": height})
                _picture(page, host, workflow, PICTURES / f"{name}.png")
                page.close()
        (made,) = host.output.glob("video/houses*.mp4")
        frames = (fit(frame, SHOWN, SHOWN) for frame in read_video(made))
        write_video(frames, PICTURES / "comfyui-film.gif", probe(made).fps, metadata=read_tags(made))


def _picture(page: Any, host: Host, workflow: Workflow, path: Path) -> None:
    page.goto(host.url)
    page.wait_for_function(READY, timeout=PATIENCE)
    page.wait_for_load_state("networkidle")
    page.evaluate(BUILD, {"nodes": workflow.nodes, "links": workflow.links})
    page.evaluate(SHOW, CORNER)
    page.evaluate("() => app.queuePrompt(0, 1)")
    page.wait_for_function("document.querySelector('video')?.readyState >= 3", timeout=PATIENCE)
    page.evaluate(STILL, 0.7)
    page.wait_for_timeout(6000)  # until the notification disappears
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        page.screenshot(path=shot)
        with Image.open(shot) as picture:
            picture.convert("RGB").quantize(COLORS).save(path, optimize=True)


if __name__ == "__main__":
    make()
