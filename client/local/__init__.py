"""The local engine: renders in this process with diffusers models. Requires the extra `[local]`."""

from remix.client.local.engine import Local

__all__ = ["Local"]
