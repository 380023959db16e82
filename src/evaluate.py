"""Stage evaluate: the whole model, measured on the test photos themselves, and every figure."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from transfer_learning import caveats, files, live, stage, weights
from transfer_learning.runtime import setup, slices
from transfer_learning.schema import Settings
from transfer_learning.settings import load

if TYPE_CHECKING:
    import keras

    from transfer_learning import features

RAW = Path("data/raw")
TUNED = Path("models/finetuned.weights.h5")
TEST = Path("reports/test")


def main() -> None:
    settings = load("evaluate")
    with live.recorded_after():
        metrics = evaluate(settings)
    for caveat in caveats.caveats((TEST / "predictions.csv").read_text()):
        print(f"warning: {caveat}", file=sys.stderr)
    print(
        f"test accuracy {metrics['accuracy']:.1%}: {metrics['correct']} of {metrics['photos']} photos, "
        f"{settings.evaluate.confidence:.0%} interval {metrics['accuracy_low']:.1%} to {metrics['accuracy_high']:.1%}"
    )


def evaluate(settings: Settings) -> dict[str, Any]:
    """Write the whole model, what it makes of the test photos, and the figures; returns the test metrics."""
    setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning import backbone, classifier, evaluation, features, grad_cam_figure, photos

    size = settings.images.size
    base = backbone.build(settings.model.name, size=size, alpha=settings.model.alpha)
    model = classifier.whole(base, weights.read(TUNED))
    classes, parts = features.read_split(Path("data/split.csv"))
    test, raw = parts["test"], photos.root(RAW)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        test_photos = photos.load_batch([raw / path for path in test.paths], size=size, pool=pool)
    probabilities = classifier.predict(model, test_photos, threads=slices())  # (n, classes)
    unsure = test_photos[np.argsort(probabilities.max(axis=1), kind="stable")[:8]]  # where a difference shows most
    largest = classifier.difference_of_parts(base, settings.model.boundary, model, unsure)
    if largest > 0.02:  # float16 storage moves a probability by about 0.001
        raise RuntimeError(f"the whole model and its trained parts differ by {largest:.3f} in probability")
    print(f"whole model against the parts that were trained: at most {largest:.4f} apart in probability")
    metrics = evaluation.measure(
        test.labels,
        probabilities,
        threshold=settings.evaluate.threshold,
        confidence=settings.evaluate.confidence,
        bins=settings.evaluate.calibration_bins,
    )
    classifier.save(
        model,
        Path("models/model.keras"),
        classes=classes,
        threshold=settings.evaluate.threshold,
        max_megapixels=settings.images.max_megapixels,
    )
    files.write_json(TEST / "metrics.json", metrics)
    predicted = evaluation.predict(probabilities, threshold=settings.evaluate.threshold)  # (n,)
    _write_predictions(test.paths, classes, test.labels, probabilities, predicted)
    _draw_test(test.labels, probabilities, predicted, classes, test_photos, settings)
    grad_cam_figure.draw(TEST / "grad_cam.png", model, test_photos, test.labels, probabilities, predicted, classes)
    _draw_training(base, settings)
    _draw_data(parts["train"], classes, settings)
    return metrics


def _write_predictions(
    paths: list[Path], classes: list[str], labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray
) -> None:
    """One row a photo. `probability` is that of the second of two classes, else that of the predicted class, beside
    which `label_probability` is that of the true one."""
    from transfer_learning import photos

    names, rows = np.array(classes), np.arange(len(labels))
    raw = photos.root(RAW)
    two = len(classes) == 2
    table = pd.DataFrame(
        {
            "path": [path.as_posix() for path in paths],
            "sha256": [files.digest(raw / path, "sha256") for path in paths],
            "label": names[labels],
            "probability": probabilities[rows, 1 if two else predicted].astype(float).round(6),
            "predicted": names[predicted],
        }
    )
    if not two:
        table["label_probability"] = probabilities[rows, labels].astype(float).round(6)
    with files.written_aside(TEST / "predictions.csv") as aside:
        table.to_csv(aside, index=False, lineterminator="\n")


def _draw_test(
    labels: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    classes: list[str],
    test_photos: np.ndarray,
    settings: Settings,
) -> None:
    """The table of the classes, and the figures of the test."""
    from transfer_learning import evaluation, result_figures

    table = evaluation.per_class(labels, predicted, classes)
    with files.written_aside(TEST / "per_class.csv") as aside:
        table.to_csv(aside, index=False, lineterminator="\n")
    result_figures.per_class(TEST / "per_class.png", table)
    result_figures.confusion(TEST / "confusion_matrix.png", labels, predicted, classes)
    result_figures.roc(TEST / "roc.png", labels, probabilities, classes)
    bins = settings.evaluate.calibration_bins
    result_figures.reliability(TEST / "reliability.png", labels, probabilities, classes, bins=bins)
    result_figures.predictions(TEST / "predictions.png", test_photos, labels, probabilities, predicted, classes)


def _draw_training(base: keras.Model, settings: Settings) -> None:
    from transfer_learning import backbone, figures

    frozen, tuned = (pd.read_csv(f"reports/{phase}/history.csv") for phase in ("frozen", "finetune"))
    figures.learning_curves(Path("reports/frozen/learning_curves.png"), frozen)
    figures.learning_curves(Path("reports/finetune/learning_curves.png"), frozen, tuned)
    steps = settings.finetune.steps
    at = steps[-1].fine_tune_at if steps else settings.finetune.fine_tune_at
    layers = backbone.describe(base, at)
    title = f"{settings.model.name} at {settings.images.size} x {settings.images.size}, fine-tuned from layer {at}"
    figures.architecture(Path("reports/finetune/architecture.png"), layers, title=title)


def _draw_data(train: features.Part, classes: list[str], settings: Settings) -> None:
    """Nine training photos, and views of the one in the middle, as featurize computed them."""
    from transfer_learning import augment, figures, photos

    size, views = settings.images.size, min(settings.features.views, 9)
    chosen = np.random.default_rng(settings.seed).permutation(len(train.labels))[:9]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        nine = photos.load_batch([photos.root(RAW) / train.paths[i] for i in chosen], size=size, pool=pool)
    folder = Path("reports/data")
    names = [figures.shown(classes)[label] for label in train.labels[chosen]]
    figures.photo_grid(folder / "examples.png", nine, names, columns=3, heading="Nine training photos")
    rows = augment.draw_transforms(len(train.labels), settings.augment, views=views, size=size, seed=settings.seed)
    copies = np.asarray(augment.apply(np.repeat(nine[4:5], views, axis=0), rows[:, chosen[4]])).round().astype(np.uint8)
    titles = [f"view {view}" for view in range(views)]
    figures.photo_grid(folder / "augmented.png", copies, titles, columns=3, heading="Views of one training photo")


if __name__ == "__main__":
    stage.run("evaluate", main)
