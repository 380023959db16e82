"""Metrics against formulas written out, and figures that are real pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from transfer_learning.evaluation import metrics as evaluation
from transfer_learning.evaluation import predictions
from transfer_learning.evaluation.predictions import Predictions
from transfer_learning.figures import drawing, results, training
from transfer_learning.photos.inventory import Photos

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
PROBABILITIES = np.array([0.05, 0.15, 0.35, 0.85, 0.45, 0.75, 0.95, 0.98])
BOTH = np.stack([1 - PROBABILITIES, PROBABILITIES], axis=1)


def measure(**changes: object) -> dict[str, object]:
    options = {"threshold": 0.5, "confidence": 0.95, "bins": 10} | changes
    return evaluation.measure(LABELS, BOTH, **options)  # type: ignore[arg-type]


def test_metrics_equal_their_formulas() -> None:
    metrics = measure()
    loss = -np.mean(np.log(np.where(LABELS == 1, PROBABILITIES, 1 - PROBABILITIES)))
    pairs = [(p > n) + 0.5 * (p == n) for p in PROBABILITIES[4:] for n in PROBABILITIES[:4]]
    assert metrics["correct"] == 6
    assert metrics["accuracy"] == 0.75
    assert metrics["loss"] == pytest.approx(loss)
    assert (metrics["precision"], metrics["recall"], metrics["f1"]) == (0.75, 0.75, 0.75)
    assert metrics["roc_auc"] == pytest.approx(np.mean(pairs))
    assert "top_5_accuracy" not in metrics


def many(classes: int, photos: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of unequally large classes, and probabilities that are right for some three of four photos."""
    generator = np.random.default_rng(3)
    labels = np.concatenate([np.arange(classes), generator.integers(0, max(classes // 3, 1), photos - classes)])
    scores = generator.exponential(size=(photos, classes)) + 3 * np.eye(classes)[labels] * generator.random((photos, 1))
    return labels, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def test_metrics_of_many_classes_equal_their_formulas() -> None:
    labels, probabilities = many(12, 300)
    metrics = evaluation.measure(labels, probabilities, threshold=0.9, confidence=0.95, bins=4)
    predicted = probabilities.argmax(axis=1)
    recalls = [(predicted[labels == c] == c).mean() for c in range(12)]
    said = [(predicted == c).sum() for c in range(12)]
    precisions = [(labels[predicted == c] == c).mean() if said[c] else 0.0 for c in range(12)]
    assert metrics["accuracy"] == (predicted == labels).mean()
    assert metrics["balanced_accuracy"] == metrics["recall"] == pytest.approx(np.mean(recalls))
    assert metrics["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert metrics["balanced_accuracy"] != pytest.approx(metrics["accuracy"], abs=0.01)  # the classes are unequal
    assert metrics["precision"] == pytest.approx(np.mean(precisions))
    assert metrics["loss"] == pytest.approx(-np.log(probabilities[np.arange(300), labels]).mean(), rel=1e-5)
    areas = [roc_auc_score(labels == c, probabilities[:, c]) for c in range(12)]
    assert metrics["roc_auc"] == pytest.approx(np.mean(areas), abs=1e-6)
    five = np.argsort(-probabilities, axis=1)[:, :5]
    assert metrics["top_5_accuracy"] == pytest.approx((five == labels[:, None]).any(axis=1).mean())
    surest = probabilities.max(axis=1)
    bins = np.minimum((surest * 4).astype(int), 3)
    gaps = [abs(surest[bins == b].mean() - (predicted == labels)[bins == b].mean()) for b in np.unique(bins)]
    weights = [(bins == b).mean() for b in np.unique(bins)]
    assert metrics["calibration_error"] == pytest.approx(np.dot(gaps, weights), abs=1e-6)


def test_table_of_the_classes() -> None:
    table = evaluation.per_class(np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 1, 0, 1]), ["a", "b", "c"])
    assert table.to_dict("list") == {
        "class": ["a", "b", "c"], "photos": [2, 3, 1], "correct": [1, 2, 0],
        "precision": [0.5, 0.5, 0.0], "recall": [0.5, 0.666667, 0.0], "f1": [0.5, 0.571429, 0.0],
    }  # fmt: skip


def test_threshold_moves_the_predictions() -> None:
    assert measure(threshold=0.4)["recall"] == 1.0
    assert measure(threshold=0.99)["recall"] == 0.0


def test_wilson_interval_equals_its_formula() -> None:
    z, n, p = 1.959963984540054, 200, 0.975
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert evaluation.wilson_interval(195, 200, confidence=0.95) == pytest.approx((centre - half, centre + half))


def test_calibration_error_is_the_weighted_gap() -> None:
    # two bins: below one half 4 of 8 (one is class 1), above 4 of 8 (three are)
    low, high = PROBABILITIES[PROBABILITIES < 0.5], PROBABILITIES[PROBABILITIES >= 0.5]
    expected = (len(low) * abs(low.mean() - 0.25) + len(high) * abs(high.mean() - 0.75)) / 8
    assert evaluation.calibration_error(LABELS, PROBABILITIES, bins=2) == pytest.approx(expected)
    assert evaluation.calibration_error(np.array([0, 1]), np.array([0.0, 1.0]), bins=10) == 0


def draw_results(
    folder: Path, labels: np.ndarray, probabilities: np.ndarray, photos: np.ndarray, classes: list[str]
) -> None:
    predicted = evaluation.predict(probabilities, threshold=0.5)
    found = Predictions([Path(f"{i}.png") for i in range(len(labels))], labels, probabilities, predicted, classes)
    results.per_class(folder / "per_class.png", evaluation.per_class(labels, predicted, classes))
    results.confusion(folder / "confusion.png", found)
    results.roc(folder / "roc.png", found)
    results.reliability(folder / "reliability.png", found, bins=5)
    results.predictions(folder / "predictions.png", found, photos.__getitem__)


def test_every_figure_is_drawn_and_is_the_same_twice(tmp_path: Path) -> None:
    history = pd.DataFrame({"epoch": range(4), "loss": [0.7, 0.5, 0.4, 0.3], "accuracy": [0.5, 0.7, 0.8, 0.9]}).assign(
        val_loss=lambda t: t["loss"], val_accuracy=lambda t: t["accuracy"]
    )
    tuned = history.assign(epoch=history["epoch"] + 4)
    photos = np.random.default_rng(0).integers(0, 255, (8, 24, 24, 3), dtype=np.uint8)
    layers = [("32 x 32 x 3", 0, 0), ("16 x 16 x 8", 216, 0), ("8 x 8 x 8", 576, 576)]
    classes = ["cats", "dogs"]
    for folder in (tmp_path / "a", tmp_path / "b"):
        training.learning_curves(folder / "frozen.png", history)
        training.learning_curves(folder / "curves.png", history, tuned)
        draw_results(folder, LABELS, BOTH, photos, classes)
        training.architecture(folder / "architecture.png", layers, title="a network")
    for first in sorted((tmp_path / "a").iterdir()):
        assert first.read_bytes() == (tmp_path / "b" / first.name).read_bytes()
        assert len(np.unique(np.asarray(Image.open(first).convert("L")))) > 10
    assert len(list((tmp_path / "a").iterdir())) == 8


@pytest.mark.parametrize("number", [3, 10, 100, 1000])
def test_figures_of_many_classes_keep_a_readable_size(number: int, tmp_path: Path) -> None:
    labels, probabilities = many(number, 2 * number + 20)
    photos = np.zeros((len(labels), 24, 24, 3), np.uint8)
    classes = [f"a rather long name of class {index}" for index in range(number - 2)] + ["$a_b$", "\u732b"]
    draw_results(tmp_path, labels, probabilities, photos, classes)
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            width, height = image.size
        assert 400 < width < 1300, path.name
        assert 200 < height < 1300, path.name


def test_class_names_in_figures_are_short_and_drawable() -> None:
    assert drawing.shown(["cats", "\u732b", "$ 5", "Fl\u00f6he", "x" * 15 + "y" * 15]) == [
        "cats", "class 1", r"\$ 5", "Fl\u00f6he", "x" * 11 + "\u2026" + "y" * 11
    ]  # fmt: skip


@pytest.mark.parametrize("classes", [["cats", "dogs"], ["a,b", 'say "c"', "\u732b"]])
def test_predictions_csv_is_what_pandas_would_write_and_is_read_back(classes: list[str], tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    probabilities = generator.dirichlet(np.ones(len(classes)), 25).astype(np.float32)
    probabilities[:3] = np.eye(len(classes))[[0, 1, 1]]  # 1.0, 0.0 and what is less than 0.0001
    probabilities[3, :2] = 0.00002, 0.99998
    labels = generator.integers(0, len(classes), 25).astype(np.uint8)
    found = Predictions(
        [Path(f"{classes[label]} {i}.jpg") for i, label in enumerate(labels)], labels, probabilities,
        evaluation.predict(probabilities, threshold=0.4), classes,
    )  # fmt: skip
    for path in found.paths:
        (tmp_path / path).write_bytes(path.name.encode())
    names, rows, two = np.array(classes), np.arange(25), len(classes) == 2
    table = pd.DataFrame(
        {
            "path": [path.as_posix() for path in found.paths],
            "sha256": [hashlib.sha256(path.name.encode()).hexdigest() for path in found.paths],
            "label": names[labels],
            "probability": probabilities[rows, 1 if two else found.predicted].astype(float).round(6),
            "predicted": names[found.predicted],
        }
    )
    if not two:
        table["label_probability"] = probabilities[rows, labels].astype(float).round(6)
    predictions.write(tmp_path / "predictions.csv", found, Photos(tmp_path))
    text = (tmp_path / "predictions.csv").read_text(encoding="utf-8")
    assert text == table.to_csv(index=False, lineterminator="\n")
    back = list(predictions.read(text).values())
    assert [row["path"] for row in back] == [path.as_posix() for path in found.paths]
    assert [not predictions.right(row) for row in back] == found.wrong.tolist()
    of_own = probabilities[:, 1] if two else probabilities[rows, labels]
    np.testing.assert_allclose([predictions.probability(row) for row in back], of_own, atol=1e-6)
    surest = [row["confidence"] for row in predictions.mistakes(back, classes)]
    np.testing.assert_allclose(surest, sorted(found.confidence[found.wrong], reverse=True), atol=2e-6)
