"""Rendering with less memory: blocks of frames that do not fit are halved."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

from remix.errors import OutOfMemory

R = TypeVar("R")

OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "Invalid buffer size",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "Unable to find a valid cuDNN algorithm",
)
"""Parts of the messages with which libraries report full memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error reports that a device's memory is full, so that fewer frames at once may fit.

    CPU and MPS raise plain RuntimeErrors for it. So do cuBLAS and cuDNN, whose handles and workspaces the allocator
    does not manage.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = str(error)
    return isinstance(error, RuntimeError) and any(part in words for part in OUT_OF_MEMORY)


def halving(
    blocks: Iterable[Sequence[int]],
    wanted: AbstractSet[int],
    render: Callable[[Sequence[int]], R],
    *,
    stop: Callable[[], bool],
    shrink: Callable[[int, int], None],
    too_large: str,
) -> Iterator[tuple[Sequence[int], R]]:
    """Yields the blocks that contain wanted frames, each with what `render` returns for it.

    A block that exceeds memory and all later ones are halved; `shrink(frames, fewer)` frees memory and reports the new
    size. `stop` is called before each block. Raises `OutOfMemory`, with `too_large` after the frame's number, if a
    single frame does not fit.
    """
    waiting: deque[Sequence[int]] = deque()
    source, most = iter(blocks), None
    while not stop() and (block := waiting.popleft() if waiting else next(source, None)):
        if wanted.isdisjoint(block):
            continue
        half = (len(block) + 1) // 2
        if most is None or len(block) <= most:
            try:
                rendered = render(block)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(block) == 1:
                    raise OutOfMemory(f"frame {block[0]}: {too_large}") from error
                most = half
            else:
                yield block, rendered
                continue
            # Only here, because the error held references to the tensors that did not fit.
            shrink(len(block), half)
        waiting.extendleft((block[half:], block[:half]))
