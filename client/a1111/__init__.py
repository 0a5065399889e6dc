"""The A1111 engine: drives AUTOMATIC1111 or Forge over its API, with the Remix script there or frame by frame."""

from remix.client.a1111.engine import A1111

__all__ = ["A1111"]
