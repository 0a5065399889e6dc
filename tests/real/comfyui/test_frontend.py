"""The real front end of a real ComfyUI, in a headless browser: the nodes appear, and every example workflow runs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.hosts.comfyui.definitions import Definitions
from remix.hosts.comfyui.workflow import to_prompt
from remix.motion import load_picture, probe, read_video, save_picture, write_video
from tests.real.browser import browser as started_browser
from tests.real.comfyui.graphs import new_folder
from tests.real.comfyui.host import CHECKPOINT, ROOT, Graph, Host, installed
from tests.real.comfyui.record_nodes import PLACE, table

READY = "!!(window.app && window.LiteGraph && window.LiteGraph.registered_node_types.RemixFilm)"

WORKFLOWS = sorted(path for path in (ROOT / "example_workflows").glob("*.json") if "your checkpoint" not in path.stem)
"""Those of the bundled model, and those of photos and videos. Their copies for a checkpoint differ in the loader."""
FRAMES = {"1": 4, "2": 4, "3": 4, "4": 4, "5": 3, "6": 4, "7": 4}
"""How many frames of each workflow are tried, by the number in its name."""


ODD = ("image_newbieimage",)
"""Templates of which the front end gives nodes new numbers."""


class Browser:
    """A page with the front end, and what went wrong in it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", self._heard)
        page.goto(url)
        page.wait_for_function(READY, timeout=60_000)
        page.wait_for_load_state("networkidle")

    def _heard(self, message: Any) -> None:
        # Without any pack the front end says of itself: a graph that it asked for too early; what a new user's
        # folder lacks; and models on the internet, which it may not look for.
        own = ("graph accessed before initialization", "huggingface.co")
        absent = "Failed to load resource" in message.text and "/extensions/" not in message.location.get("url", "")
        if message.type == "error" and not absent and not any(words in message.text for words in own):
            self.wrong.append(message.text)

    def prompt_of(self, workflow: Path) -> Graph:
        """Returns what the front end would queue for a workflow."""
        self.page.evaluate("data => app.loadGraphData(data)", json.loads(workflow.read_text(encoding="utf-8")))
        return dict(self.page.evaluate("async () => (await app.graphToPrompt()).output"))


@pytest.fixture(scope="module")
def browser(host: Host) -> Iterator[Browser]:
    host.post("/settings/Comfy.TutorialCompleted", True)
    with started_browser() as started:
        yield Browser(started.new_page(), host.url)


def test_the_front_end_knows_every_node_and_complains_of_none(host: Host, browser: Browser) -> None:
    names = [name for name in host.get("/object_info") if name.startswith("Remix")]
    assert len(names) >= 8
    for name in names:
        titled = browser.page.evaluate(
            "name => { const node = LiteGraph.createNode(name); app.graph.add(node); return node.title }", name
        )
        assert titled.startswith("Remix ")
        pages = f"/extensions/remix-toolkit/docs/{name}.md"
        assert browser.page.evaluate("path => fetch(path).then(answer => answer.text())", pages).startswith("# Remix ")
    assert browser.wrong == []


