"""The engine that renders on a ComfyUI server, over its API."""

from remix.client.comfyui.engine import ComfyUI

__all__ = ["ComfyUI"]
