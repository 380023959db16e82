"""Drawn pictures: kinds of shapes on noisy grounds, to try everything without photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

KINDS = ("disc", "cross", "bars", "ring", "triangle", "square", "grid", "wedge", "dots", "frame")


def draw_dataset(folder: Path, *, classes: int, photos_per_class: int, size: int, seed: int) -> list[str]:
    """Draw `train/` and, half as many, `validation/` with one folder per kind of shape.

    Args:
        classes: 2 to 10.
        size: side of the square pictures in pixels.

    Returns:
        The pictures' paths in `folder`, such as `train/disc/0.png`.
    """
    paths = []
    for part, number in (("train", photos_per_class), ("validation", photos_per_class // 2)):
        for kind in KINDS[:classes]:
            (folder / part / kind).mkdir(parents=True)
            for index in range(number):
                generator = np.random.default_rng([seed, KINDS.index(kind), part == "train", index])
                path = f"{part}/{kind}/{index}.png"
                draw(kind, size=size, generator=generator).save(folder / path)
                paths.append(path)
    return paths


def draw(kind: str, *, size: int, generator: np.random.Generator) -> Image.Image:
    """Draw one shape in a random colour, place and size on a noisy ground; an RGB image of (size, size)."""
    ground = generator.integers(0, 120, 3) + generator.normal(0, 12, (size, size, 3))
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    colour = tuple(int(value) for value in generator.integers(140, 256, 3))
    radius = size * generator.uniform(0.22, 0.34)
    x, y = generator.uniform(radius, size - radius, 2)
    box = (x - radius, y - radius, x + radius, y + radius)
    width = max(2, round(radius * 0.3))
    thirds = [radius * offset for offset in (-0.7, 0.0, 0.7)]
    if kind == "disc":
        pen.ellipse(box, fill=colour)
    elif kind == "ring":
        pen.ellipse(box, outline=colour, width=width)
    elif kind == "square":
        pen.rectangle(box, fill=colour)
    elif kind == "frame":
        pen.rectangle(box, outline=colour, width=width)
    elif kind == "triangle":
        pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=colour)
    elif kind == "wedge":
        pen.pieslice(box, 20, 130, fill=colour)
    elif kind == "dots":
        for dx in thirds:
            for dy in thirds:
                pen.ellipse((x + dx - width / 2, y + dy - width / 2, x + dx + width / 2, y + dy + width / 2), colour)
    else:  # strokes
        across = [] if kind == "bars" else [0.0] if kind == "cross" else thirds
        for offset in [0.0] if kind == "cross" else thirds:
            pen.line((x + offset, y - radius, x + offset, y + radius), fill=colour, width=width)
        for offset in across:
            pen.line((x - radius, y + offset, x + radius, y + offset), fill=colour, width=width)
    return image
