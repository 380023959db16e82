"""Stage finetune: the top of the backbone and the head train on, gently (fine-tuning)."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out
from transfer_learning.core import packages, surroundings

surroundings.shut_out()
packages.say_what_is_missing()
from transfer_learning import announce
from transfer_learning.core import files, weights
from transfer_learning.network import runtime
from transfer_learning.settings.backbones import BACKBONES
from transfer_learning.settings.params import load
from transfer_learning.settings.schema import Settings
from transfer_learning.stage import kept_epochs, process

OUTPUT = Path("models/finetuned.weights.h5")


def main() -> None:
    settings = load("finetune")
    with announce.followed("finetune") as follower:
        train(settings, follower)


def train(settings: Settings, follower: announce.Follower) -> None:
    """Train on from the frozen phase and write weights, history and metrics."""
    runtime.setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning.core import history
    from transfer_learning.network import backbone, stored
    from transfer_learning.network.head import HEAD
    from transfer_learning.training import epochs, from_photos, inputs, unfreezing

    phase, own = settings.finetune, settings.model
    base = backbone.build(own.name, size=settings.images.size, alpha=own.alpha)
    backbone.load(base, Path("data/pretrained/backbone.weights.h5"))
    lowest = phase.plan[-1].fine_tune_at
    boundary = own.boundary if lowest > BACKBONES[own.name].boundaries[own.boundary] else None
    with ThreadPoolExecutor(surroundings.cores()) as pool:
        features = inputs.from_features(stored.FOLDER, "activations") if boundary else None
        examples = features or from_photos.examples(settings, pool)
        network = unfreezing.Network(base, boundary, own.dropout)
        head = weights.read(Path("models/frozen.weights.h5"))
        kept = kept_epochs.of("finetune", settings, runtime.devices())
        session = epochs.Session(settings.seed, follower.epoch, kept)
        first = int(history.read("train_frozen")[-1]["epoch"]) + 1
        model, trained = unfreezing.fine_tune(network, head, examples, session, phase=phase, first=first)
        weights.write(OUTPUT, backbone.get_weights([*base.layers, model.get_layer(HEAD)]))
        history.write(trained, "finetune")
        trainable = sum(weight.shape.num_elements() for weight in model.trainable_weights)
        photos = len(stored.read(stored.FOLDER, "validation").labels)
        metrics = epochs.metrics(trained, phase) | {"photos": photos, "trainable_parameters": trainable}
        files.write_json(Path("reports/finetune/metrics.json"), metrics)


if __name__ == "__main__":
    process.run("finetune", main)
