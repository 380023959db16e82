"""Stage probe: the linear probe, what logistic regression makes of the pretrained network's view of each photo."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out
from transfer_learning.core import packages, surroundings

surroundings.shut_out()
packages.say_what_is_missing()
from transfer_learning.core import files, weights
from transfer_learning.network.runtime import setup
from transfer_learning.settings.params import load
from transfer_learning.stage import process
from transfer_learning.stage.unfinished import unfinished


def main() -> None:
    settings = load("probe")
    setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning.network import backbone, embeddings, head, stored
    from transfer_learning.photos import inventory, parts
    from transfer_learning.training import linear_probe

    base = backbone.build(settings.model.name, size=settings.images.size, alpha=settings.model.alpha)
    backbone.load(base, Path("data/pretrained/backbone.weights.h5"))
    _, split = parts.read_split(parts.SPLIT)
    with unfinished(stored.EMBEDDINGS, "probe") as folder:
        embeddings.compute(base, split, inventory.read(Path("data/raw")), folder, size=settings.images.size)
        train, validation = (stored.embeddings(part, folder) for part in ("train", "validation"))
        threads = settings.runtime.threads or surroundings.cores()
        probe = linear_probe.fit(train, split["train"].labels, seed=settings.seed, threads=threads)
        measured = linear_probe.measure(probe, validation, split["validation"].labels)
        weights.write(head.PROBE, probe.weights)
        files.write_json(head.PROBE_METRICS, measured)
        files.put(folder, stored.EMBEDDINGS)
    print(f"linear probe: {measured['val_accuracy']:.1%} of {measured['photos']} validation photos")


if __name__ == "__main__":
    process.run("probe", main)
