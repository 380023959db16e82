"""The linear probe: the optimum that it says it is, chosen as it says, in every process the same bytes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from support.clone import Clone
from threadpoolctl import threadpool_limits

from transfer_learning.network.head import probabilities
from transfer_learning.training import linear_probe
from transfer_learning.training.linear_probe import FOLDS, STEPS, STRENGTHS


def drawn(photos: int, classes: int, channels: int = 12, apart: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of classes that overlap."""
    generator = np.random.default_rng(0)
    labels = np.arange(photos) % classes
    centres = generator.normal(size=(classes, channels)) * apart
    return (centres[labels] + generator.normal(size=(photos, channels))).astype(np.float32), labels


def test_two_classes_are_at_the_minimum_of_the_penalised_cross_entropy() -> None:
    embeddings, labels = drawn(60, 2)
    found = linear_probe.fit(embeddings, labels, seed=0, threads=1)

    def loss(weights: np.ndarray) -> float:
        logits = embeddings.astype(float) @ weights[:-1] + weights[-1]
        penalty = found.strength / 2 * weights[:-1] @ weights[:-1]
        return float(np.mean(np.logaddexp(0, logits) - labels * logits) + penalty)

    best = minimize(loss, np.zeros(13), method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9})
    np.testing.assert_allclose([*found.kernel[:, 0], *found.bias], best.x, atol=1e-2)
    assert (found.kernel.dtype, found.kernel.shape, found.bias.shape) == (np.float32, (12, 1), (1,))


@pytest.mark.parametrize("classes", [2, 4])
def test_the_strength_is_the_one_that_predicts_photos_best_which_a_fit_has_not_seen(classes: int) -> None:
    embeddings, labels = drawn(80, classes, apart=0.4)
    found = linear_probe.fit(embeddings, labels, seed=3, threads=2)
    by_hand = {}
    for strength in STRENGTHS:
        own = np.zeros(80)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=3)
        for others, held_out in folds.split(embeddings, labels):
            model = LogisticRegression(C=1 / (strength * len(others)), max_iter=STEPS)
            model.fit(embeddings[others].astype(float), labels[others])
            said = model.predict_proba(embeddings[held_out].astype(float))
            own[held_out] = said[np.arange(len(held_out)), labels[held_out]].clip(np.finfo(float).eps)
        by_hand[strength] = float(-np.log(own).mean())
    assert found.losses == pytest.approx(by_hand, abs=1e-6)
    assert found.losses[found.strength] == min(found.losses.values())
    assert found.strength > min(STRENGTHS)  # where classes overlap, some penalty helps


def test_no_byte_depends_on_the_threads() -> None:
    """Neither on the fits side by side nor on the threads of a matrix product, which add up in another order."""
    embeddings, labels = drawn(120, 24, channels=1280)  # with three classes OpenBLAS does not divide a sum
    fitted = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads):
            fitted.append(linear_probe.fit(embeddings, labels, seed=0, threads=threads))
    one, *others = fitted
    for other in others:
        assert (other.kernel.tobytes(), other.bias.tobytes(), other.losses) == (
            one.kernel.tobytes(), one.bias.tobytes(), one.losses,
        )  # fmt: skip


@pytest.mark.parametrize("counts", [(1, 1), (1, 5), (2, 2, 1), (1, 40, 3)])
def test_classes_of_one_photo_have_a_probe_too(counts: tuple[int, ...]) -> None:
    embeddings, _ = drawn(sum(counts), len(counts))
    labels = np.repeat(np.arange(len(counts)), counts)
    found = linear_probe.fit(embeddings, labels, seed=0, threads=1)
    said = probabilities(embeddings, found.weights)
    assert said.shape == (len(labels), len(counts))
    assert np.isfinite(said).all()
    assert all(np.isfinite(loss) for loss in found.losses.values())


def test_what_is_measured_is_of_the_weights_as_they_are_kept() -> None:
    embeddings, labels = drawn(90, 3)
    found = linear_probe.fit(embeddings[:60], labels[:60], seed=0, threads=1)
    measured = linear_probe.measure(found, embeddings[60:], labels[60:])
    logits = embeddings[60:].astype(float) @ found.kernel + found.bias
    exact = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert measured["val_accuracy"] == (logits.argmax(axis=1) == labels[60:]).mean()
    assert measured["val_loss"] == pytest.approx(-np.log(exact[np.arange(30), labels[60:]]).mean())
    assert (measured["photos"], measured["strength"]) == (30, found.strength)


def test_the_frozen_phase_may_start_from_it(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path / "clone")
    clone.call("params", "+experiment=demo", "train_frozen.start=probe")
    clone.run("python", "src/train_frozen.py")
    probe = json.loads((clone.folder / "reports/probe/metrics.json").read_text())
    with open(clone.folder / "reports/frozen/history.csv", newline="") as file:
        first = next(csv.DictReader(file))
    assert float(first["val_accuracy"]) == pytest.approx(probe["val_accuracy"], abs=1e-5)
    assert float(first["val_loss"]) == pytest.approx(probe["val_loss"], abs=1e-4)


def test_many_classes_and_photos_take_no_more_than_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = drawn(900, 30, channels=40, apart=3.0)
    monkeypatch.setattr(linear_probe, "BUDGET", 4 * 900 * 40 * 30 * 300)  # 300 steps: a fit of the usual length thrice
    found = linear_probe.fit(embeddings, labels, seed=0, threads=1)
    assert set(found.losses) == set(STRENGTHS[2:5])
    right = probabilities(embeddings, found.weights).argmax(axis=1) == labels
    assert right.mean() > 0.9
    assert found.losses[found.strength] == min(found.losses.values())
