"""Two states of the repository side by side: their results, what they follow from, and whether one is a regression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transfer_learning.experiments import lock
from transfer_learning.reporting import contradictions, gate, judgement
from transfer_learning.reporting.judgement import ACCURACY
from transfer_learning.reporting.state import State
from transfer_learning.settings import schema

FINE, REGRESSION = "fine", "regression"
# verdicts of what cannot be compared
MISSING_METRIC, OTHER_RESULTS = "missing metric", "other results"
TEST_SET_CHANGED, OTHER_PHOTOS = "test set changed", "other photos"
SMALLER_IS_BETTER = ("loss", "calibration_error", "loss_uncalibrated", "calibration_error_uncalibrated")
# counts and choices: more is neither better nor worse
NEUTRAL = (
    "photos", "correct", "trainable_parameters", "best_epoch", "strength", "gained", "lost", "p_value", "temperature",
    "rejected",
)  # fmt: skip
OF_PART = ("val_", "test_", "out_of_fold_")  # begin the names of metrics


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
        judged: every guarded metric that both have; empty where nothing can be judged.
    """

    base: State
    new: State
    metrics: list[Metric]
    settings: list[tuple[str, Any, Any]]
    stages: list[lock.Difference]
    paired: gate.Paired | None = None
    interval: tuple[float, float] | None = None
    judged: list[judgement.Judged] = field(default_factory=list)
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
        settings=lock.unequal(base.settings, new.settings),
        stages=lock.differences(base.recorded, new.recorded),
    )
    for state in (base, new):
        found.problems += [(OTHER_RESULTS, problem) for problem in contradictions.of(state)]
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
        elif reproduced and (reason := _apart(metric, found)):
            found.problems.append((REGRESSION, reason))
    if found.paired and not reproduced:
        found.judged = judgement.judge(base, new, limits)
        reasons = (one.reason(limits.significance) for one in found.judged)
        found.problems += [(REGRESSION, reason) for reason in reasons if reason]
    return found


def _metrics(base: State, new: State, limits: schema.Gate) -> list[Metric]:
    """All metrics of both, ends of intervals left out; the accuracy on the test photos has its own judgement."""
    tolerances = {name: guarded.tolerance for name, guarded in limits.metrics.items()}
    names = dict.fromkeys([*base.metrics, *new.metrics, *tolerances, ACCURACY])
    found = []
    for name in names:
        kind = name.partition("/")[2]
        kind = next((kind.removeprefix(one) for one in OF_PART if kind.startswith(one)), kind)
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
