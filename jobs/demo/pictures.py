"""Product pictures, drawn from an item's kind, palette, texture, count and daylight."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

SIZE = 224
"""Width and height of a picture in pixels; objects are drawn at twice that and scaled down."""
Colour = tuple[int, int, int]
Field = NDArray[np.float32]
Part = tuple[str, str, tuple[float, ...]]

PALETTES: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((214, 84, 74), (250, 214, 190), (110, 35, 42)),
    ((62, 118, 178), (206, 228, 242), (24, 50, 92)),
    ((92, 148, 96), (222, 236, 196), (36, 74, 52)),
    ((232, 176, 62), (255, 240, 200), (132, 84, 22)),
    ((142, 98, 172), (232, 212, 240), (68, 40, 96)),
    ((96, 102, 110), (232, 234, 238), (34, 36, 42)),
)
"""Main, accent and trim colour."""

KINDS: tuple[tuple[Part, ...], ...] = (
    (  # mug
        ("trim", "ring", (0.62, 0.36, 0.96, 0.72, 0.055)),
        ("body", "rounded", (0.12, 0.22, 0.74, 0.9, 0.1)),
        ("trim", "ellipse", (0.12, 0.15, 0.74, 0.31)),
        ("light", "ellipse", (0.17, 0.18, 0.69, 0.28)),
    ),
    (  # lamp
        ("trim", "rounded", (0.47, 0.5, 0.53, 0.88, 0.02)),
        ("trim", "ellipse", (0.27, 0.82, 0.73, 0.94)),
        ("light", "ellipse", (0.42, 0.5, 0.58, 0.64)),
        ("body", "polygon", (0.32, 0.1, 0.68, 0.1, 0.9, 0.56, 0.1, 0.56)),
    ),
    (  # vase
        ("trim", "polygon", (0.48, 0.3, 0.3, 0.15, 0.25, 0.02, 0.4, 0.1, 0.52, 0.28)),
        ("trim", "polygon", (0.47, 0.3, 0.44, 0.12, 0.5, -0.01, 0.56, 0.12, 0.53, 0.3)),
        ("trim", "polygon", (0.49, 0.3, 0.6, 0.11, 0.75, 0.04, 0.7, 0.17, 0.53, 0.3)),
        ("body", "polygon", (0.38, 0.26, 0.62, 0.26, 0.57, 0.4, 0.43, 0.4)),
        ("body", "ellipse", (0.2, 0.34, 0.8, 0.94)),
        ("trim", "ellipse", (0.36, 0.22, 0.64, 0.3)),
    ),
    (  # bag
        ("trim", "ring", (0.32, 0.06, 0.68, 0.48, 0.045)),
        ("body", "polygon", (0.16, 0.3, 0.84, 0.3, 0.93, 0.92, 0.07, 0.92)),
        ("trim", "rounded", (0.13, 0.28, 0.87, 0.37, 0.04)),
        ("light", "rounded", (0.44, 0.31, 0.56, 0.45, 0.03)),
    ),
    (  # clock
        ("trim", "polygon", (0.24, 0.8, 0.34, 0.84, 0.26, 0.95, 0.18, 0.92)),
        ("trim", "polygon", (0.76, 0.8, 0.66, 0.84, 0.74, 0.95, 0.82, 0.92)),
        ("body", "ellipse", (0.08, 0.08, 0.92, 0.92)),
        ("light", "ellipse", (0.24, 0.24, 0.76, 0.76)),
        ("trim", "polygon", (0.485, 0.52, 0.485, 0.3, 0.515, 0.3, 0.515, 0.52)),
        ("trim", "polygon", (0.49, 0.485, 0.66, 0.55, 0.65, 0.58, 0.48, 0.52)),
    ),
    (  # bottle
        ("trim", "rounded", (0.4, 0.02, 0.6, 0.14, 0.03)),
        ("light", "rounded", (0.43, 0.12, 0.57, 0.3, 0.02)),
        ("body", "polygon", (0.43, 0.26, 0.57, 0.26, 0.7, 0.42, 0.3, 0.42)),
        ("body", "rounded", (0.3, 0.38, 0.7, 0.94, 0.06)),
        ("trim", "rounded", (0.3, 0.82, 0.7, 0.88, 0.01)),
    ),
    (  # stool
        ("trim", "polygon", (0.26, 0.4, 0.34, 0.4, 0.2, 0.95, 0.12, 0.95)),
        ("trim", "polygon", (0.66, 0.4, 0.74, 0.4, 0.88, 0.95, 0.8, 0.95)),
        ("trim", "rounded", (0.2, 0.68, 0.8, 0.74, 0.02)),
        ("body", "rounded", (0.08, 0.22, 0.92, 0.46, 0.1)),
    ),
    (  # speaker
        ("body", "rounded", (0.2, 0.06, 0.8, 0.94, 0.08)),
        ("trim", "ellipse", (0.3, 0.46, 0.7, 0.86)),
        ("light", "ellipse", (0.41, 0.57, 0.59, 0.75)),
        ("trim", "ellipse", (0.38, 0.15, 0.62, 0.39)),
        ("light", "ellipse", (0.45, 0.22, 0.55, 0.32)),
    ),
)
"""Parts of each kind of product on a unit square, from back to front: role, form, coordinates (x before y)."""

_CELL = 40
TEXTURES: tuple[Callable[[Field, Field], NDArray[np.bool_]], ...] = (
    lambda x, y: x < 0,
    lambda x, y: x % _CELL < _CELL / 2,
    lambda x, y: np.hypot(x % _CELL - _CELL / 2, (y + _CELL / 2 * (x // _CELL % 2)) % _CELL - _CELL / 2) < _CELL * 0.28,
    lambda x, y: (x // _CELL + y // _CELL) % 2 == 1,
    lambda x, y: (y + 9 * np.sin(2 * np.pi * x / _CELL)) % _CELL < _CELL * 0.4,
)
"""Where a texture has the accent colour: plain, stripes, dots, checks, waves. Coordinates in drawn pixels."""

_SHADE = Image.linear_gradient("L").rotate(90).point(lambda value: max(0, value - 96) // 2)
"""Darker to the right."""

_PLACES = (
    ((0.5, 0.56, 0.62),),
    ((0.31, 0.55, 0.44), (0.69, 0.6, 0.44)),
    ((0.22, 0.52, 0.34), (0.78, 0.52, 0.34), (0.5, 0.66, 0.38)),
)
"""By `count`, of each object the x and y of its centre and its width, as shares of the picture's width."""


