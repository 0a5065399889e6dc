"""From what a VAE gives to the bytes of a picture."""

from __future__ import annotations

import pytest
import torch

from remix.client.local.pictures import to_picture, to_tensor


@pytest.mark.parametrize(
    ("value", "byte"), [(0.0, 0), (0.999, 254), (1.0, 255), (0.5, 127), (254.999 / 255, 254), (1 / 255, 1)]
)
def test_colours_are_cut_off_as_both_hosts_do_and_not_rounded(value: float, byte: int) -> None:
    assert to_picture(torch.full((3, 2, 4), value)).ravel().tolist() == [byte] * 24


def test_every_byte_comes_back() -> None:
    every = torch.arange(256, dtype=torch.uint8).repeat(3, 1).view(3, 16, 16)
    picture = every.permute(1, 2, 0).numpy()
    assert (to_picture(to_tensor(picture)[0]) == picture).all()
