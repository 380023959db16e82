"""The bound of the whole gate: against all tosses of a few photos, and in simulations of equal and of worse models."""

from __future__ import annotations

import importlib.util
import itertools
import sys

import numpy as np
import pytest
from support.clone import ROOT

from transfer_learning.reporting import chance, judgement
from transfer_learning.settings.schema import Gate, Guarded

found = importlib.util.spec_from_file_location("gate_simulation", ROOT / "benchmarks/gate.py")
assert found
assert found.loader
simulation = importlib.util.module_from_spec(found)
sys.modules["gate_simulation"] = simulation  # dataclass looks there
found.loader.exec_module(simulation)

LIMITS = Gate(
    accuracy_tolerance=0.01,
    significance=0.05,
    metrics={
        "finetune/val_accuracy": Guarded(better="higher", tolerance=0.015),
        "test/loss": Guarded(better="lower", tolerance=0.03),
    },
)


def test_the_chance_of_one_sum_counts_the_signs_that_give_as_much() -> None:
    change = np.array([0.5, 0.4, 0.3, 0.2, 0.1, -0.05, 0.02, 0.3, 0.2, 0.6])
    signs = np.array(list(itertools.product([-1, 1], repeat=10)))
    expected = np.mean(signs @ np.abs(change) >= change.sum() - 1e-12)
    assert chance.chances(change[:, None], [1.0])[0] == pytest.approx(expected)
    assert chance.chances(-change[:, None], [1.0])[0] > 0.99


def test_the_chance_of_several_sums_is_that_of_the_rarest_of_them() -> None:
    harms = np.random.default_rng(0).normal(0.3, 1, (9, 3))
    weights = np.array([1.0, 4.0, 2.0])
    signs = np.array(list(itertools.product([-1, 1], repeat=9)))
    sums = signs @ harms
    ranks = weights * (sums[:, None] <= sums[None] + 1e-12).mean(axis=1)
    own = weights * (harms.sum(axis=0) <= sums + 1e-12).mean(axis=0)
    expected = (ranks.min(axis=1)[:, None] <= own + 1e-12).mean(axis=0)
    np.testing.assert_allclose(chance.chances(harms, weights.tolist()), expected)


def test_a_metric_beside_others_is_never_taken_for_rarer_than_alone() -> None:
    harms = np.random.default_rng(1).normal(0.1, 1, (200, 2))
    alone = [chance.chances(harms[:, [column]], [1.0])[0] for column in (0, 1)]
    assert (chance.chances(harms, [1.0, 1.0]) >= np.array(alone) - 1e-12).all()


def test_equal_counts_are_chance_and_a_large_drop_is_not() -> None:
    assert chance.of_counts((784, 800), (784, 800)) > 0.5
    assert chance.of_counts((784, 800), (720, 800)) < 1e-6


@pytest.mark.parametrize("kind", simulation.KINDS)
@pytest.mark.parametrize("photos", simulation.PHOTOS[:2])
def test_equal_models_alarm_the_whole_gate_in_at_most_five_of_a_hundred_pairs(
    kind: str, photos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chance, "GENERATORS", 7)
    pairs = 40
    row = simulation.simulate(kind, photos, 0.0, LIMITS, pairs=pairs)
    most = 0.05 + 3 * (0.05 * 0.95 / pairs) ** 0.5
    assert row["gate"] <= most
    assert row["base_without_validation"] <= most


def test_models_two_points_worse_are_found_more_often_than_by_the_rule_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chance, "GENERATORS", 7)
    rows = [simulation.simulate(kind, 1000, 0.02, LIMITS, pairs=20) for kind in simulation.KINDS]
    assert sum(row["gate"] for row in rows) >= sum(row["before_on_test"] for row in rows)
    assert rows[0]["gate"] > 0.9


def test_validation_of_other_photos_is_judged_by_counts() -> None:
    generator = np.random.default_rng(0)
    kind = simulation.KINDS["close"]
    (a, b), (c, _), (_, d) = (simulation.pair(generator, kind, photos, 0.0) for photos in (50, 60, 40))
    judged = judgement.judge(simulation.state(a, c), simulation.state(b, d), LIMITS)
    assert {one.name: one.how for one in judged} == {
        "test/accuracy": "photo by photo",
        "test/loss": "photo by photo",
        "finetune/val_accuracy": "by counts: no validation photos of both are in git",
    }


def test_a_metric_that_no_photo_gives_has_its_tolerance_alone() -> None:
    generator = np.random.default_rng(0)
    (a, b), (c, d) = (simulation.pair(generator, simulation.KINDS["close"], 50, 0.0) for _ in range(2))
    base, new = simulation.state(a, c), simulation.state(b, d)
    base.metrics["test/f1"], new.metrics["test/f1"] = 0.9, 0.8
    limits = LIMITS.model_copy(update={"metrics": {"test/f1": Guarded(better="higher", tolerance=0.05)}})
    found = {one.name: one for one in judgement.judge(base, new, limits)}["test/f1"]
    assert found.chance is None
    assert "test/f1 is worse by 0.1000, more than the 0.05 allowed" in str(found.reason(0.05))
