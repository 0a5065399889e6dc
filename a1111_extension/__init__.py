"""The script for A1111 and Forge. It only translates between the host and the core.

    script.py     the entry points that the host calls: from a request to a job folder and its pictures
    panel.py      the components, and their event handlers
    live_preview.py, preview.py, presets.py, results.py     the preview of a film, examples and presets, finished films
    pasting.py    the panel in an infotext
    settings.py, travels.py     the fields of the panel or of an API request, and their recipe
    job.py        job folders below the host's output folder
    identity.py   everything that affects the pictures of a run in addition to its recipe
    run_settings.py     the checkpoint, sampler and settings of a run
    pinned.py     the host's settings during a run, isolated from all other users of the host
    engine.py     groups of frames, each rendered by one call of the host's `process_images`
    frames.py     the hooks on the processing object of such a call
    conditioning.py, noise.py, prompt_scripts.py, masks.py, tags.py     the inputs that are mixed for its frames
    report.py     the version and the models of this host, for clients
    encoding.py   how prompts are read and encoded by a rule that is not that of the settings
    levels.py     the noise level at which frames with an init picture start
    inversion.py  the noise in init pictures, which frames start with instead
    processing.py what a run takes from the host's request, and what the host gets back
    playground.py     the classes of the bundled model, which the host imports by name
    host          a package with everything specific to the host: its settings, models, sampling, requests and API. It
                  handles the differences between A1111, Forge and reForge

The host loads `scripts/remix_toolkit.py` with the clone at the front of `sys.path`, and removes it again. Later imports
are resolved as parts of these packages.
"""

from __future__ import annotations

from pathlib import Path

import remix

CLONE = Path(__file__).resolve().parents[1]


def refuse_other(found: str | None) -> None:
    """Raises ImportError if the package `remix` was loaded from outside of this clone."""
    if found is None or Path(found).resolve() != CLONE / "remix" / "__init__.py":
        raise ImportError(
            f"Remix Toolkit: another package called 'remix' is loaded already, from {found}; "
            f"remove that one, or this clone, {CLONE}"
        )


refuse_other(remix.__file__)
