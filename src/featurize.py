"""Stage featurize: the activations at the boundary and the pooled vectors of every view, computed once."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out
from transfer_learning.core import packages, surroundings

surroundings.shut_out()
packages.say_what_is_missing()
from transfer_learning.core import files
from transfer_learning.network.runtime import setup
from transfer_learning.settings.params import load
from transfer_learning.stage import process
from transfer_learning.stage.unfinished import unfinished


def main() -> None:
    settings = load("featurize")
    setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning.network import backbone, features, stored
    from transfer_learning.photos import augment, inventory, parts

    size = settings.images.size
    base = backbone.build(settings.model.name, size=size, alpha=settings.model.alpha)
    backbone.load(base, Path("data/pretrained/backbone.weights.h5"))
    _, split = parts.read_split(parts.SPLIT)
    transforms = augment.draw_transforms(
        len(split["train"].labels), settings.augment, views=settings.features.views, size=size, seed=settings.seed
    )
    with unfinished(stored.FOLDER, "featurize") as folder:
        features.compute(
            base,
            settings.model.boundary,
            split,
            inventory.read(Path("data/raw")),
            folder,
            size=size,
            transforms=transforms,
        )
        files.put(folder, stored.FOLDER)


if __name__ == "__main__":
    process.run("featurize", main)
