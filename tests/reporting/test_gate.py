"""The gate: its tests against formulas written out, and how often it is wrong."""

from __future__ import annotations

import itertools
from math import comb

import numpy as np
import pytest

from transfer_learning.core.errors import UserError
from transfer_learning.evaluation.predictions import numbers as read
from transfer_learning.reporting import gate
from transfer_learning.settings.schema import Gate

LIMITS = Gate(accuracy_tolerance=0.01, significance=0.05, metrics={})


def paired(photos: int, lost: int, gained: int) -> gate.Paired:
    flip = gate.Flip("x", "a", 0.0, 1.0)
    return gate.Paired(photos, photos - gained, (flip,) * lost, (flip,) * gained)


def predictions(right: str, labels: str | None = None, first: int = 0) -> str:
    """Text of a predictions.csv with one photo per digit of `right`, 1 where the prediction is right."""
    rows = ["path,sha256,label,probability,predicted"]
    for number, (digit, label) in enumerate(zip(right, labels or "ab" * len(right), strict=False), start=first):
        predicted = label if digit == "1" else {"a": "b"}.get(label, "a")
        rows.append(f"{label}/{number}.jpg,digest{number},{label},0.5,{predicted}")
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(("lost", "gained"), list(itertools.product(range(6), repeat=2)))
def test_mcnemar_is_the_sum_of_binomial_tails(lost: int, gained: int) -> None:
    n, k = lost + gained, min(lost, gained)
    tail = sum(comb(n, i) for i in range(k + 1)) / 2**n
    assert gate.mcnemar(lost, gained) == pytest.approx(min(1.0, 2 * tail))


def test_photos_are_paired_by_their_content() -> None:
    base = predictions("1100111111")
    lines = predictions("0110111111").splitlines()
    moved = "\n".join([lines[0], *reversed(lines[1:])]).replace("a/2.jpg", "a/renamed.jpg")
    found = gate.pair(base, moved)
    assert (found.photos, found.base_right) == (10, 8)
    assert [[flip.path for flip in flips] for flips in (found.lost, found.gained)] == [["a/0.jpg"], ["a/renamed.jpg"]]
    assert (found.change, found.p_value) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("lost", "gained", "worse"),
    [
        (0, 0, None),
        (2, 0, None),  # 1.0 points are within the tolerance
        (4, 0, None),  # more than the tolerance, but equal models lose 4 of 4 once in 16 times
        (5, 0, "lower by 2.5%, more than the 1.0% allowed (by chance in 0.031)"),
        (22, 20, None),
        (0, 9, None),
    ],
)
def test_worse_by_more_than_the_tolerance_and_than_chance(lost: int, gained: int, worse: str | None) -> None:
    reason = paired(200, lost, gained).worse(LIMITS)
    assert reason is None if worse is None else worse in (reason or "")


def test_a_small_loss_counts_when_it_is_not_chance() -> None:
    few = paired(1000, 9, 1)
    assert few.change == -0.008
    assert "not by chance (p = 0.021)" in (few.worse(LIMITS) or "")
    assert paired(1000, 40, 32).worse(LIMITS) is None  # as large, but chance


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (predictions("111", first=2), "the test photos differ: 4 there, 3 here, 2 of them the same"),
        (predictions("1111", "acac"), "the classes differ: b only there, c only here"),
        (predictions("1111", "abba"), "2 test photos have another label now, such as b/2.jpg"),
        (predictions("1111").replace("sha256", "md5"), "has no column sha256"),
    ],
)
def test_what_cannot_be_compared_is_said(other: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        gate.pair(predictions("1111"), other)


def test_equal_models_fail_in_at_most_five_of_a_hundred_cases_however_many_photos_change() -> None:
    for flips in range(1, 120):
        alarms = sum(
            comb(flips, lost) for lost in range(flips + 1) if paired(200, lost, flips - lost).worse(LIMITS) is not None
        )
        assert alarms / 2**flips <= 0.05


def test_a_model_three_points_worse_on_a_thousand_photos_is_caught_in_most_cases() -> None:
    generator = np.random.default_rng(0)
    lost, gained = generator.binomial(1000, 0.045, 500), generator.binomial(1000, 0.015, 500)
    caught = sum(paired(1000, int(a), int(b)).worse(LIMITS) is not None for a, b in zip(lost, gained, strict=True))
    assert caught / 500 > 0.9


def test_the_interval_of_the_change_is_that_of_drawing_the_photos_again() -> None:
    low, high = paired(200, 12, 4).interval(0.95)
    generator = np.random.default_rng(1)
    draws = generator.multinomial(200, [12 / 200, 4 / 200, 184 / 200], 20_000)
    expected = np.percentile((draws[:, 1] - draws[:, 0]) / 200, [2.5, 97.5])
    np.testing.assert_allclose([low, high], expected, atol=0.006)
    assert paired(200, 0, 0).interval(0.95) == (0.0, 0.0)


def test_losses_are_those_of_the_class_that_each_photo_has() -> None:
    rows = ["path,sha256,label,probability,predicted", "x,1,a,0.25,a", "y,2,b,0.25,a", "z,3,b,0.0,a"]
    np.testing.assert_allclose(read("\n".join(rows)).losses, -np.log([0.75, 0.25, 5e-7]))


def test_losses_of_many_classes_are_those_of_the_true_class() -> None:
    head = "path,sha256,label,probability,predicted,label_probability\n"
    base = head + "a/1.jpg,d1,a,0.5,a,0.5\nb/2.jpg,d2,b,0.7,c,0.2\nc/3.jpg,d3,c,0.9,c,0.9\n"
    new = head + "a/1.jpg,d1,a,0.6,b,0.3\nb/2.jpg,d2,b,0.8,b,0.8\nc/3.jpg,d3,c,1.0,c,1.0\n"
    np.testing.assert_allclose(read(base).losses, -np.log([0.5, 0.2, 0.9]))
    np.testing.assert_allclose(read(new).losses, -np.log([0.3, 0.8, 1.0]), atol=1e-6)
    paired = gate.pair(base, new)
    assert [(flip.path, flip.base, flip.new) for flip in (*paired.lost, *paired.gained)] == [
        ("a/1.jpg", 0.5, 0.3), ("b/2.jpg", 0.2, 0.8)
    ]  # fmt: skip
