"""Stage finetune: the top of the backbone and the head train on, gently (fine-tuning)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_learning import checkpoint, files, live, stage, weights
from transfer_learning.backbones import BACKBONES
from transfer_learning.runtime import setup, slices
from transfer_learning.schema import Settings
from transfer_learning.settings import load

if TYPE_CHECKING:
    import tensorflow as tf

    from transfer_learning import training

OUTPUT = Path("models/finetuned.weights.h5")


def main() -> None:
    settings = load("finetune")
    with live.followed("finetune") as follower:
        train(settings, follower)


def train(settings: Settings, follower: live.Follower) -> None:
    """Train on from the frozen phase and write weights, history and metrics."""
    setup(seed=settings.seed, threads=settings.runtime.threads)
    import pandas as pd

    from transfer_learning import backbone, classifier, features, training, unfreezing

    base = backbone.build(settings.model.name, size=settings.images.size, alpha=settings.model.alpha)
    backbone.load(base, Path("data/pretrained/backbone.weights.h5"))
    boundaries = BACKBONES[settings.model.name].boundaries
    phase = settings.finetune
    stored = phase.plan[-1].fine_tune_at > boundaries[settings.model.boundary]  # the lowest of them
    labels, validation_labels = (features.read(Path("data/features"), part).labels for part in ("train", "validation"))
    classes = int(labels.max()) + 1
    with ThreadPoolExecutor(os.cpu_count()) as pool, checkpoint.unfinished(OUTPUT, "finetune") as kept:
        batch, validation = _stored(classes) if stored else _photos(settings, pool, classes)
        model, history = unfreezing.fine_tune(
            base,
            weights.read(Path("models/frozen.weights.h5")),
            batch,
            labels,
            validation,
            phase=phase,
            boundary=settings.model.boundary if stored else None,
            boundaries=boundaries,
            classes=classes,
            dropout=settings.model.dropout,
            first=int(pd.read_csv("reports/frozen/history.csv")["epoch"].iloc[-1]) + 1,
            views=settings.features.views,
            seed=settings.seed,
            slices=slices(),
            on_epoch=follower.epoch,
            kept=kept,
        )
        trainable = sum(weight.shape.num_elements() for weight in model.trainable_weights)
        weights.write(OUTPUT, backbone.get_weights([*base.layers, model.get_layer(classifier.HEAD)]))
        training.write_history(history, Path("reports/finetune/history.csv"))
        counts = {"photos": len(validation_labels), "trainable_parameters": trainable}
        files.write_json(Path("reports/finetune/metrics.json"), training.metrics(history, phase) | counts)


def _stored(classes: int) -> tuple[training.Batch, tf.data.Dataset]:
    """Inputs from the stored activations: the frozen part of the network has run once for all trials."""
    from transfer_learning import features, training

    train, validation = (features.read(Path("data/features"), part) for part in ("train", "validation"))
    return training.from_array(train.activations), training.in_order(
        training.from_array(validation.activations), validation.labels, classes=classes
    )


def _photos(settings: Settings, pool: ThreadPoolExecutor, classes: int) -> tuple[training.Batch, tf.data.Dataset]:
    """Inputs from the photos themselves, for a fine_tune_at below the boundary."""
    from transfer_learning import augment, features, photos, training

    print("fine_tune_at is not above model.boundary: training from the photos, slower than from stored activations")
    raw, size = photos.root(Path("data/raw")), settings.images.size
    _, parts = features.read_split(Path("data/split.csv"))
    transforms = augment.draw_transforms(
        len(parts["train"].labels), settings.augment, views=settings.features.views, size=size, seed=settings.seed
    )
    train = training.from_photos(parts["train"], raw, size=size, pool=pool, transforms=transforms)
    plain = training.from_photos(parts["validation"], raw, size=size, pool=pool)
    labels = parts["validation"].labels
    return train, training.in_order(plain, labels, classes=classes)


if __name__ == "__main__":
    stage.run("finetune", main)
