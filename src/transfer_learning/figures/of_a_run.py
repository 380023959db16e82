"""The figures that evaluate draws of a run: of its training, its test and its data; and the table of the classes."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from transfer_learning.core import history
from transfer_learning.core.files import written_aside
from transfer_learning.evaluation import kept_epoch, metrics, whole_model
from transfer_learning.evaluation.predictions import Predictions
from transfer_learning.figures import drawing, grad_cam, results, training
from transfer_learning.photos import augment
from transfer_learning.photos.decode import load_batch
from transfer_learning.photos.inventory import Photos
from transfer_learning.photos.parts import Part
from transfer_learning.settings.schema import Settings

REPORTS = Path("reports")


@dataclass(frozen=True)
class Run:
    """A run whose training is done and whose test photos are predicted.

    Attributes:
        base: its backbone.
        model: the whole model.
        photos: of all parts.
        train: the training photos.
        test: what the model makes of the test photos.
    """

    settings: Settings
    base: keras.Model
    model: keras.Model
    photos: Photos
    train: Part
    test: Predictions

    def pixels(self, paths: list[Path]) -> np.ndarray:
        """Photos (n, size, size, 3) uint8."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return load_batch(self.photos.chosen(paths), size=self.settings.images.size, pool=pool)

    def test_pixels(self, indices: np.ndarray) -> np.ndarray:
        """Test photos by their indices, as figures take them."""
        return self.pixels([self.test.paths[index] for index in indices])


def draw(run: Run) -> None:
    """Draw all figures below reports/."""
    draw_test(run, REPORTS / "test")
    draw_training(run)
    draw_data(run, REPORTS / "data")


def draw_test(run: Run, folder: Path) -> None:
    """The table of the classes, and the figures of the test."""
    test = run.test
    table = metrics.per_class(test.labels, test.predicted, list(test.classes))
    with written_aside(folder / "per_class.csv") as aside:
        table.to_csv(aside, index=False, lineterminator="\n")
    results.per_class(folder / "per_class.png", table)
    results.confusion(folder / "confusion_matrix.png", test)
    results.roc(folder / "roc.png", test)
    results.reliability(folder / "reliability.png", test, bins=run.settings.evaluate.calibration_bins)
    reject_below = run.settings.evaluate.reject_below
    results.predictions(folder / "predictions.png", test, run.test_pixels, reject_below=reject_below)
    grad_cam.draw(folder / "grad_cam.png", run.model, test, run.test_pixels)


def draw_training(run: Run) -> None:
    """Learning curves of both phases, and which layers were trained."""
    settings = run.settings
    rows = {stage: history.read(stage) for stage in history.HISTORIES}
    kept = [kept_epoch.row(rows[stage], json.loads(Path(kept_epoch.METRICS[stage]).read_text())) for stage in rows]
    frozen, tuned = map(pd.DataFrame, rows.values())
    training.learning_curves(REPORTS / "frozen" / "learning_curves.png", frozen, kept=kept[:1])
    training.learning_curves(REPORTS / "finetune" / "learning_curves.png", frozen, tuned, kept=kept)
    steps = settings.finetune.steps
    at = steps[-1].fine_tune_at if steps else settings.finetune.fine_tune_at
    title = f"{settings.model.name} at {settings.images.size} x {settings.images.size}, fine-tuned from layer {at}"
    training.architecture(REPORTS / "finetune" / "architecture.png", whole_model.describe(run.base, at), title=title)


def draw_data(run: Run, folder: Path) -> None:
    """Nine training photos, and views of the one in the middle, as featurize computed them."""
    settings, train = run.settings, run.train
    size, views = settings.images.size, min(settings.features.views, 9)
    chosen = np.random.default_rng(settings.seed).permutation(len(train.labels))[:9]
    nine = run.pixels([train.paths[index] for index in chosen])
    names = [drawing.shown(run.test.classes)[label] for label in train.labels[chosen]]
    drawing.photo_grid(folder / "examples.png", nine, names, columns=3, heading="Nine training photos")
    rows = augment.draw_transforms(len(train.labels), settings.augment, views=views, size=size, seed=settings.seed)
    middle = len(nine) // 2
    repeated = np.repeat(nine[middle : middle + 1], views, axis=0)
    copies = np.asarray(augment.apply(repeated, rows[:, chosen[middle]])).round().astype(np.uint8)
    titles = [f"view {view}" for view in range(views)]
    drawing.photo_grid(folder / "augmented.png", copies, titles, columns=3, heading="Views of one training photo")
