"""The linear probe: logistic regression on embeddings, the baseline that fine-tuning has to beat."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from transfer_learning.core.weights import Weights
from transfer_learning.network.head import HEAD, probabilities

# Of the L2 penalty against the mean cross-entropy: the same for any number of photos.
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5
STEPS = 500  # of L-BFGS at most
BUDGET = 2e12  # operations to choose the strength, and to fit with it: a minute of a core
USUAL_STEPS = 100  # that a fit takes


@dataclass(frozen=True)
class Probe:
    """A linear probe.

    Attributes:
        kernel: (channels, logits) float32.
        bias: (logits,) float32.
        strength: one of STRENGTHS.
        losses: by strength, cross-entropy of training photos whose probabilities come from the others.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    losses: dict[float, float]

    @property
    def weights(self) -> Weights:
        """As the file of the frozen phase holds them."""
        return {HEAD: [self.kernel, self.bias]}


def fit(embeddings: np.ndarray, labels: np.ndarray, *, seed: int, threads: int) -> Probe:
    """Fit a probe, with the strength of its penalty that predicts training photos best which it was not fitted to.

    Where many classes and photos would take longer than a minute of a core, it is chosen by fewer strengths, folds and
    photos, and the last fit takes fewer steps.

    Args:
        embeddings: (n, channels) of the training photos.
        labels: (n,) indices, every class present.
        seed: of the folds.
        threads: fits side by side; no byte depends on it.
    """
    a_step = 4 * embeddings.size * len(np.unique(labels))
    few = a_step * USUAL_STEPS * FOLDS * len(STRENGTHS) > BUDGET  # many classes, many photos: it is chosen by less
    strengths, folds = (STRENGTHS[2:5], 2) if few else (STRENGTHS, FOLDS)
    share = min(1.0, BUDGET / (a_step * USUAL_STEPS * folds * len(strengths)))
    some = np.sort(np.random.default_rng(seed).permutation(len(labels))[: max(int(share * len(labels)), 2)])
    with threadpool_limits(1), _unconverged():  # the order in which a matrix product adds up depends on its threads
        found = out_of_fold(embeddings[some], labels[some], strengths, seed=seed, threads=threads, most_folds=folds)
        losses = {
            strength: float(log_loss(labels[some], one, labels=range(one.shape[1])))
            for strength, one in zip(strengths, found, strict=True)
        }
        strength = min(losses, key=lambda one: losses[one])
        model = _fitted(embeddings, labels, strength, steps=int(np.clip(BUDGET / a_step, 20, STEPS)))
    return Probe(model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32), strength, losses)


def measure(probe: Probe, embeddings: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """What reports/probe/metrics.json holds: of the validation photos, as for a phase of training, and of the choice.

    Args:
        embeddings: (n, channels) of the validation photos.
        labels: (n,) their indices.
    """
    found = probabilities(embeddings.astype(np.float64), probe.weights)
    return {
        "photos": len(labels),
        "val_accuracy": float((found.argmax(axis=1) == labels).mean()),
        "val_loss": float(log_loss(labels, found, labels=range(found.shape[1]))),
        "strength": probe.strength,
        "out_of_fold_loss": probe.losses[probe.strength],
    }


def out_of_fold(
    embeddings: np.ndarray,
    labels: np.ndarray,
    strengths: Sequence[float],
    *,
    seed: int,
    threads: int,
    most_folds: int = FOLDS,
) -> list[np.ndarray]:
    """Probabilities (n, classes) of each photo from probes that were fitted to the others, by strength."""
    classes = int(labels.max()) + 1
    smallest = int(np.bincount(labels).min())
    folds = (
        StratifiedKFold(min(smallest, most_folds), shuffle=True, random_state=seed)
        if smallest > 1
        else KFold(min(len(labels), most_folds), shuffle=True, random_state=seed)
    )
    found = [np.zeros((len(labels), classes)) for _ in strengths]

    def predict(task: tuple[int, tuple[np.ndarray, np.ndarray]]) -> None:
        number, (others, own) = task
        if len(there := np.unique(labels[others])) == 1:
            found[number][own, there] = 1.0
            return
        model = _fitted(embeddings[others], labels[others], strengths[number])
        found[number][np.ix_(own, there)] = model.predict_proba(embeddings[own])

    with threadpool_limits(1), _unconverged(), ThreadPoolExecutor(threads) as pool:
        list(pool.map(predict, product(range(len(strengths)), folds.split(embeddings, labels))))
    return found


def _fitted(embeddings: np.ndarray, labels: np.ndarray, strength: float, steps: int = STEPS) -> LogisticRegression:
    model = LogisticRegression(C=1 / (strength * len(labels)), max_iter=steps)
    return model.fit(embeddings.astype(np.float64), labels)


@contextmanager
def _unconverged() -> Iterator[None]:
    """Take fits as they are after their last step: a strength that has no minimum in reach shows in its loss. Nor is a
    class with a photo or two a mistake."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
        yield
