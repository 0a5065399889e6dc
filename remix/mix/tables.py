"""The mixes of a schedule as one table of weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from remix.errors import MixError


def weights_of(mixes: Iterable[Any], values: Sequence[Any] | None = None) -> tuple[list[Any], Tensor]:
    """The values of these mixes, and the weight of each value in each mix: float64 [mixes, values].

    A mix is a sequence of (value, weight), or an object with such pairs in `.items`. The values are the distinct
    ones in an order of their own, so that sums do not depend on which frames are mixed together; or `values` where
    they are given: MixError for one that is not among them.

    >>> weights_of([[("a", 1.0)], [("b", 0.75), ("a", 0.25)]])[1].tolist()
    [[1.0, 0.0], [0.25, 0.75]]
    """
    rows = [list(getattr(mix, "items", mix)) for mix in mixes]
    known = sorted({value for row in rows for value, _ in row}, key=repr) if values is None else list(values)
    column = {value: at for at, value in enumerate(known)}
    table = torch.zeros(len(rows), len(known), dtype=torch.float64)
    for at, row in enumerate(rows):
        for value, weight in row:
            if value not in column:
                raise MixError(f"mixes[{at}]: {value!r} is not among the {len(known)} value(s); give it there too.")
            table[at, column[value]] = weight
    return known, table
