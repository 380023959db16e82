"""What `./tl new-data` finds of made copies, and what it takes for copies that are none.

    python benchmarks/near_duplicates.py          a minute of CPU time; needs the photos of `dvc repro fetch`

Real photos are those of data/raw (cats and dogs). Scenes are drawn: sky, horizon and ground of few colours and heights,
with clouds, textures and things in front that differ, which is where a hash of 64 bits fails on real photos. Copies of
some are made in ways that people's folders have, and looked for among all photos; and pairs among the originals alone,
of which every drawn one is wrong. Beside it, the rule before: at most 3 bits of 64 of a difference hash. Writes
benchmarks/near_duplicates.json and near_duplicates.md.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
os.chdir(ROOT)
sys.path.insert(0, str(ROOT / "src"))

from transfer_learning.core import files
from transfer_learning.photos import decode, inventory
from transfer_learning.reporting import near_duplicates

COPIED = 200
SCENES = 1000
MANY = 20_000
BITS = 3  # of the rule before
SKIES = (((90, 140, 210), (190, 210, 230)), ((230, 150, 90), (250, 210, 150)), ((140, 150, 160), (200, 205, 210)))
GROUNDS = (((60, 90, 50), (90, 110, 60)), ((50, 80, 120), (80, 110, 140)), ((190, 170, 120), (210, 190, 150)))


def crop(image: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:
    """Keep a share of each side, at random."""
    width, height = (round(share * side) for side in image.size)
    left, top = generator.integers(0, image.width - width + 1), generator.integers(0, image.height - height + 1)
    return image.crop((left, top, left + width, top + height))


def smaller(image: Image.Image, share: float = 0.6) -> Image.Image:
    return image.resize((round(share * image.width), round(share * image.height)))


def mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


KINDS: dict[str, tuple[int, Callable[[Image.Image, np.random.Generator], Image.Image]]] = {
    "60 % of the side": (50, lambda image, _: smaller(image)),
    "160 x 160, whatever the shape": (75, lambda image, _: image.resize((160, 160))),
    "a quarter brighter": (75, lambda image, _: ImageEnhance.Brightness(image).enhance(1.25)),
    "a quarter darker": (75, lambda image, _: ImageEnhance.Brightness(image).enhance(0.75)),
    "mirrored": (75, lambda image, _: mirrored(image)),
    "cropped to 95 % of the side": (75, lambda image, generator: crop(image, 0.95, generator)),
    "cropped to 90 %": (75, lambda image, generator: crop(image, 0.9, generator)),
    "cropped to 85 %": (75, lambda image, generator: crop(image, 0.85, generator)),
    "mirrored, cropped to 90 %, 60 % of the side": (
        50, lambda image, generator: smaller(crop(mirrored(image), 0.9, generator)),
    ),
}  # fmt: skip


def scene(generator: np.random.Generator) -> Image.Image:
    """A sky over ground or water, 300 x 225 pixels."""
    width, height = 300, 225
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)
    (top, low), (far, near) = (
        [np.clip(generator.normal(colour, 12), 0, 255) for colour in kinds[generator.integers(3)]]
        for kinds in (SKIES, GROUNDS)
    )
    horizon = generator.uniform(0.4, 0.65)
    sky = top + (low - top) * np.clip(y / horizon, 0, 1) + np.zeros((1, width, 1))
    clouds = sum(_noise(generator, width, height, grid) / number for number, grid in enumerate((4, 9, 20), 1))
    sky += max(generator.uniform(-30, 60), 0) * clouds
    ground = far + (near - far) * np.clip((y - horizon) / (1 - horizon), 0, 1)
    texture = _noise(generator, width, height, 40) + _noise(generator, width, height, 120)
    hills = sum(np.sin(x * grid * 6 + generator.uniform(0, 6)) / grid for grid in (1, 2, 5))
    line = horizon + generator.normal(0, 0.01) * (x - 0.5) + generator.choice([0, 0.01, 0.04]) * hills
    pixels = np.where(y > line[None, :, None], ground + generator.uniform(5, 40) * texture, sky)
    corners = generator.uniform(0, 0.5) * ((x[None, :, None] - 0.5) ** 2 + (y - 0.5) ** 2)  # darker, as lenses do
    image = Image.fromarray(np.clip(pixels * (1 - corners), 0, 255).astype(np.uint8))
    for _ in range(generator.integers(0, 4)):
        _thing(ImageDraw.Draw(image), generator.uniform(0, width), generator.uniform(horizon, 1) * height, generator)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), float)
    return Image.fromarray(np.clip(soft + generator.normal(0, 2, soft.shape), 0, 255).astype(np.uint8))


def _noise(generator: np.random.Generator, width: int, height: int, grid: int) -> np.ndarray:
    """(height, width, 1) in -0.5 to 0.5, `grid` knots across."""
    small = Image.fromarray(generator.integers(0, 256, (max(grid * height // width, 2), grid), np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), float)[..., None] / 255 - 0.5


def _thing(draw: ImageDraw.ImageDraw, x: float, y: float, generator: np.random.Generator) -> None:
    size, colour = generator.uniform(5, 40), tuple(int(level) for level in generator.integers(0, 200, 3))
    kind = generator.integers(3)
    if kind == 0:
        draw.ellipse((x - size, y - size, x + size, y + size), fill=colour)
    elif kind == 1:
        draw.rectangle((x - size / 6, y - size, x + size / 6, y + size), fill=colour)
    else:
        draw.polygon([(x - size, y), (x + size, y), (x, y - 2 * size)], fill=colour)


class Photos:
    """Photos in files or in memory, as new-data reads them: thumbnails once, larger ones where it asks."""

    def __init__(self, sources: list[Path | bytes]) -> None:
        self.sources = sources
        self.thumbnails = self.read(range(len(sources)), near_duplicates.THUMBNAIL)

    def read(self, wanted: range | list[int], size: int) -> np.ndarray:
        sources = [self.sources[index] for index in wanted]
        opened = [source if isinstance(source, Path) else io.BytesIO(source) for source in sources]
        return np.stack([decode.load(source, size=size) for source in opened])

    def pairs(self, groups: np.ndarray) -> list[near_duplicates.Pair]:
        def larger(wanted: list[int]) -> np.ndarray:
            return self.read(wanted, near_duplicates.LARGER)

        return near_duplicates.find(self.thumbnails, groups, larger)

    def hashed(self) -> np.ndarray:
        """(n,) difference hashes of 8 x 8 bits."""
        small = (Image.fromarray(one).convert("L").resize((9, 8), Image.Resampling.BOX) for one in self.thumbnails)
        grey = np.stack([np.asarray(image) for image in small])
        return np.packbits((grey[:, :, :-1] < grey[:, :, 1:]).reshape(-1, 64), axis=1).view(">u8")[:, 0].astype("u8")


def as_jpeg(image: Image.Image, quality: int) -> bytes:
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=quality)
    return packed.getvalue()


def copies(photos: Photos, chosen: np.ndarray, kind: str, seed: int) -> Photos:
    """Copies of a kind of the chosen photos."""
    generator, (quality, change) = np.random.default_rng(seed), KINDS[kind]
    made: list[Path | bytes] = []
    for index in chosen:
        source = photos.sources[index]
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source)) as image:
            made.append(as_jpeg(change(image.convert("RGB"), generator), quality))
    return Photos(made)


def both(one: Photos, other: Photos) -> Photos:
    found = Photos.__new__(Photos)
    found.sources = [*one.sources, *other.sources]
    found.thumbnails = np.concatenate([one.thumbnails, other.thumbnails])
    return found


def measure(photos: Photos, seed: int) -> list[dict[str, float | str]]:
    """A row a kind of copy: of how many copies the original was found, and the number of wrong pairs beside."""
    chosen = np.random.default_rng(seed).choice(len(photos.sources), COPIED, replace=False)
    rows: list[dict[str, float | str]] = []
    for kind in KINDS:
        made = copies(photos, chosen, kind, seed)
        number = len(photos.sources)
        groups = np.array(["train"] * number + ["test"] * COPIED)
        right = {(int(index), number + place) for place, index in enumerate(chosen)}
        found = {pair[:2] for pair in both(photos, made).pairs(groups)}
        near = np.bitwise_count(made.hashed()[:, None] ^ photos.hashed()) <= BITS
        hashed = {(int(index), number + int(place)) for place, index in zip(*near.nonzero(), strict=True)}
        row = {"kind": kind, "found": len(found & right), "other": len(found - right)}
        rows.append(row | {"found_before": len(hashed & right), "other_before": len(hashed - right)})
        print(rows[-1], flush=True)
    return rows


def alone(photos: Photos) -> dict[str, int | list[list[str | float]]]:
    """Pairs among the originals, now and by the rule before."""
    names = [source.name if isinstance(source, Path) else str(index) for index, source in enumerate(photos.sources)]
    found = photos.pairs(np.arange(len(names)))
    hashes = photos.hashed()
    near = [int((np.bitwise_count(hashes[index] ^ hashes[index + 1 :]) <= BITS).sum()) for index in range(len(hashes))]
    listed: list[list[str | float]] = [[names[pair.one], names[pair.other], pair.similarity] for pair in found]
    return {"photos": len(names), "before": sum(near), "now": listed}


def many(real: Photos) -> dict[str, float]:
    """Seconds and memory of a look at 20,000 photos in three parts: each the mean of two real ones, one upside down."""
    generator = np.random.default_rng(3)
    chosen = generator.integers(0, len(real.thumbnails), (2, MANY))
    mixed = (real.thumbnails[chosen[0]] // 2) + (real.thumbnails[chosen[1], ::-1] // 2)
    parts = generator.choice(["train", "validation", "test"], MANY, p=[0.7, 0.2, 0.1])
    tracemalloc.start()
    started, used = time.perf_counter(), time.process_time()
    found = near_duplicates.find(mixed, parts, lambda wanted: mixed[wanted].repeat(2, axis=1).repeat(2, axis=2))
    times = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - used}
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    return {"photos": MANY, **times, "mb": peak, "thumbnails_mb": mixed.nbytes / 1e6, "pairs": len(found)}


def markdown(result: dict[str, Any]) -> str:
    """The numbers as tables."""
    kinds = {"real": "cats and dogs", "drawn": "drawn skies and horizons"}
    lines = [
        f"Of {COPIED} made copies of each kind, how many were found; in brackets by the rule before, {BITS} bits of 64"
        " of a difference hash. Copies are JPEG files of quality 75, 50 where the side is 60 %.",
        "",
        f"| copy | {' | '.join(kinds.values())} |",
        "|---|--:|--:|",
    ]
    for number, kind in enumerate(KINDS):
        cells = [result[name]["copies"][number] for name in kinds]
        shown = [f"{row['found']} ({row['found_before']})" for row in cells]
        lines.append(f"| {kind} | {' | '.join(shown)} |")
    lines += ["", "Among the photos as they are, every pair compared:", ""]
    lines += ["| | photos | pairs now | pairs before |", "|---|--:|--:|--:|"]
    for name, title in kinds.items():
        row = result[name]["alone"]
        lines.append(f"| {title} | {row['photos']:,} | {len(row['now'])} | {row['before']} |")
    wrong = sum(row["other"] for row in result["real"]["copies"])
    said = "; ".join(f"{one} and {other}" for one, other, _ in result["real"]["alone"]["now"])
    lines += ["", f"Of the real photos: {said}. Beside copies, {wrong} others were said. No drawn pair is right."]
    row = result["many"]
    took = f"{row['cpu_seconds']:.0f} s of CPU time and {row['mb']:.0f} MB beside the thumbnails"
    lines += ["", f"{row['photos']:,} photos in three parts: {took}, which take {row['thumbnails_mb']:.0f} MB."]
    return "\n".join(lines) + "\n"


def main() -> None:
    real = Photos([ROOT / "data/raw" / path for path in inventory.list_photos(ROOT / "data/raw")])
    drawn = Photos([as_jpeg(scene(np.random.default_rng([1, number])), 85) for number in range(SCENES)])
    result: dict[str, Any] = {}
    for name, photos in {"real": real, "drawn": drawn}.items():
        result[name] = {"alone": alone(photos), "copies": measure(photos, 0)}
    result["many"] = many(real)
    folder = ROOT / "benchmarks"
    with files.written_aside(folder / "near_duplicates.json") as aside:
        aside.write_text(json.dumps(result, indent=1) + "\n")
    with files.written_aside(folder / "near_duplicates.md") as aside:
        aside.write_text(markdown(result))
    print((folder / "near_duplicates.md").read_text())


if __name__ == "__main__":
    main()
