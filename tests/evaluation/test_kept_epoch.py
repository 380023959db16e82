"""The epoch that is kept: which it is, and a warning where it is clearly worse than the best one and only there."""

from __future__ import annotations

import pytest

from transfer_learning.core import history
from transfer_learning.evaluation import kept_epoch

# validation of the committed experiment's fine-tuning, 800 photos
LOSSES = [0.073163, 0.0685, 0.092285, 0.064943, 0.062936, 0.074694, 0.059869, 0.080015, 0.070481, 0.056227]
ACCURACIES = [0.97375, 0.97125, 0.97, 0.97375, 0.97375, 0.9725, 0.9775, 0.97, 0.9725, 0.97875]


def rows(losses: list[float], accuracies: list[float]) -> list[history.Row]:
    named = zip(range(11, 99), losses, accuracies, strict=False)
    return [{"epoch": n, "loss": 1, "accuracy": 0.5, "val_loss": loss, "val_accuracy": a} for n, loss, a in named]


def test_the_epoch_that_is_kept() -> None:
    assert kept_epoch.row(rows(LOSSES, ACCURACIES), {"photos": 800})["epoch"] == 20
    assert kept_epoch.row(rows(LOSSES, ACCURACIES), {"photos": 800, "best_epoch": 17})["epoch"] == 17


def test_ups_and_downs_of_the_default_run_are_no_reason_to_warn_wherever_it_ends() -> None:
    for end in range(1, 11):
        assert kept_epoch.caveat("finetune", rows(LOSSES[:end], ACCURACIES[:end]), {"photos": 800}) is None


def test_a_run_that_got_worse_says_so_and_names_the_setting() -> None:
    worse = rows([0.25, 0.3, 0.45], [0.918, 0.9, 0.882])
    said = kept_epoch.caveat("finetune", worse, {"photos": 400})
    assert said == (
        "finetune has kept its last epoch, 13, with 88.2% on validation, though epoch 11 had 91.8% on validation: "
        "finetune.early_stopping=3 keeps the best one"
    )
    assert kept_epoch.caveat("finetune", worse, {"photos": 400, "best_epoch": 11}) is None
    assert kept_epoch.caveat("finetune", worse, {"photos": 40}) is None  # one photo or two


@pytest.mark.parametrize(("wrong", "warns"), [(4, False), (5, True)])
def test_from_no_mistake_at_all_it_takes_five(wrong: int, warns: bool) -> None:
    """0.5 to the power of 4 is 0.06, of 5 it is 0.03: as McNemar's exact test has it."""
    there = rows([0.01, 0.02], [1.0, 1 - wrong / 1000])
    assert (kept_epoch.caveat("train_frozen", there, {"photos": 1000}) is not None) == warns


def test_the_untrained_head_is_no_epoch_to_go_back_to() -> None:
    first = {"epoch": 0, "loss": 0.7, "accuracy": 0.5, "val_loss": 0.001, "val_accuracy": 1.0}
    after = rows([0.5], [0.5])
    assert kept_epoch.caveat("train_frozen", [first, *after], {"photos": 1000}) is None
