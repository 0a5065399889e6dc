"""The panel of the script: its fields, what they say, and what is shown beside them while they are filled in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gradio as gr

from remix.errors import RemixError
from remix.motion.formats import FORMATS
from remix.plan import EASINGS, plan
from remix.plan.recipe import MIXINGS
from remix.plan.schedule import is_quick, remarks_on
from remix.syntax import SYNTAXES

from . import preview, results
from .host import differing as host_differs
from .pasting import LABELS, WORDS, Label
from .presets import presets
from .settings import AUTO, LARGEST_BATCH, Fields, Reading, Settings

NAMES = (
    *("text", "syntax", "frames", "fps", "ease", "loop", "mix", "seeds", "cfg", "denoise"),
    *("batch", "film", "new", "portable", "name"),
)
"""The fields of Settings in the order of the components, which is also their order over the API."""

FILMS = tuple(dict.fromkeys(row.suffix[1:] for row in FORMATS.values() if row.suffix))
"""One ending for each kind of film: its format is the one that the ending means by itself."""

LONG = "This film is too long, or has too many expressions or LoRAs, to be shown while you type. It can be generated."
INVITATION = "Write keyframes, or choose an example: here you see what every frame is then made of."
EXAMPLE = "0: a red house on a green hill\n24: a white house in the snow\n47: a yellow boat at sunset"

OF_HOST = {
    **{"prompt": "prompt", "negative": "neg_prompt", "seed": "seed", "steps": "steps", "cfg": "cfg_scale"},
    **{"width": "width", "height": "height", "sampler": "sampling", "scheduler": "scheduler"},
    "denoise": "denoising_strength",
}
"""The host's own fields, by the fields of `Fields`: each is `txt2img_...` or `img2img_...`."""

UNDRAWN = 2**32 - 1
"""Stands for a seed that the host draws when it renders; it is not shown."""

Component = Any
Named = Mapping[str, Component]


def settings(args: Sequence[Any]) -> Settings:
    """Returns what the values of the components say; those that are missing at the end hold their default.

    BadInput for a number that is out of range.
    """
    said = {name: value for name, value in zip(NAMES, args, strict=False) if value is not None}
    for name, words in WORDS.items():
        meant = {word: value for value, word in words.items()}
        if name in said:
            said[name] = meant.get(said[name], said[name])
    return Settings.of_request({"recipe": said.pop("text", ""), **said})


class Panel:
    """The components of one tab of the host, and what happens when they change."""

    def __init__(self) -> None:
        self._host: dict[str, Component] = {}
        self._own: Named = {}
        self._tab = ""
        self._film: Component = None

    def build(self, is_img2img: bool, elem_id: Callable[[str], str]) -> list[Component]:
        """Returns the components whose values `settings` reads, after they and all around them are made."""
        self._tab = "img2img" if is_img2img else "txt2img"
        texts = presets()
        line = _line(elem_id)
        with gr.Column(elem_id=elem_id("panel")):
            with gr.Row():
                preset = gr.Dropdown(list(texts), label="Example", elem_id=elem_id("preset"), scale=4, min_width=200)
                use = gr.Button("Use it", elem_id=elem_id("use"), elem_classes=["remix-use"], scale=0, min_width=90)
            named = {"text": _text(elem_id)}
            self._said = gr.HTML(preview.asked(INVITATION), elem_id=elem_id("said"))
            named |= {**_time(line, elem_id), **_travels(line), **_job(elem_id), **_rarely(line, elem_id)}
            self._look = gr.Button("Look", visible=False, elem_id=elem_id("look"))
        for aside in (preset, use, self._look):
            aside.do_not_save_to_config = True  # the host's file of defaults is for what is rendered
        use.click(lambda name: texts.get(name, gr.update()), [preset], [named["text"]], show_progress=False)
        self._own = named
        return [named[name] for name in NAMES]

    @property
    def infotext_fields(self) -> list[tuple[Component, Label]]:
        """Which component a pasted infotext fills by which label."""
        return [(self._own[label.field], label) for label in LABELS]

    def seen(self, component: Component, elem_id: str | None) -> None:
        """Is told of every component that the host makes in this tab: takes note of its fields, and joins its results.

        The film is shown below the host's gallery. A host that lacks one of them goes without what belongs to it.
        """
        tab, _, name = (elem_id or "").partition("_")
        if tab in ("txt2img", "img2img"):
            self._host |= {field: component for field, ending in OF_HOST.items() if name == ending}
        if elem_id and elem_id == f"{self._tab}_gallery_container":
            self._film = gr.HTML("", elem_id=f"{self._tab}_remix_film")
        elif elem_id and elem_id == f"generation_info_{self._tab}":
            self._watch()
            if self._film is not None:
                show = functools.partial(results.film_page, tab=self._tab)
                component.change(show, [component], [self._film], show_progress=False)

    def _watch(self) -> None:
        """Lets every change of a field ask, a moment later, for what is then understood; see javascript/."""
        button, host = self._look.elem_id, dict(self._host)
        if self._tab == "txt2img":
            host.pop("denoise", None)  # it is that of hires fix there
        inputs = [*(self._own[name] for name in NAMES), *host.values()]
        for component in inputs:
            component.change(None, [], [], _js=f"() => {{ remixLook('{button}'); return [] }}", show_progress=False)

        def look(*values: Any) -> str:
            return said(values[: len(NAMES)], dict(zip(host, values[len(NAMES) :], strict=True)), self._tab)

        asked = f"(...all) => remixAsked('{button}', all.slice(0, {len(inputs)}))"
        answered = f"() => {{ remixAnswered('{button}'); return [] }}"
        told = self._look.click(look, inputs, [self._said], _js=asked, show_progress=False)
        told.then(None, [], [], _js=answered, show_progress=False)


