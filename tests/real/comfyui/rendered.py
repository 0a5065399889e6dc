"""The families of pictures whose films are rendered by a real ComfyUI."""

from __future__ import annotations

RUN = {
    # tiny model of the tests: its row of the catalog
    **{name: name for name in ("sd1", "sd2", "sdxl", "sd3", "flux", "flux2")},
    "flux2_klein": "flux2",
    **{name: name for name in ("chroma", "z_image", "lumina2", "qwen_image", "krea2", "anima", "hidream")},
    **{name: name for name in ("hidream_o1", "hunyuan_image", "ernie", "ideogram4", "longcat")},
    "kandinsky5": "unknown",
}
"""The last one is not listed in the catalog."""
