"""What in a state contradicts itself: all that predictions and histories can give is computed from them again."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from transfer_learning.core import history
from transfer_learning.evaluation import metrics
from transfer_learning.evaluation.calibration import COLDEST, HOTTEST
from transfer_learning.evaluation.predictions import Table
from transfer_learning.experiments import lock
from transfer_learning.reporting import uncalibrated
from transfer_learning.reporting.state import PER_CLASS, State
from transfer_learning.reporting.uncalibrated import NEAR
from transfer_learning.settings import params

Bounds = tuple[float, float]
WRITTEN = 1.1e-6  # two numbers at six decimals may differ by so much
APART = 0.02  # in probability, what evaluate allows between the whole model and what training measured
LEAST = float(np.finfo(np.float64).eps)  # log_loss takes it for 0
SECTION = {"frozen": "train_frozen", "finetune": "finetune"}  # of a phase: its settings, its stage


def of(state: State) -> list[str]:
    """What in a state is not of its settings and dvc.lock, or not what its own files give; in words for people.

    Raises:
        UserError: a file of it is broken.
    """
    if not lock.fits(state.folder, state.label):
        return [f"the results of {state.label} are not those of its params.yaml and dvc.lock: `dvc repro`, then commit"]
    values = params.read_yaml(state.folder / "params.yaml")
    options = values["evaluate"]
    bounds = {f"test/{name}": both for name, both in of_predictions(state.test, options).items()}
    temperature = temperature_of(state)
    bounds |= {f"test/{name}": both for name, both in of_calibration(state, temperature, options).items()}
    for phase, stage in SECTION.items():
        bounds |= {f"{phase}/{name}": both for name, both in of_history(state.histories[stage], values[stage]).items()}
    if state.validation:
        for phase in SECTION:
            bounds[f"{phase}/photos"] = (len(state.validation.keys),) * 2
    found = [
        f"{state.label} has a {name} of {state.metrics[name]:.6g}, but {_in_words(low, high)} by "
        f"{'its predictions' if name.startswith('test/') else 'its history or validation photos'}: `dvc repro`"
        for name, (low, high) in bounds.items()
        if name in state.metrics and not low - WRITTEN <= state.metrics[name] <= high + WRITTEN
    ]
    found += [f"{state.label}: {problem}: `dvc repro`" for problem in _elsewhere(state, values)]
    return found


def temperature_of(state: State) -> float:
    """What the logits of a state's model were divided by: 1 before there was calibration, and where what it says cannot
    be, which `of` reports."""
    temperature = state.metrics.get("test/temperature", 1.0)
    return temperature if COLDEST <= temperature <= HOTTEST else 1.0


def _in_words(low: float, high: float) -> str:
    return f"{low:.6g}" if high - low < WRITTEN else f"{low:.6g} to {high:.6g}"


def _elsewhere(state: State, values: dict[str, Any]) -> list[str]:
    """What contradicts itself beside metrics.json: predicted classes, per_class.csv, epochs, validation."""
    threshold = values["evaluate"]["threshold"]
    found = [
        f"{name} has {wrong} photos whose predicted class is not that of their probability"
        for name, table in (("predictions.csv", state.test), ("validation_predictions.csv", state.validation))
        if table and (wrong := against_threshold(table, threshold))
    ]
    if (state.folder / PER_CLASS).exists() and not _per_class_fits(state):
        found.append(f"{PER_CLASS} is not what its predictions give")
    found += epochs(state.histories, values)
    last = {name: state.metrics.get(f"finetune/{name}") for name in ("val_accuracy", "val_loss")}
    if state.validation and state.validation.classes != state.test.classes:
        found.append("its validation photos have other classes than its test photos")
    elif state.validation:
        measured = of_validation(state.validation, temperature_of(state))
        for name, (low, high) in measured.items():
            value = last[name]
            if value is not None and not low - WRITTEN <= value <= high + WRITTEN:
                found.append(f"finetune/{name} is {value:.6g}, but {_in_words(low, high)} by its validation photos")
    return found


def of_predictions(table: Table, options: dict[str, Any]) -> dict[str, Bounds]:
    """What predictions.csv gives of the metrics of the test, as the bounds that its six decimals leave.

    Of more than two classes it holds two of the probabilities: ROC AUC and the five most probable have no closer
    bounds than [0, 1].

    Args:
        options: the settings of evaluate.
    """
    photos, classes, two = len(table.keys), len(table.classes), len(table.classes) == 2
    exact = metrics.of_classes(table.labels, table.predicted, classes=classes, confidence=options["confidence"])
    found: dict[str, Bounds] = {name: (value, value) for name, value in exact.items()}
    found |= {"photos": (photos,) * 2, "correct": (int((table.labels == table.predicted).sum()),) * 2}
    found["loss"] = _losses(table.own, NEAR)
    true, close = table.labels if two else (table.labels == table.predicted).astype(int), np.full(photos, NEAR)
    found["calibration_error"] = _calibration_errors(true, table.said, close, bins=options["calibration_bins"])
    if reject := options.get("reject_below", 0):
        found |= _of_the_sure(table, reject)
    found |= {"roc_auc": (0.0, 1.0), f"top_{metrics.TOP}_accuracy": (0.0, 1.0)}
    if two:
        positive, negative = (np.unique(table.said[table.labels == label], return_counts=True) for label in (1, 0))
        _, first, second = np.intersect1d(positive[0], negative[0], return_indices=True)
        ties = (positive[1][first] * negative[1][second]).sum() / (positive[1].sum() * negative[1].sum())
        area = float(roc_auc_score(table.labels, table.said))
        found["roc_auc"] = (area - ties / 2, area + ties / 2)  # what is equal at six decimals was in either order
    return found


def of_calibration(state: State, temperature: float, options: dict[str, Any]) -> dict[str, Bounds]:
    """What the predictions give of the temperature and of the metrics before calibration.

    Args:
        temperature: what the state says that it is.
        options: the settings of evaluate.
    """
    if not options.get("temperature_scaling"):
        return {"temperature": (1.0, 1.0)}
    table = state.test
    found = {"temperature": uncalibrated.temperatures(state.validation), "calibration_error_uncalibrated": (0.0, 1.0)}
    found["loss_uncalibrated"] = _losses_between(*uncalibrated.own_before(table, temperature))
    if len(table.classes) == 2:
        said, low, high = (uncalibrated.before(table.said + apart, temperature) for apart in (0, -NEAR, NEAR))
        close, bins = np.maximum(high - said, said - low) + NEAR, options["calibration_bins"]
        found["calibration_error_uncalibrated"] = _calibration_errors(table.labels, said, close, bins=bins)
    return found


def _calibration_errors(true: np.ndarray, said: np.ndarray, close: np.ndarray, *, bins: int) -> Bounds:
    """The least and the highest calibration error of probabilities (n,) that are so close, (n,), to the given ones."""
    error, edges = metrics.calibration_error(true, said, bins=bins), said * bins
    inner = (np.round(edges) > 0) & (np.round(edges) < bins)
    moved = int((inner & (abs(edges - np.round(edges)) < bins * close)).sum())  # to another bin, by rounding
    apart = float(close.mean()) + 2 * moved / len(said)
    return error - apart, error + apart


def _of_the_sure(table: Table, reject_below: float) -> dict[str, Bounds]:
    """What predictions give of the metrics of those that are not unsure."""
    sure_of = np.where(table.predicted == 0, 1 - table.said, table.said) if len(table.classes) == 2 else table.said
    doubt = abs(sure_of - reject_below) < NEAR
    sure, right = (sure_of >= reject_below) & ~doubt, table.labels == table.predicted
    kept, good = int(sure.sum()), int((sure & right).sum())
    maybe_good, maybe_bad = int((doubt & right).sum()), int((doubt & ~right).sum())
    rejected = len(right) - kept
    found: dict[str, Bounds] = {"rejected": ((rejected - maybe_good - maybe_bad) / len(right), rejected / len(right))}
    low, high = good / max(kept + maybe_bad, 1), (good + maybe_good) / max(kept + maybe_good, 1)
    return found | {"selective_accuracy": (low, high)}


def _losses(own: np.ndarray, apart: float) -> Bounds:
    """The least and the highest mean cross-entropy of probabilities (n,) that are so far from the given ones."""
    return _losses_between(own - apart, own + apart)


def _losses_between(low: np.ndarray, high: np.ndarray) -> Bounds:
    """The least and the highest mean cross-entropy of probabilities (n,) between these."""
    return float(-np.log(high.clip(max=1)).mean()), float(-np.log(low.clip(LEAST)).mean())


def against_threshold(table: Table, threshold: float) -> int:
    """Number of photos, of two classes, whose predicted one is not what the threshold makes of their probability."""
    if len(table.classes) != 2:
        return 0
    return int((((table.said >= threshold) != table.predicted) & (abs(table.said - threshold) > NEAR)).sum())


def of_validation(table: Table, temperature: float) -> dict[str, Bounds]:
    """What the whole model makes of the validation photos, as bounds: training measured its parts, slightly apart, and
    before calibration, which a temperature below 1 moves further apart."""
    right, apart = right_in_training(table), APART / min(temperature, 1)
    best = np.where(table.labels == table.predicted, table.own, table.said)
    # of two classes both follow from one; of more, a third class may be as close
    near = abs(table.own - 0.5) < apart if len(table.classes) == 2 else abs(2 * best - 1) < 4 * apart
    if len(table.classes) > 2:
        near |= np.where(right, best < 0.5 + apart, best - table.own < 2 * apart)
    doubt, share = near.mean(), right.mean()
    low, high = uncalibrated.own_before(table, temperature)
    return {"val_accuracy": (share - doubt, share + doubt), "val_loss": _losses_between(low - APART, high + APART)}


def right_in_training(table: Table) -> np.ndarray:
    """(n,) whether training counts a photo as right: of two classes from 0.5 on, whatever evaluate.threshold is."""
    return table.own > 0.5 if len(table.classes) == 2 else table.labels == table.predicted


def of_history(rows: list[history.Row], phase: dict[str, Any]) -> dict[str, Bounds]:
    """The metrics of a training phase: those of its last epoch, or of its best one with early stopping.

    Args:
        phase: its settings.
    """
    row = history.best(rows, phase.get("monitor", "loss")) if phase.get("early_stopping") else rows[-1]
    best = {"best_epoch": (row["epoch"], row["epoch"])} if phase.get("early_stopping") else {}
    return {name: (row[name], row[name]) for name in history.COLUMNS if name != "epoch"} | best


def epochs(histories: dict[str, list[history.Row]], values: dict[str, Any]) -> list[str]:
    """What no training could have written into the histories: numbers of epochs, accuracies and losses."""
    found, last = [], None
    for stage in history.HISTORIES:
        rows, phase = histories[stage], values[stage]
        numbers = [row["epoch"] for row in rows]
        first = (last or 0) + 1
        before = numbers[0] == first - 1 and (last is None or phase.get("early_stopping"))  # what the phase starts from
        start = first - bool(before)
        planned = phase.get("stop_after") or sum(step["epochs"] for step in phase.get("steps") or [phase])
        trained = len(numbers) - bool(before)
        complete = trained <= planned if phase.get("early_stopping") else trained == planned
        if numbers != list(range(int(start), int(start) + len(rows))) or not complete:
            found.append(f"{history.HISTORIES[stage]} has not the epochs of its settings, {planned} from {first} on")
        accuracies = [row[name] for row in rows for name in ("accuracy", "val_accuracy")]
        losses = [row[name] for row in rows for name in ("loss", "val_loss")]
        if not all(0 <= value <= 1 for value in accuracies) or min(losses) < 0:
            found.append(f"{history.HISTORIES[stage]} has an accuracy or a loss that cannot be")
        last = numbers[-1]
    return found


def _per_class_fits(state: State) -> bool:
    expected = metrics.per_class(state.test.labels, state.test.predicted, state.test.classes)
    try:
        with open(state.folder / PER_CLASS, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        written = [[float(row[name]) for name in list(expected)[1:]] for row in rows]
        names = [row["class"] for row in rows]
    except (OSError, ValueError, TypeError, KeyError, csv.Error):
        return False
    values = expected.iloc[:, 1:].to_numpy(float)
    return names == list(state.test.classes) and bool(np.allclose(written, values, rtol=0, atol=WRITTEN))
