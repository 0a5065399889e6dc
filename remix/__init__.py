"""Remix Toolkit: one core of remix operations for diffusion models.

`remix.plan` works out what every frame is made of, `remix.mix` blends tensors, `remix.motion` turns
pictures into film, `remix.job` keeps what must not be lost, and `remix.client` renders.
"""

__version__ = "0.1.0"
