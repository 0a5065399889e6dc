"""Makes the README's picture of the ComfyUI nodes, with a real ComfyUI and a headless browser.

    python -m docs.make_comfyui_pictures

Needs what the tests in tests/real/comfyui need. Takes one or two minutes on two cores. The workflow renders with the
bundled model. Writes docs/pictures/comfyui.png and comfyui-film.gif.
"""

from __future__ import annotations

import tempfile
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
SIZE, CORNER = {"width": 1600, "height": 860}, [75, 140]
"""The page in pixels, and the position of its first node."""
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
SAMPLER = {"steps": 12, "cfg": 3, "sampler_name": "dpmpp_2m", "scheduler": "sgm_uniform", "denoise": 1}

NODES: dict[str, tuple[str, list[int], list[int], dict[str, Any]]] = {
    "recipe": ("RemixRecipe", [0, 0], [340, 660], {"recipe": RECIPE}),
    "model": ("RemixPlayground", [400, 0], [190, 70], {}),
    "noise": ("RemixNoiseTravel", [400, 130], [235, 110], {}),
    "prompts": ("RemixPromptTravel", [400, 300], [235, 140], {}),
    "sampler": ("KSampler", [700, 0], [225, 270], SAMPLER),
    "decode": ("VAEDecode", [985, 280], [190, 60], {}),
    "film": ("RemixFilm", [985, 0], [190, 180], {"fps": 12}),
    "save": ("SaveVideo", [1225, 0], [280, 430], {"filename_prefix": "video/houses"}),
}
"""Each node's type, place, size and widgets."""

LINKS = (
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
    """Builds the workflow in a ComfyUI, runs it, and saves the page and the film."""
    with host_alone() as host:
        for setting, value in SETTINGS.items():
            host.post(f"/settings/{setting}", value)
        with browser() as started:
            _picture(started.new_page(viewport=SIZE), host)
        (made,) = host.output.rglob("*.mp4")
        frames = (fit(frame, SHOWN, SHOWN) for frame in read_video(made))
        write_video(frames, PICTURES / "comfyui-film.gif", probe(made).fps, metadata=read_tags(made))


def _picture(page: Any, host: Host) -> None:
    page.goto(host.url)
    page.wait_for_function(READY, timeout=PATIENCE)
    page.wait_for_load_state("networkidle")
    page.evaluate(BUILD, {"nodes": NODES, "links": LINKS})
    page.evaluate(SHOW, CORNER)
    page.evaluate("() => app.queuePrompt(0, 1)")
    page.wait_for_function("document.querySelector('video')?.readyState >= 3", timeout=PATIENCE)
    page.evaluate(STILL, 0.7)
    page.wait_for_timeout(6000)  # until the notification disappears
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        page.screenshot(path=shot)
        with Image.open(shot) as picture:
            picture.convert("RGB").quantize(COLORS).save(PICTURES / "comfyui.png", optimize=True)


if __name__ == "__main__":
    make()
