"""Stage featurize: the activations at the boundary and the pooled vectors of every view, computed once."""

from pathlib import Path

from transfer_learning import checkpoint, files, stage
from transfer_learning.runtime import setup
from transfer_learning.settings import load

OUTPUT = Path("data/features")


def main() -> None:
    settings = load("featurize")
    setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning import augment, backbone, features, photos

    size = settings.images.size
    base = backbone.build(settings.model.name, size=size, alpha=settings.model.alpha)
    backbone.load(base, Path("data/pretrained/backbone.weights.h5"))
    _, parts = features.read_split(Path("data/split.csv"))
    transforms = augment.draw_transforms(
        len(parts["train"].labels), settings.augment, views=settings.features.views, size=size, seed=settings.seed
    )
    with checkpoint.unfinished(OUTPUT, "featurize") as folder:
        features.compute(
            base,
            settings.model.boundary,
            parts,
            photos.root(Path("data/raw")),
            folder,
            size=size,
            transforms=transforms,
        )
        files.put(folder, OUTPUT)


if __name__ == "__main__":
    stage.run("featurize", main)
