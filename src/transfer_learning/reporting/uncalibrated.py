"""What a model said before calibration, from what it says now and the temperature, as the bounds that the files in git
leave: one or two probabilities a photo, at six decimals."""

from __future__ import annotations

import numpy as np

from transfer_learning.evaluation.calibration import COLDEST, HOTTEST, SPREAD
from transfer_learning.evaluation.predictions import ROUNDING, Table

NEAR = 1.2 * ROUNDING  # of a probability, float32 included


def before(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (n,) of one of two classes before their logits were divided by the temperature."""
    said = probability.clip(0, 1)
    power = said**temperature
    return np.asarray(power / (power + (1 - said) ** temperature))


def own_before(table: Table, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """The least and the highest probability (n,) of the true class before calibration.

    Of more than two classes the file has no others than the true and the predicted one. Each of the others has at
    most as much as the predicted one, and together they have the rest: the sum of their powers is between those of the
    rest shared evenly and of the rest in as few as can hold it.
    """
    if len(table.classes) == 2:
        return before(table.own - NEAR, temperature), before(table.own + NEAR, temperature)
    right = table.labels == table.predicted
    others = len(table.classes) - 2 + right
    rest = 1 - table.said - np.where(right, 0, table.own)
    bests = [(table.said + apart).clip(NEAR, 1) for apart in (-NEAR, NEAR)]
    sides = []
    for sign, extreme in ((-1, np.maximum), (1, np.minimum)):
        left = (rest - sign * 2 * NEAR).clip(0, 1)
        few = extreme(*(left * best ** (temperature - 1) for best in bests))
        shared = extreme(few, others * (left / others) ** temperature)
        own = (table.own + sign * NEAR).clip(0, 1) ** temperature
        best = np.where(right, 0, bests[0 if sign > 0 else 1] ** temperature)
        sides.append(own / (own + best + shared).clip(np.finfo(float).tiny))
    return sides[0], sides[1]


def temperatures(validation: Table | None) -> tuple[float, float]:
    """The least and the highest temperature that fits the validation photos, as `calibration.fit` chooses it.

    Of two classes it follows from the calibrated probabilities alone: at its optimum the prior's slope, log T / SPREAD
    squared, is the likelihood's, the sum of (p - y) z over photos with probability p, logit z and label y.
    """
    if validation is None or len(validation.classes) != 2:
        return COLDEST, HOTTEST
    slopes = []
    for apart in (-NEAR, 0, NEAR):
        said = (validation.said + apart).clip(np.finfo(float).eps, 1 - np.finfo(float).eps)
        slopes.append((said - validation.labels) * np.log(said / (1 - said)))
    low, high = (SPREAD**2 * float(of(slopes, axis=0).sum()) for of in (np.min, np.max))
    cold, hot = (float(np.exp(bound).clip(COLDEST, HOTTEST)) for bound in (low, high))
    return cold, hot
