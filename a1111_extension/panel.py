"""The panel of the script: its components and their event handlers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gradio as gr

from remix.errors import RemixError
from remix.motion.formats import FORMATS
from remix.plan import EASINGS
from remix.plan.recipe import MIXINGS
from remix.syntax import SYNTAXES

from . import preview, results
from .host import FORGE, add_playground, presets_folder
from .live_preview import INVITATION, NAMES, in_words_of_page, live_preview, settings_of
from .pasting import LABELS, WORDS, Label
from .presets import OF_RUNS, examples, save, saved
from .settings import AUTO, LARGEST_BATCH

FILMS = tuple(dict.fromkeys(row.suffix[1:] for row in FORMATS.values() if row.suffix))
"""The file endings of films."""

MOST_SHOWN = 15
"""The end of the slider for in-betweens. An API request may ask for more."""

MOST_SKIPPED = 16
"""The end of the slider for drafts. An API request may ask for more."""

EXAMPLE = "0: a red house on a green hill\n24: a white house in the snow\n47: a yellow boat at sunset"

OF_HOST = {
    **{"prompt": "prompt", "negative": "neg_prompt", "seed": "seed", "steps": "steps", "cfg": "cfg_scale"},
    **{"width": "width", "height": "height", "sampler": "sampling", "scheduler": "scheduler"},
    **{"denoise": "denoising_strength", "subseed_show": "subseed_show", "subseed_strength": "subseed_strength"},
    **{"resize_width": "seed_resize_from_w", "resize_height": "seed_resize_from_h"},
    **{"batch_count": "batch_count", "batch_size": "batch_size"},
}
"""The host's own fields, by their names in `live_preview`; each is `txt2img_...` or `img2img_...`."""

Component = Any
Named = Mapping[str, Component]


