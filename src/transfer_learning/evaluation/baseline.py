"""The baseline: what the linear probe makes of the photos, and whether fine-tuning makes more of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from transfer_learning.core import files, weights
from transfer_learning.evaluation import predictions
from transfer_learning.evaluation.predictions import Predictions
from transfer_learning.network import stored
from transfer_learning.network.head import PROBE, PROBE_METRICS, probabilities
from transfer_learning.photos.inventory import Photos

FITTED, TESTED = PROBE_METRICS, Path("reports/probe/test.json")
PREDICTIONS, VALIDATION = Path("reports/probe/predictions.csv"), Path("reports/probe/validation_predictions.csv")
SIGNIFICANCE = 0.05

Both = tuple[Predictions, Predictions]
"""What the trained model and the probe make of the same photos."""


def write(test: Predictions, validation: Predictions, photos: Photos, *, threshold: float) -> str:
    """Write what the probe makes of the test and validation photos, and how the trained model compares with it; returns
    that in words.

    Args:
        test: what the trained model makes of the test photos.
        validation: the same of the validation photos.
        photos: those that were predicted are among them.
        threshold: as for the trained model.
    """
    from transfer_learning.evaluation import metrics  # scikit-learn is for evaluate, not for all who read results

    head = weights.read(PROBE)
    both: list[Both] = []
    for part, path, trained in (("test", PREDICTIONS, test), ("validation", VALIDATION, validation)):
        said = probabilities(stored.embeddings(part), head)
        probe = replace(trained, probabilities=said, predicted=metrics.predict(said, threshold=threshold))
        predictions.write(path, probe, photos)
        both.append((trained, probe))
    measured = measure(both[0], both[1])
    files.write_json(TESTED, measured)
    return verdict(measured)


def measure(test: Both, validation: Both) -> dict[str, object]:
    """What reports/probe/test.json holds: the probe on the test photos, and the trained model against it.

    `gained` are the photos that only the trained model has right, `lost` those that only the probe has, `p_value` is
    McNemar's, of the test photos; `val_...` the same of the validation photos.

    Args:
        test: what the trained model and the probe make of the test photos.
        validation: the same of the validation photos.
    """
    from transfer_learning.evaluation.metrics import mcnemar

    found: dict[str, object] = {}
    for beginning, (trained, probe) in (("", test), ("val_", validation)):
        gained, lost = int((~trained.wrong & probe.wrong).sum()), int((trained.wrong & ~probe.wrong).sum())
        found |= {f"{beginning}gained": gained, f"{beginning}lost": lost}
        found[f"{beginning}p_value"] = mcnemar(lost, gained)
    probe = test[1]
    own = probe.probabilities[np.arange(len(probe.labels)), probe.labels]
    return found | {
        "test_photos": len(probe.labels),
        "test_correct": int((~probe.wrong).sum()),
        "test_accuracy": float((~probe.wrong).mean()),
        "test_loss": float(-np.log(own.clip(np.finfo(np.float64).eps)).mean()),
    }


def in_folder(folder: Path = Path()) -> dict[str, Any]:
    """The probe's metrics by name, of its fit and of the test; empty where the results are of before there was one.

    Args:
        folder: a workspace, or the exported files of a revision.
    """
    paths = [folder / path for path in (FITTED, TESTED)]
    if not all(path.exists() for path in paths):
        return {}
    return {name: value for path in paths for name, value in json.loads(path.read_text()).items()}


def chance(p_value: float) -> str:
    """A p-value of six decimals in words."""
    return f"p = {p_value:.2g}" if p_value else "p < 1e-6"


def verdict(found: dict[str, Any]) -> str:
    """Whether the trained model beats the probe on the test photos, in a line, from what `in_folder` gives."""
    more, photos = found["gained"] - found["lost"], found["test_photos"]
    said = f"{abs(more)} {'more' if more > 0 else 'fewer'}" if more else "as many"
    said += f" right of {photos} test photos, {chance(found['p_value'])}"
    if more > 0 and found["p_value"] < SIGNIFICANCE:
        return f"fine-tuning beats the linear probe: {said}"
    return f"fine-tuning does not beat the linear probe: {said}"