def said(args: Sequence[Any], host: Mapping[str, Any], tab: str) -> str:
    """Returns, as HTML, what the values of the panel and of the host's own fields come to, or what is wrong there."""
    text = str(args[0] or "")
    if not any(str(value or "").strip() for name, value in zip(NAMES, args, strict=False) if name in WRITTEN):
        return preview.asked(INVITATION)
    try:
        wanted = settings(args)
        fields, drawn = fields_of(host, tab)
        read = wanted.read(fields)
        if not is_quick(read.recipe):
            return preview.asked(LONG)
        schedule = plan(read.recipe)
    except RemixError as error:
        return preview.refused(error, text)
    random = drawn and "seed" in read.of_host
    notes = [*read.notes, *_set_aside(read, fields), *remarks_on(schedule)]
    if random:
        notes.append("The seed is drawn when the film is made, one for all frames: the host's seed is -1.")
    below = host_differs(read.recipe.model) if wanted.portable else ""
    return preview.shown(schedule, read.syntax, notes, without=("seed",) if random else (), below=below)


def _set_aside(read: Reading, fields: Fields) -> list[str]:
    """What is written in the host's own fields, and not used."""
    boxes = (("prompt", "prompt", fields.prompt), ("negative", "negative prompt", fields.negative))
    return [
        f"The host's {title} is not used: keyframes have their own."
        for name, title, text in boxes
        if text.strip() and name not in read.of_host
    ]


WRITTEN = ("text", "seeds", "cfg", "denoise")
"""Without one of them there is nothing to show yet."""


def fields_of(host: Mapping[str, Any], tab: str) -> tuple[Fields, bool]:
    """Returns what the host's own fields say, and whether its seed is still to be drawn."""
    given = {name: value for name, value in host.items() if value is not None}
    try:
        seed = int(given.pop("seed", -1))
    except ValueError:
        seed = -1
    for name in ("steps", "width", "height"):
        given.update({name: int(given[name])} if name in given else {})
    images = ("init.png",) if tab == "img2img" else ()
    return Fields(**given, seed=UNDRAWN if seed < 0 else seed, images=images), seed < 0


def _text(elem_id: Callable[[str], str]) -> Component:
    return gr.Textbox(
        label="Keyframes",
        info="A moment and its prompt on each line. Schedules of Deforum, FizzNodes, AnimateDiff and others, lines of "
        "prompts, and recipes in TOML are read too.",
        tooltip="Which syntax it is, is told by how it looks. What it leaves open is taken from the fields around it.",
        placeholder=EXAMPLE,
        lines=6,
        max_lines=22,
        elem_id=elem_id("keyframes"),
    )