class Panel:
    """The components in one tab of the host."""

    def __init__(self) -> None:
        self._host: dict[str, Component] = {}
        self._own: Named = {}
        self._tab = ""
        self._film: Component = None

    def build(self, is_img2img: bool, elem_id: Callable[[str], str]) -> list[Component]:
        """Builds the panel, and returns the components whose values `settings_of` reads."""
        self._tab = "img2img" if is_img2img else "txt2img"
        line = _line(elem_id)
        with gr.Column(elem_id=elem_id("panel")):
            with gr.Row():
                preset = gr.Dropdown(
                    _names(),
                    label="Example or preset",
                    allow_custom_value=True,
                    elem_id=elem_id("preset"),
                    scale=4,
                    min_width=200,
                )
                use, save = (
                    gr.Button(text, elem_id=elem_id(name), elem_classes=["remix-use"], scale=0, min_width=90)
                    for name, text in (("use", "Use it"), ("save", "Save"))
                )
            result = gr.HTML("", elem_id=elem_id("saved"))
            named = {"text": _text(elem_id), **_time(line, elem_id)}
            self._said = gr.HTML(preview.hint(INVITATION), elem_id=elem_id("said"))
            named |= {**_travels(line), **_job(elem_id), **_rarely(line, elem_id)}
            self._look = gr.Button("Look", visible=False, elem_id=elem_id("look"))
        for aside in (preset, use, save, self._look):
            aside.do_not_save_to_config = True  # the host's file of defaults is only for rendered values
        own = [named[name] for name in NAMES]
        use.click(_chosen, [preset, named["text"]], own, _js="remixReplace", show_progress=False)
        save.click(_saved, [preset, *own], [preset, result], show_progress=False)
        self._own = named
        return own

    @property
    def infotext_fields(self) -> list[tuple[Component, Label]]:
        """Returns the components that a pasted infotext fills, each with its label."""
        return [(self._own[label.field], label) for label in LABELS]

    def seen(self, component: Component, elem_id: str | None) -> None:
        """Called for every component that the host creates. Adds the film below the gallery.

        Features whose component the host lacks are left out.
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
        """Updates the preview shortly after any field changes; see javascript/."""
        button, host = self._look.elem_id, dict(self._host)
        if self._tab == "txt2img":
            host.pop("denoise", None)  # there it belongs to hires fix
        inputs = [*(self._own[name] for name in NAMES), *host.values()]
        for component in inputs:
            component.change(None, [], [], _js=f"() => {{ remixLook('{button}'); return [] }}", show_progress=False)

        def look(*values: Any) -> str:
            return live_preview(values[: len(NAMES)], dict(zip(host, values[len(NAMES) :], strict=True)), self._tab)

        asked = f"(...all) => remixAsked('{button}', all.slice(0, {len(inputs)}))"
        answered = f"() => {{ remixAnswered('{button}'); return [] }}"
        looked = self._look.click(look, inputs, [self._said], _js=asked, show_progress=False)
        looked.then(None, [], [], _js=answered, show_progress=False)


def _names() -> list[str]:
    return [*examples(), *saved(presets_folder())]


def _chosen(name: str | None, text: str) -> list[Any]:
    """Returns the values of all fields for an example, which has a text alone, or a preset. `text` is the one now."""
    if text_of_example := examples().get(name or ""):
        return [text_of_example if field == "text" else gr.update() for field in NAMES]
    preset = saved(presets_folder()).get(name or "")
    if preset is None:
        return [gr.update() for _ in NAMES]
    values = {field: getattr(preset, field) for field in NAMES}
    shown = {field: WORDS.get(field, {}).get(value, value) for field, value in values.items()}
    return [gr.update() if field in OF_RUNS else value for field, value in shown.items()]


def _saved(name: str | None, *values: Any) -> list[Any]:
    """Saves the fields as a preset. Returns the list of presets with it chosen, and what was done, or the error."""
    try:
        name = save(presets_folder(), name or "", settings_of(values))
    except (RemixError, OSError) as error:
        return [gr.update(), preview.hint(in_words_of_page(str(error)))]
    done = f"Saved {name} in {presets_folder()}. To apply it, choose it above and click Use it."
    return [gr.update(choices=_names(), value=name), preview.hint(done)]


def _text(elem_id: Callable[[str], str]) -> Component:
    return gr.Textbox(
        label="Keyframes",
        info="One keyframe per line: a frame, time or percentage, and a prompt. Schedules of Deforum, FizzNodes, "
        "AnimateDiff and others, plain lines of prompts, and TOML recipes also work.",
        tooltip="The syntax is detected automatically. What the text leaves out comes from the fields around it.",
        placeholder=EXAMPLE,
        lines=6,
        max_lines=22,
        elem_id=elem_id("keyframes"),
    )


def _time(line: Callable[..., Component], elem_id: Callable[[str], str]) -> dict[str, Component]:
    """Returns the fields for length, rate and motion."""
    with gr.Row():
        return {
            "frames": line(
                "frames",
                "Frames",
                "48 or 4s",
                "A number of frames, or a time. Empty: as in the text, or up to its last keyframe.",
            ),
            "fps": gr.Number(
                value=0,
                label="FPS",
                tooltip="Frames per second. 0: as in the text, or 12.",
                min_width=80,
                elem_id=elem_id("fps"),
            ),
            "ease": _choice(
                elem_id("ease"),
                "Easing",
                WORDS["ease"][""],
                EASINGS,
                "How the travel between two keyframes speeds up and slows down.",
            ),
            "loop": gr.Checkbox(
                label="Loop",
                tooltip="The last keyframe travels back to the first, so that the film repeats without a jump.",
                min_width=80,
                elem_id=elem_id("loop"),
            ),
        }


def _travels(line: Callable[..., Component]) -> dict[str, Component]:
    """Returns the fields for other values that travel."""
    ways = "Evenly spaced values, or values at frames: 0:(7), 24:(9). Empty: as in the text, or "
    with gr.Row():
        return {
            "seeds": line("seeds", "Seeds", "1, 2, 3", f"{ways}the host's seed for all frames. -1: a random one."),
            "cfg": line("cfg", "CFG scale", "0:(7), 24:(9)", f"{ways}the host's. Expressions of t work too."),
            "denoise": line(
                "denoise",
                "Denoising strength",
                "0.4, 0.7, 0.4",
                f"{ways}the host's. How much of the init picture changes; for img2img.",
            ),
        }


def _job(elem_id: Callable[[str], str]) -> dict[str, Component]:
    """Returns the fields for the film's format, and for resuming a stopped film."""
    with gr.Row():
        return {
            "film": _choice(elem_id("film"), "Film", "mp4", (*FILMS[1:], WORDS["film"][""]), "Its file format."),
            "between": gr.Slider(
                0,
                MOST_SHOWN,
                value=0,
                step=1,
                label="In-betweens",
                tooltip="New pictures from each frame of the film to the next, made without the model. The film lasts "
                "as long, at a higher frame rate. 0: as in the text, or none.",
                min_width=120,
                elem_id=elem_id("between"),
            ),
            "every": gr.Slider(
                1,
                MOST_SKIPPED,
                value=1,
                step=1,
                label="Draft",
                tooltip="Render only every Nth frame and the last; in-betweens show the others in the film. 1: render "
                "all, and complete a draft.",
                min_width=120,
                elem_id=elem_id("every"),
            ),
            "new": gr.Radio(
                list(WORDS["new"].values()),
                value=WORDS["new"][False],
                label="Interrupted film",
                tooltip="resume: the same settings continue it and render what is missing. new: start another one.",
                min_width=160,
                elem_id=elem_id("new"),
            ),
        }


