"""The local engine: renders in this process with diffusers' models. Needs the extra `[local]`."""

from remix.client.local.engine import Local

__all__ = ["Local"]
