"""Drawing scenes: things by their signed distance fields, over plain or painted backgrounds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from remix.client.playground import SIDE
from remix.client.playground.shapes import PARTS, REACH, distance_fields
from remix.client.playground.words import COLORS, THINGS
from remix.client.playground.world import Scene

PALETTE = torch.tensor(list(COLORS.values()), dtype=torch.float32) / 255
"""[12, 3]: the colors in 0..1, in the order of `COLORS`."""

_LINE = 0.045
_LIGHT = 0.55
_AXIS = (torch.arange(SIDE) + 0.5) / SIDE * 2 - 1
_Y, _X = torch.meshgrid(_AXIS, _AXIS, indexing="ij")


@torch.no_grad()
def draw(scenes: Sequence[Scene]) -> torch.Tensor:
    """Returns the pictures of `scenes`: [B, 3, 128, 128] float32 in 0..1; a scene has but one picture."""
    backdrop = torch.stack([draw_background(scene) for scene in scenes])
    picture = _with_things(backdrop, backdrop, scenes)
    pairs = [i for i, scene in enumerate(scenes) if scene.neighbor]
    if pairs:
        picture[pairs] = _with_things(picture[pairs], backdrop[pairs], [s.neighbor for s in scenes if s.neighbor])
    return picture.clamp(0, 1)


def _with_things(picture: torch.Tensor, backdrop: torch.Tensor, scenes: Sequence[Scene]) -> torch.Tensor:
    """Returns the pictures with the first thing of each scene in front; `backdrop` is what outlines show inside."""
    distance, u, v = _place_things(scenes)
    paints = distance_fields()[1][[THINGS.index(scene.thing) for scene in scenes]]
    colors = torch.gather(_paint_colors(scenes), 1, paints[..., None].expand(-1, -1, 3))
    outlined = torch.tensor([scene.style == "outline" for scene in scenes]).view(-1, 1, 1, 1)
    for part in range(PARTS):
        color = colors[:, part, :, None, None]
        body = torch.stack([_textured(scene, color[i], backdrop[i], u[i], v[i]) for i, scene in enumerate(scenes)])
        picture = _over(picture, body, _cover(distance[:, part])[:, None])
        line = _cover(distance[:, part].abs() - _LINE)[:, None] * outlined
        picture = _over(picture, color, line)
    return picture


def _cover(distance: torch.Tensor) -> torch.Tensor:
    """Returns how much of each pixel lies inside, 0..1: the edge is one pixel wide."""
    return (0.5 - distance * SIDE / 2).clamp(0, 1)


def _over(below: torch.Tensor, above: torch.Tensor, cover: torch.Tensor) -> torch.Tensor:
    return below * (1 - cover) + above * cover


def _place_things(scenes: Sequence[Scene]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the parts' distances [B, PARTS, H, W], and the things' own axes u, v [B, H, W] each."""

    def column(name: str) -> torch.Tensor:
        return torch.tensor([getattr(scene, name) for scene in scenes], dtype=torch.float32).view(-1, 1, 1)

    radius, turn = column("radius"), column("turn")
    x, y = (_X - column("x")) / radius, (_Y - column("y")) / radius
    u, v = x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()
    where = torch.stack([u, v], -1) / REACH
    fields = distance_fields()[0][[THINGS.index(scene.thing) for scene in scenes]]
    near = F.grid_sample(fields, where, mode="bilinear", padding_mode="border", align_corners=False)
    outside = (where.abs().amax(-1) - 1).clamp(min=0) * REACH  # beyond the field: at least so far away
    return (near + outside[:, None]) * radius[:, None], u, v


def _paint_colors(scenes: Sequence[Scene]) -> torch.Tensor:
    """Returns the color of each of `PAINTS` for each scene: [B, paints, 3]."""
    plain = PALETTE[[list(COLORS).index(scene.color) for scene in scenes]]
    main = (plain + torch.tensor([scene.tint[:3] for scene in scenes])).clamp(0, 1)
    bright = main.mean(1, keepdim=True) > 0.85
    light = torch.where(bright, main * 0.80, main * 0.45 + 0.55)
    fixed = [_rgb(*value).flatten().expand_as(main) for value in ((110, 70, 40), (255, 205, 60), (250, 248, 240))]
    return torch.stack([main, main * 0.62, light, *fixed], 1)