def _rarely(line: Callable[..., Component], elem_id: Callable[[str], str]) -> dict[str, Component]:
    """Returns the fields that few films need."""
    with gr.Accordion("More", open=False, elem_id=elem_id("more")):
        with gr.Row():
            named = {
                "mix": _choice(
                    elem_id("mix"),
                    "Mix",
                    WORDS["mix"][""],
                    MIXINGS,
                    "How prompts are mixed: along a straight line, along an arc that keeps their length, or by what "
                    "the model predicts for each of them (output).",
                ),
                "syntax": _choice(
                    elem_id("syntax"), "Syntax", AUTO, SYNTAXES, "Choose it if the text is read as the wrong one."
                ),
                "name": line("name", "Job name", "film", "Beginning of the name of the job folder.", "film"),
            }
        with gr.Row():
            batch = gr.Slider(
                1,
                LARGEST_BATCH,
                value=8,
                step=1,
                label="Frames at once",
                tooltip="More are faster if they fit into memory. Used instead of the host's batch size.",
                elem_id=elem_id("batch"),
            )
            portable = gr.Checkbox(
                value=True,
                label="Portable noise",
                tooltip="The same pictures as in ComfyUI and on the command line. Off: the host's own noise.",
                elem_id=elem_id("portable"),
            )
        if not FORGE:
            _playground(elem_id)
        return {**named, "batch": batch, "portable": portable}


def _playground(elem_id: Callable[[str], str]) -> None:
    """Adds a button that installs the bundled model as a checkpoint."""
    with gr.Row():
        add = gr.Button("Add the bundled model", elem_id=elem_id("playground"), scale=0, min_width=200)
        add.do_not_save_to_config = True
        message = gr.HTML(preview.hint("A small model for simple words at 128x128; no download, no GPU."))
    add.click(_add_playground, [], [message], show_progress=False)


def _add_playground() -> str:
    """Installs the bundled model and returns what to do next, or the error, as HTML."""
    try:
        place = add_playground()
    except (RemixError, OSError) as error:
        return preview.hint(str(error))
    return preview.hint(f"Added {place.name}. Refresh the list of checkpoints and choose it.")


def _choice(elem_id: str, label: str, first: str, others: Iterable[str], tooltip: str) -> Component:
    return gr.Dropdown([first, *others], value=first, label=label, tooltip=tooltip, min_width=110, elem_id=elem_id)


def _line(elem_id: Callable[[str], str]) -> Callable[..., Component]:
    """Returns a function that creates a text field of one line."""

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
