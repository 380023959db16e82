"""The baseline in results: fine-tuning against it, photo by photo, and in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transfer_learning.evaluation import baseline, metrics
from transfer_learning.evaluation.predictions import Predictions


def predicted(right: list[bool]) -> Predictions:
    """Photos of class 1, predicted with 0.8."""
    predicted = np.array(right, int)
    probabilities = np.where(predicted[:, None] == [0, 1], 0.8, 0.2)
    paths = [Path(f"{number}.png") for number in range(len(right))]
    return Predictions(paths, np.ones(len(right), int), probabilities, predicted, ["a", "b"])


def test_photos_are_counted_that_only_one_of_both_has_right() -> None:
    trained, probe = predicted([True, True, True, False, False]), predicted([True, False, False, True, False])
    found = baseline.measure((trained, probe), (probe, trained))
    assert (found["gained"], found["lost"], found["val_gained"], found["val_lost"]) == (2, 1, 1, 2)
    assert found["p_value"] == found["val_p_value"] == 1.0  # two of three go the same way in every second pair
    assert (found["test_photos"], found["test_correct"], found["test_accuracy"]) == (5, 2, 0.4)
    assert found["test_loss"] == pytest.approx(-(2 * np.log(0.8) + 3 * np.log(0.2)) / 5)


@pytest.mark.parametrize(
    ("gained", "lost", "said"),
    [
        (20, 8, "fine-tuning beats the linear probe: 12 more right of 450 test photos, p = 0.036"),
        (12, 8, "fine-tuning does not beat the linear probe: 4 more right of 450 test photos, p = 0.5"),
        (8, 8, "fine-tuning does not beat the linear probe: as many right of 450 test photos, p = 1"),
        (60, 0, "fine-tuning beats the linear probe: 60 more right of 450 test photos, p < 1e-6"),
        (0, 9, "fine-tuning does not beat the linear probe: 9 fewer right of 450 test photos, p = 0.0039"),
    ],
)
def test_the_verdict_is_a_line(gained: int, lost: int, said: str) -> None:
    p_value = round(metrics.mcnemar(lost, gained), 6)  # as in the file
    assert baseline.verdict({"gained": gained, "lost": lost, "p_value": p_value, "test_photos": 450}) == said


def test_results_of_before_there_was_a_probe_have_none(tmp_path: Path) -> None:
    assert baseline.in_folder(tmp_path) == {}
