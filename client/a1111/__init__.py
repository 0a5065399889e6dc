"""The A1111 engine: renders on AUTOMATIC1111 or Forge over its API, with the Remix script or frame by frame."""

from remix.client.a1111.engine import A1111

__all__ = ["A1111"]