def _textured(
    scene: Scene, color: torch.Tensor, backdrop: torch.Tensor, u: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    """Returns what fills a part: [3, H, W] from its color [3, 1, 1] and the thing's axes."""
    if scene.style == "outline":
        return backdrop
    second = _second_shade(color)
    if scene.style == "striped":
        wave = torch.sin((u + v) * scene.radius * 17)
        return _over(color, second, (0.5 + wave * 2.2).clamp(0, 1))
    if scene.style == "dotted":
        dots = torch.cos(u * scene.radius * 10) * torch.cos(v * scene.radius * 10)
        return _over(color, second, ((dots.abs() - 0.62) * 6 + 0.5).clamp(0, 1))
    if scene.style == "shaded":  # lit from the top left
        return _lit(color, ((-u * 0.6 - v * 0.8) * 0.5).clamp(-_LIGHT, _LIGHT))
    return color.expand(3, SIDE, SIDE)


def shades(color: torch.Tensor, style: str) -> torch.Tensor:
    """Returns the shades [N, 3] that a thing of a color [3] shows in a style; `shaded` has many, here five."""
    if style in ("striped", "dotted"):
        return torch.stack([color, _second_shade(color)])
    if style == "shaded":
        return _lit(color[None], torch.linspace(-_LIGHT, _LIGHT, 5)[:, None])
    return color[None]


def _second_shade(color: torch.Tensor) -> torch.Tensor:
    return color * 0.5 + 0.5 if color.mean() < 0.62 else color * 0.6


def _lit(color: torch.Tensor, lit: torch.Tensor) -> torch.Tensor:
    """Returns a color in light (`lit` above 0) and in shadow (below)."""
    return torch.where(lit > 0, color + (1 - color) * lit * 0.9, color * (1 + lit * 1.1))


def _rgb(red: int, green: int, blue: int) -> torch.Tensor:
    return torch.tensor((red, green, blue), dtype=torch.float32).view(3, 1, 1) / 255


def _shade(top: tuple[int, int, int], bottom: tuple[int, int, int]) -> torch.Tensor:
    """Returns a vertical gradient [3, H, W]."""
    return _over(_rgb(*top), _rgb(*bottom), (_Y[None] + 1) / 2)


def _blot(picture: torch.Tensor, x: float, y: float, radius: float, color: tuple[int, int, int]) -> torch.Tensor:
    return _over(picture, _rgb(*color), _cover(((_X - x) ** 2 + (_Y - y) ** 2).sqrt() - radius)[None])


def draw_background(scene: Scene) -> torch.Tensor:
    """Returns the background of a scene: [3, H, W]."""
    if scene.background in _SCENERY:
        return _SCENERY[scene.background](random.Random(scene.seed))
    plain = PALETTE[list(COLORS).index(scene.background)] + torch.tensor(scene.tint[3:])
    return plain.view(3, 1, 1) * (1.03 - 0.05 * (_Y[None] + 1) / 2)


def _night(rng: random.Random) -> torch.Tensor:
    picture = _shade((12, 16, 48), (45, 50, 105))
    for _ in range(9):
        x, y, radius = rng.uniform(-0.95, 0.95), rng.uniform(-0.95, 0.95), rng.uniform(0.02, 0.04)
        picture = _blot(picture, x, y, radius, (255, 250, 210))
    return picture


def _sunset(rng: random.Random) -> torch.Tensor:
    horizon = 0.72 + rng.uniform(-0.03, 0.03)
    return _over(_shade((110, 60, 140), (255, 165, 80)), _rgb(70, 40, 80), _cover(horizon - _Y)[None])


def _hill(rng: random.Random) -> torch.Tensor:
    sky = _shade((150, 205, 245), (205, 232, 250))
    return _blot(sky, rng.uniform(-0.4, 0.4), 2.1, 1.75, (105, 180, 85))


def _snow(rng: random.Random) -> torch.Tensor:
    horizon, phase = 0.6 + rng.uniform(-0.04, 0.04), rng.uniform(0, 2 * math.pi)
    ground = _cover(horizon + 0.05 * torch.sin(_X * 3 + phase) - _Y)[None]
    picture = _over(_shade((185, 205, 225), (215, 228, 240)), _rgb(252, 252, 255), ground)
    for _ in range(10):
        x, y, radius = rng.uniform(-0.95, 0.95), rng.uniform(-0.95, 0.5), rng.uniform(0.025, 0.045)
        picture = _blot(picture, x, y, radius, (255, 255, 255))
    return picture


def _sea(rng: random.Random) -> torch.Tensor:
    horizon, phase = 0.35 + rng.uniform(-0.04, 0.04), rng.uniform(0, 2 * math.pi)
    picture = _shade((170, 215, 245), (215, 238, 250))
    for deeper, ahead, color in ((0.0, 0, (40, 115, 190)), (0.3, 2, (25, 90, 165))):
        waves = horizon + deeper + 0.035 * torch.sin(_X * 9 + phase + ahead)
        picture = _over(picture, _rgb(*color), _cover(waves - _Y)[None])
    return picture


_SCENERY: dict[str, Callable[[random.Random], torch.Tensor]] = {
    "night": _night,
    "sunset": _sunset,
    "hill": _hill,
    "snow": _snow,
    "sea": _sea,
}
