"""Renders a film with several engines at once: in this process, in others, and on other machines."""

from remix.client.cluster.members import Worker
from remix.client.cluster.pool import Pool

__all__ = ["Pool", "Worker"]