def _time(line: Callable[..., Component], elem_id: Callable[[str], str]) -> dict[str, Component]:
    """How long the film is, and how its ways go."""
    with gr.Row():
        return {
            "frames": line("frames", "Frames", "48 or 4s", "How many, or a time. Empty: as the text says."),
            "fps": gr.Number(
                value=0,
                label="FPS",
                tooltip="Frames per second. 0: as the text says, else 12.",
                min_width=80,
                elem_id=elem_id("fps"),
            ),
            "ease": _choice(elem_id("ease"), "Easing", WORDS["ease"][""], EASINGS, "How each way starts and ends."),
            "loop": gr.Checkbox(
                label="Loop",
                tooltip="The last keyframe travels on to the first, and the film has no end.",
                min_width=80,
                elem_id=elem_id("loop"),
            ),
        }


def _travels(line: Callable[..., Component]) -> dict[str, Component]:
    """What else travels, where the text does not say it."""
    ways = "Values to go through evenly, or at frames: 0:(7), 24:(9). Empty: as the text says, else "
    with gr.Row():
        return {
            "seeds": line("seeds", "Seeds", "1, 2, 3", f"{ways}the host's seed for all frames."),
            "cfg": line("cfg", "CFG scale", "0:(7), 24:(9)", f"{ways}the host's. An expression of t is fine too."),
            "denoise": line(
                "denoise",
                "Denoising strength",
                "0.4, 0.7, 0.4",
                f"{ways}the host's. How much of the init picture is drawn anew; in img2img.",
            ),
        }


def _job(elem_id: Callable[[str], str]) -> dict[str, Component]:
    """What is made, and what is done about a film that was stopped."""
    with gr.Row():
        return {
            "film": _choice(elem_id("film"), "Film", "mp4", (*FILMS[1:], WORDS["film"][""]), "Its kind of file."),
            "new": gr.Radio(
                list(WORDS["new"].values()),
                value=WORDS["new"][False],
                label="A film that was stopped",
                tooltip="resume: the same settings go on with it, and render only what is missing. new: begin another.",
                min_width=160,
                elem_id=elem_id("new"),
            ),
        }


def _rarely(line: Callable[..., Component], elem_id: Callable[[str], str]) -> dict[str, Component]:
    """What most films leave as it is."""
    with gr.Accordion("More", open=False, elem_id=elem_id("more")):
        with gr.Row():
            named = {
                "mix": _choice(
                    elem_id("mix"),
                    "Mix",
                    WORDS["mix"][""],
                    MIXINGS,
                    "How prompts are mixed: in a straight line, or along an arc that keeps their length.",
                ),
                "syntax": _choice(
                    elem_id("syntax"), "Syntax", AUTO, SYNTAXES, "What the text is written in, where it could be two."
                ),
                "name": line("name", "Job name", "film", "How the name of the job's folder begins.", "film"),
            }
        with gr.Row():
            batch = gr.Slider(
                1,
                LARGEST_BATCH,
                value=8,
                step=1,
                label="Frames at once",
                tooltip="More are faster, as long as they fit into memory. In the place of the host's batch size.",
                elem_id=elem_id("batch"),
            )
            portable = gr.Checkbox(
                value=True,
                label="Portable noise",
                tooltip="The same pictures as in ComfyUI and on the command line. Off: this host's own noise.",
                elem_id=elem_id("portable"),
            )
        return {**named, "batch": batch, "portable": portable}


def _choice(elem_id: str, label: str, first: str, others: Iterable[str], tooltip: str) -> Component:
    return gr.Dropdown([first, *others], value=first, label=label, tooltip=tooltip, min_width=110, elem_id=elem_id)


def _line(elem_id: Callable[[str], str]) -> Callable[..., Component]:
    """Returns what makes a text field of one line."""

    def line(name: str, label: str, example: str, tooltip: str, value: str = "") -> Component:
        return gr.Textbox(
            value=value,
            label=label,
            placeholder=example,
            tooltip=tooltip,
            max_lines=1,
            min_width=80,
            elem_id=elem_id(name),
        )

    return line