def test_workflows_convert_to_what_the_front_end_sends(host: Host, browser: Browser) -> None:
    """On the templates and blueprints that come with the host: subgraphs, switches, bypassed nodes, choices."""
    definitions = Definitions.read(host.get("/object_info"))
    different = []
    templates = [path for path in _templates(host) if json.loads(path.read_text(encoding="utf-8")).get("links")]
    assert len(templates) > 40
    for path in templates[:: 1 if os.environ.get("REMIX_REAL") == "all" else len(templates) // 12]:
        sent = browser.prompt_of(path)
        converted = to_prompt(json.loads(path.read_text(encoding="utf-8")), definitions).nodes
        known = {key: node for key, node in sent.items() if node["class_type"] in definitions.widgets}
        wrong = [key for key, node in known.items() if _plain(node) != _plain(converted.get(key))]
        different += [f"{path.name} {key}: {known[key]}, converted {converted.get(key)}" for key in wrong]
    browser.wrong.clear()  # templates name models that are not there
    assert different == []


def _templates(host: Host) -> list[Path]:
    """Returns the workflows with core nodes that the host offers, without those of nodes that show 3D scenes."""
    places = Path(str(installed())).glob("venv/lib/python3*/site-packages/comfyui_workflow_templates*/**/*.json")
    named = ("image_", "flux", "sd", "default", "text_to_")
    return sorted(path for path in places if path.name.startswith(named) and not path.name.startswith(ODD))


def _plain(node: dict[str, Any] | None) -> Any:
    return node and {"class_type": node["class_type"], "inputs": node["inputs"]}


def test_the_table_of_core_nodes_is_that_of_this_host(host: Host) -> None:
    """Run `python -m tests.real.comfyui.record_nodes` after an update."""
    assert table(host) == PLACE.read_text(encoding="utf-8")


def test_names_are_translated(host: Host, browser: Browser) -> None:
    texts = host.get("/i18n")
    assert texts["de"]["nodeDefs"]["RemixFilm"]["inputs"]["ping_pong"]["name"] == "hin und her"
    assert texts["en"]["nodeDefs"]["RemixFilm"]["display_name"] == "Remix Film"
    host.post("/settings/Comfy.Locale", "fr")
    page = browser.page.context.browser.new_page()
    try:
        french = Browser(page, host.url)
        added = "const node = LiteGraph.createNode('RemixFilm'); app.graph.add(node)"
        labels = french.page.evaluate(f"() => {{ {added}; return node.widgets.map(widget => widget.label) }}")
        assert labels[:3] == ["images/s", "aller-retour", "répétitions"]
        assert labels[3:] == ["images intermédiaires", "cadence", "méthode"]
    finally:
        page.close()
        host.post("/settings/Comfy.Locale", "en")


def test_presets_fill_the_recipe_and_can_be_saved(host: Host, browser: Browser) -> None:
    added = "window.node = LiteGraph.createNode('RemixRecipe'); app.graph.add(node)"
    browser.page.evaluate(
        f"""async () => {{
            {added};
            window.named = name => node.widgets.find(widget => widget.name === name);
            await named("preset").callback("lines with times");
        }}"""
    )
    values = "() => node.widgets.slice(0, 3).map(widget => widget.value)"
    filled = browser.page.evaluate(values)
    assert (filled[0].startswith("0s: a red house"), filled[1:]) == (True, [49, 12])
    own = "mine"
    browser.page.evaluate("() => { named('save_preset').callback() }")
    browser.page.get_by_role("dialog").get_by_role("textbox").fill(own)
    browser.page.keyboard.press("Enter")
    browser.page.wait_for_function("name => named('preset').value === name", arg=own)
    browser.page.evaluate("() => named('preset').callback('seed walk')")
    assert browser.page.evaluate(values)[1:] == [0, 0]
    browser.page.evaluate("name => named('preset').callback(name)", own)
    assert browser.page.evaluate(values) == filled
    sent = browser.page.evaluate("async () => (await app.graphToPrompt()).output[String(node.id)].inputs")
    assert set(sent) == {"recipe", "frames", "fps", "width", "height", "syntax"}  # the list is not part of a workflow
    assert host.get("/userdata/remix-presets%2Fmine.json")["recipe"] == filled[0]
    browser.page.evaluate("() => app.graph.remove(node)")
    assert browser.wrong == []


def test_the_template_browser_finds_the_workflows_and_their_pictures(host: Host, browser: Browser) -> None:
    names = host.get("/workflow_templates")["remix-toolkit"]
    assert sorted(names) == sorted(path.stem for path in (ROOT / "example_workflows").glob("*.json"))
    assert len(names) == 12
    for name in names:
        kind = browser.page.evaluate(
            "path => fetch(path).then(answer => answer.headers.get('content-type'))",
            f"/api/workflow_templates/remix-toolkit/{name}.jpg",
        )
        assert kind == "image/jpeg"


@pytest.fixture(scope="module")
def inputs(host: Host) -> None:
    """Puts what the workflows load where they look for it: two pictures, a video, and a video of one picture."""
    folder = host.base / "input"
    shades = [np.full((64, 64, 3), shade, np.uint8) for shade in (30, 90, 150, 210)]
    for picture in shades:
        picture[:, 32:] //= 2
    save_picture(folder / "example.png", shades[0])
    save_picture(folder / "other.png", shades[3])
    write_video(shades, folder / "video.mp4", 12)
    write_video([shades[1]] * 4, folder / "still.mp4", 12)


def small(prompt: Graph, frames: int) -> Graph:
    """The same prompt with few small frames, and the checkpoint that is there; the last picture is another one."""
    pictures = [node["inputs"] for node in prompt.values() if node["class_type"] == "LoadImage"]
    for loaded in pictures[1:]:
        loaded["image"] = "other.png"
    for node in prompt.values():
        inputs, kind = node["inputs"], node["class_type"]
        if kind == "CheckpointLoaderSimple":
            inputs["ckpt_name"] = CHECKPOINT
        elif kind == "RemixRecipe":
            inputs.update(width=64, height=64)
            if not isinstance(inputs["frames"], list):
                inputs["frames"] = frames
        elif kind == "EmptyLatentImage" and not isinstance(inputs["width"], list):
            inputs.update(width=64, height=64)
        for name in ("weights.frames", "steps"):
            if name in inputs and not isinstance(inputs[name], list):
                inputs[name] = frames
    return prompt


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_an_example_workflow_makes_its_film(host: Host, browser: Browser, workflow: Path) -> None:
    prompt = small(browser.prompt_of(workflow), FRAMES[workflow.stem[0]])
    assert browser.wrong == []
    outputs = host.run(prompt)
    savers = ("SaveVideo", "RemixSaveFilm")
    (saver,) = (number for number, node in prompt.items() if node["class_type"] in savers)
    (saved,) = outputs[saver]["images"]
    film = host.base / saved["type"] / saved["subfolder"] / saved["filename"]  # or the film that is shown for it
    made = next(node["inputs"] for node in prompt.values() if node["class_type"] == "RemixFilm")
    count = FRAMES[workflow.stem[0]]
    cycle = 2 * count - 2 if made["ping_pong"] else count
    found = probe(film)
    assert (found.frames, found.width, found.height, found.fps) == (cycle * made["repeat"], 64, 64, 12)
    pictures = list(read_video(film))
    assert all(picture.std() > 1 for picture in pictures)
    assert abs(pictures[0].astype(int) - pictures[count // 2].astype(int)).mean() > 1


def still(prompt: Graph) -> Graph:
    """The same prompt, whose keyframes, pictures and numbers are all alike, in batches of 2; its frames are saved."""
    for node in prompt.values():
        inputs, kind = node["inputs"], node["class_type"]
        if kind == "RemixRecipe":
            alike = re.sub(r"(?m)^seed = .*$", "seed = 7", inputs["recipe"])
            inputs["recipe"] = alike if "short names" in alike else re.sub(r"(?m)^prompt = .*$", 'prompt = "a"', alike)
        elif kind == "LoadImage":
            inputs["image"] = "example.png"
        elif kind == "LoadVideo":
            inputs["file"] = "still.mp4"
        elif kind == "CLIPTextEncode":
            inputs["text"] = "a boat"
        elif kind == "RemixValueTravel":
            inputs["value.expression"] = "6"
        elif kind == "KSampler":
            inputs["seed"] = 5
        if kind.startswith("Remix") and "batch_size" in inputs:
            inputs["batch_size"] = 2
    (film,) = (node["inputs"] for node in prompt.values() if node["class_type"] == "RemixFilm")
    images = film.get("images")
    if images is None:
        images = ["frames", 0]
        prompt["frames"] = {"class_type": "RemixFrames", "inputs": {"job": film["job"], "first": 0, "count": 0}}
    prompt["still"] = {"class_type": "SaveImage", "inputs": {"images": images, "filename_prefix": f"{new_folder()}/x"}}
    for number in ("frames", "still"):
        prompt.get(number, {})["_meta"] = {"title": number}
    return prompt


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_what_an_example_workflow_does_not_change_is_still(host: Host, browser: Browser, workflow: Path) -> None:
    """Nothing flickers of its own: where both ends are one picture, all frames are."""
    saved = host.run(still(small(browser.prompt_of(workflow), 4)))["still"]["images"]
    frames = np.stack([load_picture(host.output / one["subfolder"] / one["filename"]) for one in saved]).astype(int)
    assert len(frames) == 4
    assert frames.std() > 1
    assert np.abs(frames - frames[0]).max() <= 1


NAMED = 'model = {checkpoint = "other"}\nframes = 2\nsize = [64, 64]\n[[keyframes]]\nprompt = "a"\n'
REMARKS = "model.checkpoint: 'other' is not loaded here; connect a checkpoint loader"


@pytest.mark.parametrize("nodes_2", [False, True], ids=["canvas", "nodes 2.0"])
def test_remarks_are_text_on_the_node(host: Host, browser: Browser, nodes_2: bool) -> None:
    host.post("/settings/Comfy.VueNodes.Enabled", nodes_2)
    page = browser.page.context.browser.new_page()
    try:
        shown = Browser(page, host.url)
        made = "const node = LiteGraph.createNode('RemixRecipe'); node.pos = [400, 100]; app.graph.add(node);"
        page.evaluate(f"text => {{ app.graph.clear(); {made} node.widgets[0].value = text }}", NAMED)
        before = page.evaluate("app.graph.serialize().nodes[0].widgets_values")
        page.evaluate("() => app.queuePrompt(0, 1)")
        text = page.locator(".remix-remarks")
        text.wait_for(state="visible", timeout=60_000)
        assert text.inner_text().splitlines() == ["Read as a recipe of this toolkit (toml).", REMARKS]
        table = page.locator(".remix-table")
        assert table.inner_text().splitlines()[1].split()[:3] == ["*", "0", "0.00s"]
        for box, least in ((text, 20), (table, 40), (page.locator("textarea").first, 180)):
            place = box.bounding_box()
            assert place is not None
            assert min(place["width"], place["height"]) > least
        # It is no widget of the workflow: neither the prompt nor a saved file has it.
        (node,) = page.evaluate("async () => (await app.graphToPrompt()).output").values()
        assert node["inputs"].keys() == {"recipe", "frames", "fps", "width", "height", "syntax"}
        assert page.evaluate("app.graph.serialize().nodes[0].widgets_values") == before
        assert shown.wrong == []
    finally:
        page.close()
        host.post("/settings/Comfy.VueNodes.Enabled", False)


DONE = """async () => {
  const done = new Promise((end) => app.api.addEventListener("execution_success", () => end(), { once: true }));
  await app.queuePrompt(0, 1);
  await done;
}"""


def test_the_sheet_replaces_the_previews_and_a_dropped_frame_opens_the_workflow(host: Host, browser: Browser) -> None:
    page, prefix = browser.page, f"dropped{new_folder()}/x"
    (workflow,) = (path for path in WORKFLOWS if path.stem.startswith("3"))
    data = json.loads(workflow.read_text(encoding="utf-8"))
    for node in data["nodes"]:
        widgets = {"CheckpointLoaderSimple": [CHECKPOINT], "RemixRender": [prefix, 4]}.get(node["type"])
        if node["type"] == "RemixRecipe":
            widgets = [node["widgets_values"][0], 4, 0, 64, 64]
        if widgets is not None:
            node["widgets_values"] = widgets
            node.pop("widgets_values_named")
    page.evaluate("data => app.loadGraphData(data)", data)
    page.evaluate(DONE)
    shown = "app.graph._nodes.find(node => node.type === 'RemixRender').imgs?.map(picture => picture.src)"
    page.wait_for_function(f"() => ({shown})?.length", timeout=20_000)
    (picture,) = page.evaluate(f"() => {shown}")
    assert "filename=sheet.png" in picture
    (job,) = (host.output / prefix).parent.iterdir()
    for name, folder in (("000002.png", job / "frames"), ("sheet.png", job)):
        page.evaluate("() => app.graph.clear()")
        view = f"/view?filename={name}&type=output&subfolder={folder.relative_to(host.output).as_posix()}"
        dropped = "app.handleFile(new File([blob], 'dropped.png', { type: 'image/png' }))"
        page.evaluate(f"path => fetch(path).then(answer => answer.blob()).then(blob => {dropped})", view)
        page.wait_for_function("() => app.graph._nodes.length > 4", timeout=20_000)
        kinds = page.evaluate("() => app.graph._nodes.map(node => node.type)")
        assert sorted(kinds) == sorted(node["type"] for node in data["nodes"])
