"""Predictions below a confidence are unsure: counted in the metrics, marked by predict, checked by the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from transfer_learning.commands import predict
from transfer_learning.evaluation import metrics
from transfer_learning.evaluation.predictions import Predictions, Table
from transfer_learning.figures import results, training
from transfer_learning.reporting import contradictions

LABELS = np.array([0, 0, 1, 1, 1])
SECOND = np.array([0.1, 0.55, 0.9, 0.4, 0.58])  # wrong are the second and the fourth
PREDICTED = (SECOND >= 0.5).astype(int)
BOTH = np.stack([1 - SECOND, SECOND], axis=1)


def test_share_of_the_unsure_and_accuracy_of_the_others() -> None:
    found = Predictions([Path("a")] * 5, LABELS, BOTH, PREDICTED, ["a", "b"])
    assert found.unsure(0.59).tolist() == [False, True, False, False, True]
    assert metrics.of_the_sure(LABELS, PREDICTED, found.unsure(0.59)) == {
        "rejected": 0.4,
        "selective_accuracy": pytest.approx(2 / 3),
    }
    assert metrics.of_the_sure(LABELS, PREDICTED, found.unsure(0.95)) == {"rejected": 1.0}  # of none it is no number
    assert not found.unsure(0.0).any()
    assert "unsure on 100.0% of the test photos; there are no others" in metrics.sure_in_words({"rejected": 1.0})


def test_the_gate_computes_both_again() -> None:
    table = Table(list("12345"), ["a", "b"], LABELS, PREDICTED, SECOND, BOTH[np.arange(5), LABELS])
    options = {"confidence": 0.95, "calibration_bins": 10, "reject_below": 0.59}
    bounds = contradictions.of_predictions(table, options)
    assert bounds["rejected"] == (0.4, 0.4)
    assert bounds["selective_accuracy"] == pytest.approx((2 / 3, 2 / 3))
    at_the_edge = contradictions.of_predictions(table, options | {"reject_below": 0.6})  # six decimals do not tell
    assert at_the_edge["rejected"] == (0.4, pytest.approx(0.6))
    assert at_the_edge["selective_accuracy"] == pytest.approx((2 / 3, 1.0))
    assert "rejected" not in contradictions.of_predictions(table, options | {"reject_below": 0.0})


class Says:
    """A predictor of fixed answers."""

    def __init__(self, reject_below: float) -> None:
        self.reject_below = reject_below

    def pixels(self, photo: Path) -> np.ndarray:
        return np.zeros((4, 4, 3), np.uint8)

    def predict(self, pixels: np.ndarray) -> list[tuple[str, float]]:
        return [("sea", 0.76), ("wood", 0.99)]


def test_predict_marks_what_is_unsure_and_still_names_the_class(capsys: pytest.CaptureFixture[str]) -> None:
    paths = [Path("cat.jpg"), Path("wood.jpg")]
    rows, _ = predict._predict(cast(Any, Says(0.8)), paths, None)
    assert [(row["class"], row["unsure"]) for row in rows] == [("sea", True), ("wood", False)]
    predict._print_table(rows)
    sea, wood = (line for line in capsys.readouterr().out.splitlines() if ".jpg" in line)
    assert "sea" in sea
    assert "unsure" in sea
    assert "unsure" not in wood
    rows, _ = predict._predict(cast(Any, Says(0.0)), paths, None)
    assert [set(row) for row in rows] == [{"photo", "class", "probability"}] * 2


def test_figures_mark_the_unsure_photos_and_the_kept_epoch(tmp_path: Path) -> None:
    found = Predictions([Path("a")] * 5, LABELS, BOTH, PREDICTED, ["a", "b"])
    photos = np.zeros((5, 24, 24, 3), np.uint8)
    for name, below in (("all.png", 0.0), ("marked.png", 0.59)):
        results.predictions(tmp_path / name, found, photos.__getitem__, reject_below=below)
    assert (tmp_path / "all.png").read_bytes() != (tmp_path / "marked.png").read_bytes()
    history = pd.DataFrame({"epoch": range(4)}).assign(loss=0.5, accuracy=0.7, val_loss=0.4, val_accuracy=0.8)
    rows = history.to_dict("records")
    for name, kept in (("last", []), ("3", [rows[3]]), ("1", [rows[1]]), ("0", [rows[0]])):
        training.learning_curves(tmp_path / f"{name}.png", history, kept=kept)
    last, *others = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("last", "3", "1", "0"))
    assert [(last == other).all() for other in others] == [True, False, False]
