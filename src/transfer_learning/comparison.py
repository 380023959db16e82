"""Two states of the repository side by side: their results, what they follow from, and whether one is a regression."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from transfer_learning import contents, environment, gate, lockfiles, predictions, schema, settings
from transfer_learning.errors import UserError
from transfer_learning.history import HISTORIES

PHASES = ("frozen", "finetune", "test")
ACCURACY, LOSS = "test/accuracy", "test/loss"
FILES = ("params.yaml", "dvc.yaml", "dvc.lock", "reports")  # of a state, all of them in git
FINE, REGRESSION = "fine", "regression"
# verdicts of what cannot be compared
MISSING_METRIC, OTHER_RESULTS = "missing metric", "other results"
TEST_SET_CHANGED, OTHER_PHOTOS = "test set changed", "other photos"
SMALLER_IS_BETTER = ("loss", "calibration_error")
NEUTRAL = ("photos", "correct", "trainable_parameters", "best_epoch")  # counts: more is neither better nor worse


@dataclass(frozen=True)
class State:
    """The workspace, or a revision exported into a folder.

    Attributes:
        label: what people call it.
        metrics: every metric as `phase/name`.
        settings: flat.
        predictions: text of predictions.csv.
    """

    label: str
    folder: Path
    metrics: dict[str, float]
    settings: dict[str, Any]
    lock: lockfiles.Lock
    facts: lockfiles.Facts
    predictions: str


@dataclass(frozen=True)
class Metric:
    """One metric of both states; None where a state lacks it. `tolerance` is None where nothing guards it."""

    name: str
    base: float | None
    new: float | None
    better: str | None
    tolerance: float | None

    @property
    def change(self) -> float | None:
        """New less base."""
        return None if self.base is None or self.new is None else self.new - self.base

    @property
    def gain(self) -> float | None:
        """The change, positive where it is for the better; None where that has no meaning."""
        if self.change is None or self.better is None:
            return None
        return self.change if self.better == "higher" else -self.change


@dataclass
class Comparison:
    """What differs between two states, and the verdict with its reasons.

    Attributes:
        paired: the test photos one by one; None where they are not the same photos.
        interval: of the change of the test accuracy.
    """

    base: State
    new: State
    metrics: list[Metric]
    settings: list[tuple[str, Any, Any]]
    stages: list[lockfiles.Difference]
    paired: gate.Paired | None = None
    interval: tuple[float, float] | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)  # verdict and message

    @property
    def verdict(self) -> str:
        """`fine`, `regression`, or why the two cannot be compared, which goes before."""
        verdicts = [verdict for verdict, _ in self.problems]
        return next((one for one in verdicts if one != REGRESSION), verdicts[0] if verdicts else FINE)

    @property
    def exit_code(self) -> int:
        """0 fine, 1 regression, 2 cannot compare."""
        return {FINE: 0, REGRESSION: 1}.get(self.verdict, 2)


def read(folder: Path, label: str) -> State:
    """Read a state of the repository.

    Raises:
        UserError: files are missing or unreadable; says which and what to do.
    """
    for path in ("params.yaml", "dvc.lock", predictions.PATH.as_posix(), *HISTORIES.values()):
        if not (folder / path).exists():
            raise UserError(
                f"{label} has no {path}: it has no results yet, or another layout; choose a later revision, or run "
                "`dvc repro` there and commit"
            )
    metrics: dict[str, float] = {}
    for phase in PHASES:
        measured = folder / f"reports/{phase}/metrics.json"
        if measured.exists():  # what a missing one means is for the verdict
            metrics |= {f"{phase}/{name}": value for name, value in _numbers(measured, label).items()}
    try:
        lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    except (yaml.YAMLError, TypeError, KeyError):
        raise UserError(
            f"dvc.lock of {label} cannot be read: `git checkout` or `dvc repro` brings a whole one"
        ) from None
    facts = environment.read(folder / environment.FILE)
    text = (folder / predictions.PATH).read_text()
    try:
        predictions.read(text)
    except UserError as error:
        raise UserError(f"{label}: {error}, or choose a later revision") from None
    return State(label, folder, metrics, settings.flat(folder), lock, facts, text)


def _numbers(path: Path, label: str) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in dict(json.loads(path.read_text())).items()}
    except (TypeError, ValueError):
        raise UserError(
            f"{path.name} of {label} cannot be read: `git checkout` or `dvc repro` brings a whole one"
        ) from None


def limits_of(base: State, new: State) -> schema.Gate:
    """What counts as worse: by the base's settings, so that a change cannot loosen it for itself; the new ones where
    the base has none yet or of another version."""
    try:
        return schema.Gate.model_validate(settings.read_yaml(base.folder / "params.yaml").get("gate"))
    except ValidationError:
        return settings.check(settings.read_yaml(new.folder / "params.yaml")).gate


def compare(base: State, new: State, limits: schema.Gate, *, reproduced: bool = False) -> Comparison:
    """Compare two states and judge the new one.

    Args:
        limits: what counts as worse.
        reproduced: judge whether the new one has the results of the base: too good is as wrong as too bad.
    """
    found = Comparison(
        base,
        new,
        metrics=_metrics(base, new, limits),
        settings=lockfiles.unequal(base.settings, new.settings),
        stages=lockfiles.differences(base.lock, new.lock, base.facts, new.facts),
    )
    for state in (base, new):
        found.problems += [(OTHER_RESULTS, problem) for problem in _strangers(state)]
    try:
        found.paired = gate.pair(base.predictions, new.predictions)
        found.interval = found.paired.interval(1 - limits.significance)
    except gate.OtherPhotosError as error:
        same_split = not any("data/split.csv" in one.outputs for one in found.stages)
        found.problems.append((OTHER_PHOTOS if same_split else TEST_SET_CHANGED, str(error)))
    for metric in found.metrics:
        missing = [state.label for state, value in ((base, metric.base), (new, metric.new)) if value is None]
        if metric.tolerance is None:
            continue
        if missing:
            text = f"{missing[0]} has no {metric.name}, which gate guards: `dvc repro` measures it"
            found.problems.append((MISSING_METRIC, text))
        elif reason := _apart(metric, found) if reproduced else _worse(metric, found, limits):
            found.problems.append((REGRESSION, reason))
    return found


def _metrics(base: State, new: State, limits: schema.Gate) -> list[Metric]:
    """All metrics of both, ends of intervals left out; the accuracy on the test photos has its own judgement."""
    tolerances = {name: guarded.tolerance for name, guarded in limits.metrics.items()}
    names = dict.fromkeys([*base.metrics, *new.metrics, *tolerances, ACCURACY])
    found = []
    for name in names:
        kind = name.partition("/")[2].removeprefix("val_")
        better = None if kind in NEUTRAL else "lower" if kind in SMALLER_IS_BETTER else "higher"
        if name in limits.metrics:
            better = limits.metrics[name].better
        if not name.endswith(("_low", "_high")):
            tolerance = limits.accuracy_tolerance if name == ACCURACY else tolerances.get(name)
            found.append(Metric(name, base.metrics.get(name), new.metrics.get(name), better, tolerance))
    return found


def _apart(metric: Metric, found: Comparison) -> str | None:
    """Why a guarded metric is not the same result again; None if it is."""
    assert metric.change is not None
    assert metric.tolerance is not None
    if abs(metric.change) <= metric.tolerance + 1e-9:
        return None
    text = f"{metric.name} is {metric.base:.4f} in {found.base.label} and {metric.new:.4f} in {found.new.label}"
    return f"{text}: more than {metric.tolerance:g} apart"


def _worse(metric: Metric, found: Comparison, limits: schema.Gate) -> str | None:
    """Why a guarded metric counts as worse; None if it does not. What was measured on the test photos is paired."""
    assert metric.gain is not None
    assert metric.tolerance is not None
    if metric.name == ACCURACY:
        return found.paired.worse(limits) if found.paired else None
    if metric.gain >= -metric.tolerance - 1e-9:
        return None
    text = f"{metric.name} is worse by {-metric.gain:.4f}, more than the {metric.tolerance:g} allowed"
    if metric.name == LOSS and found.paired:
        chance = gate.p_of_loss(*gate.losses(found.base.predictions, found.new.predictions))
        return f"{text} (by chance in {chance:.2g})" if chance < limits.significance else None
    return text


def _strangers(state: State) -> list[str]:
    """What in a state is not of its settings and dvc.lock, or contradicts itself."""
    if not contents.fits_lock(state.folder):
        return [f"the results of {state.label} are not those of its params.yaml and dvc.lock: `dvc repro`, then commit"]
    rows = predictions.read(state.predictions).values()
    right = sum(map(predictions.right, rows)) / len(rows)
    said = state.metrics.get(ACCURACY)
    if said is not None and abs(said - right) > 1e-6:
        return [f"{state.label} has a {ACCURACY} of {said:.4f}, but {right:.4f} by its predictions: `dvc repro`"]
    return []