def picture(
    rng: np.random.Generator, *, kind: int, palette: int, texture: int, count: int, daylight: float
) -> Image.Image:
    """Return an RGB image of `SIZE` x `SIZE`; `count` is one less than the number of objects."""
    main, accent, trim = (_jittered(rng, colour) for colour in PALETTES[palette])
    image = _scene(daylight)
    fabric = _texture(rng, texture, main, accent)
    for x, y, width in _PLACES[count]:
        side = int(width * SIZE * rng.uniform(0.92, 1.06))
        layer, alpha = _product(KINDS[kind], fabric, trim, accent, side=2 * side)
        angle = rng.uniform(-5, 5)
        layer, alpha = (part.rotate(angle, Image.Resampling.BILINEAR).reduce(2) for part in (layer, alpha))
        left, top = int(x * SIZE - side / 2), int(y * SIZE - side / 2)
        _shadow(image, left, top, side)
        image.paste(layer, (left, top), alpha)
    return image


def write_picture(path: Path, image: Image.Image) -> None:
    """Write an image in the format of the extension of `path`: jpg, png or webp."""
    if path.suffix == ".png":
        image.save(path)
    else:
        image.save(path, quality=88)


def _jittered(rng: np.random.Generator, colour: Colour) -> Colour:
    red, green, blue = np.clip(np.array(colour) + rng.integers(-10, 11, 3), 0, 255)
    return int(red), int(green), int(blue)


def _scene(daylight: float) -> Image.Image:
    """The background, a wall and a table: from dark blue at -1 to warm white at 1."""
    light = (daylight + 1) / 2
    wall = np.array((26, 32, 62)) * (1 - light) + np.array((250, 244, 232)) * light
    table = np.array((44, 44, 70)) * (1 - light) + np.array((226, 212, 192)) * light
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    glow = 1.04 - 0.16 * np.hypot(x - 0.35, y - 0.3)
    base = np.where((y > 0.7)[..., None], table.astype(np.float32), wall.astype(np.float32))
    return Image.fromarray(np.clip(base * glow[..., None], 0, 255).astype(np.uint8))


def _shadow(image: Image.Image, left: int, top: int, width: int) -> None:
    mask = Image.new("L", (width, width // 5), 0)
    for step in range(8):
        inset = step * width // 50
        ImageDraw.Draw(mask).ellipse((inset, inset // 5, width - inset, width // 5 - inset // 5), fill=10 * (step + 1))
    image.paste((10, 10, 24), (left, top + int(width * 0.82)), mask)


def _texture(rng: np.random.Generator, texture: int, main: Colour, accent: Colour) -> Image.Image:
    """An image of one of the `TEXTURES`, larger than any object."""
    shift = tuple(rng.integers(0, 2 * _CELL, 2).tolist())
    cover = Image.fromarray(np.tile(np.roll(_tile(texture), shift, (0, 1)), (4, 4)))
    return Image.composite(Image.new("RGB", cover.size, accent), Image.new("RGB", cover.size, main), cover)


@cache
def _tile(texture: int) -> NDArray[np.uint8]:
    """The part of a texture that repeats: 2 x 2 cells, 255 where it has the accent colour."""
    y, x = np.mgrid[0 : 2 * _CELL, 0 : 2 * _CELL].astype(np.float32) + 0.5
    return np.where(TEXTURES[texture](x, y), 255, 0).astype(np.uint8)


def _product(
    parts: tuple[Part, ...], fabric: Image.Image, trim: Colour, light: Colour, *, side: int
) -> tuple[Image.Image, Image.Image]:
    """One object and its mask, `side` x `side` pixels."""
    layer, alpha = Image.new("RGB", (side, side), trim), Image.new("L", (side, side), 0)
    for role, form, place in parts:
        mask = Image.new("L", (side, side), 0)
        _draw(ImageDraw.Draw(mask), form, [value * side for value in place])
        paint = fabric.crop((0, 0, side, side)) if role == "body" else {"trim": trim, "light": light}[role]
        layer.paste(paint, (0, 0), mask)
        alpha = ImageChops.lighter(alpha, mask)
    layer.paste((16, 16, 36), (0, 0), _SHADE.resize((side, side)))
    return layer, alpha


def _draw(draw: ImageDraw.ImageDraw, form: str, place: list[float]) -> None:
    if form == "ellipse":
        draw.ellipse(place, fill=255)
    elif form == "rounded":
        draw.rounded_rectangle(place[:4], radius=place[4], fill=255)
    elif form == "ring":
        draw.ellipse(place[:4], outline=255, width=round(place[4]))
    else:
        draw.polygon(place, fill=255)
