"""The script for A1111 and Forge: translation between the host and the core, and nothing else.

    script.py     what the host calls: from a request to a job folder and its pictures
    panel.py      the components, and what happens when they change
    live_preview.py, preview.py, presets.py, results.py     the preview of a film and its HTML, examples, a run's film
    pasting.py    the panel in an infotext
    settings.py, travels.py     the fields of the panel or of a request over the API, and their recipe
    job.py        job folders below the host's output folder
    identity.py   what makes the pictures of a run besides its recipe
    pinned.py     the host's settings during a run: nobody changes them, and nobody else sees them
    engine.py     groups of frames, each rendered by one call of the host's `process_images`
    frames.py     the hooks on the one processing object of such a call
    conditioning.py, noise.py, prompt_scripts.py, masks.py, tags.py     what is mixed for its frames
    levels.py     the noise level at which they begin with a picture
    host          a package with everything that belongs to the host: its settings, models, sampling and requests. What
                  differs between A1111, Forge and reForge is handled there

The host loads `scripts/remix_toolkit.py` with the clone at the front of `sys.path`, and takes it away again; what is
imported later is found as a part of these packages.
"""

from __future__ import annotations

from pathlib import Path

import remix

CLONE = Path(__file__).resolve().parents[1]


def refuse_other(found: str | None) -> None:
    """Raises ImportError, in one sentence, where the package `remix` was loaded from outside of this clone."""
    if found is None or Path(found).resolve() != CLONE / "remix" / "__init__.py":
        raise ImportError(
            f"Remix Toolkit: another package called 'remix' is loaded already, from {found}; "
            f"remove that one, or this clone, {CLONE}"
        )


refuse_other(remix.__file__)
