"""Makes the README's pictures of the nodes with the nodes themselves, in a real ComfyUI and a headless browser.

    python -m docs.make_comfyui_pictures

Needs what the tests in tests/real/comfyui need (one or two minutes on two cores). The checkpoint is the test suite's,
whose VAE knows blocks of 8 pixels and nothing else. Writes docs/pictures/comfyui.png and comfyui-film.gif.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from remix.motion import fit, probe, read_tags, read_video, write_video
from tests.real.browser import browser
from tests.real.comfyui.host import CHECKPOINT, Host, installed

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
SIDE, SHOWN = 512, 192
"""Pixels of the film, and of what is shown of it."""
SIZE, CORNER = {"width": 1600, "height": 985}, [75, 140]
"""Of the page in pixels, and where its first node stands."""
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False, "Comfy.Graph.CanvasInfo": False}
COLOURS = 128
READY = "!!(window.app && window.LiteGraph && window.LiteGraph.registered_node_types.RemixFilm)"
PATIENCE = 300_000
"""Milliseconds: machines are busy at times."""

NODES: dict[str, tuple[str, list[int], list[int], dict[str, Any]]] = {
    "checkpoint": ("CheckpointLoaderSimple", [0, 0], [225, 100], {"ckpt_name": CHECKPOINT}),
    "sun": ("LoadImage", [0, 145], [190, 315], {"image": "sun.png"}),
    "tree": ("LoadImage", [0, 505], [190, 315], {"image": "tree.png"}),
    "encode_sun": ("VAEEncode", [282, 145], [165, 60], {}),
    "encode_tree": ("VAEEncode", [282, 505], [165, 60], {}),
    "blend": (
        "RemixLatentBlend",
        [495, 145],
        [225, 300],
        {"weights": "travel", "weights.frames": 16, "weights.ease": "sine-in-out", "adain": True},
    ),
    "decode": ("VAEDecode", [768, 0], [165, 60], {}),
    "film": ("RemixFilm", [981, 145], [190, 180], {"fps": 12, "ping_pong": True}),
    "save": ("SaveVideo", [1219, 145], [290, 430], {"filename_prefix": "video/sun_and_tree"}),
}
"""Each node's type, place, size and what is set in it; no link passes behind another node."""

LINKS = (
    ("sun", "IMAGE", "encode_sun", "pixels"),
    ("tree", "IMAGE", "encode_tree", "pixels"),
    ("checkpoint", "VAE", "encode_sun", "vae"),
    ("checkpoint", "VAE", "encode_tree", "vae"),
    ("checkpoint", "VAE", "decode", "vae"),
    ("encode_sun", "LATENT", "blend", "latents.latent0"),
    ("encode_tree", "LATENT", "blend", "latents.latent1"),
    ("blend", "latent", "decode", "samples"),
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
    """Builds the workflow in a started ComfyUI, runs it, and keeps the page and the film."""
    comfyui = installed()
    assert comfyui is not None, "set COMFYUI_DIR to the folder of a ComfyUI"
    with tempfile.TemporaryDirectory() as base:
        host = Host(comfyui, Path(base))
        for name in ("sun", "tree"):
            with Image.open(ROOT / "examples" / "pictures" / f"{name}.png") as drawn:
                drawn.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(host.base / "input" / f"{name}.png")
        try:
            host.start()
            for setting, value in SETTINGS.items():
                host.post(f"/settings/{setting}", value)
            with browser() as started:
                _picture(started.new_page(viewport=SIZE), host)
            (made,) = host.output.rglob("*.mp4")
            frames = (fit(frame, SHOWN, SHOWN) for frame in read_video(made))
            write_video(frames, PICTURES / "comfyui-film.gif", probe(made).fps, metadata=read_tags(made))
        finally:
            host.stop()


def _picture(page: Any, host: Host) -> None:
    page.goto(host.url)
    page.wait_for_function(READY, timeout=PATIENCE)
    page.wait_for_load_state("networkidle")
    page.evaluate(BUILD, {"nodes": NODES, "links": LINKS})
    page.evaluate(SHOW, CORNER)
    page.evaluate("() => app.queuePrompt(0, 1)")
    page.wait_for_function("document.querySelector('video')?.readyState >= 3", timeout=PATIENCE)
    page.evaluate(STILL, 0.7)
    page.wait_for_timeout(6000)  # until the note that the job is done has gone
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        page.screenshot(path=shot)
        with Image.open(shot) as picture:
            picture.convert("RGB").quantize(COLOURS).save(PICTURES / "comfyui.png", optimize=True)


if __name__ == "__main__":
    make()
