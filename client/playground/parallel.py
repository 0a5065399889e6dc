"""One-thread processes that average their gradients over gloo.

On a machine that others use too, several one-thread processes get far more done than one process
with several OpenMP threads, which wait for each other at the end of every loop.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch.multiprocessing.spawn import spawn

from remix.client.playground.settings import LOG_LINES


def together(work: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Calls ``work(rank, *arguments)`` in `processes` processes at once, ranks 0 to processes - 1.

    With one process it is a plain call. What a process raises is raised here. `work` must be
    importable by name.
    """
    if processes == 1:
        work(0, *arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        spawn(_join, (work, processes, meeting, logging.getLogger().level, arguments), processes)


def _join(
    rank: int, work: Callable[..., None], processes: int, meeting: str, level: int, arguments: tuple[Any, ...]
) -> None:
    logging.basicConfig(level=level, format=LOG_LINES)  # a new process knows nothing of its parent's
    torch.set_num_threads(1)
    if sys.platform == "linux":  # else gloo looks the host's name up, which need not be known
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    try:
        work(rank, *arguments)
    finally:
        torch.distributed.destroy_process_group()


def average_gradients(parameters: Sequence[torch.nn.Parameter], value: float) -> float:
    """Sets each gradient to its mean over the processes, and returns the mean of `value`.

    Alone, it changes nothing. All processes must call it with gradients for the same parameters.
    """
    if not torch.distributed.is_initialized():
        return value
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    parts = [gradient.reshape(-1) for gradient in gradients]
    flat = torch.cat([*parts, torch.tensor([value])])  # one message for all of them
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for gradient, mean in zip(gradients, flat[:-1].split([len(part) for part in parts]), strict=True):
        gradient.copy_(mean.view_as(gradient))
    return float(flat[-1])
