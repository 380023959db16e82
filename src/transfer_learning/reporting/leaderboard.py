"""The experiments that DVC has, side by side: which settings differ, and what came out."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from transfer_learning.core.errors import UserError
from transfer_learning.evaluation.baseline import FITTED, TESTED, chance
from transfer_learning.evaluation.metrics import wilson_interval
from transfer_learning.experiments import lock, revisions
from transfer_learning.figures import drawing
from transfer_learning.settings import params
from transfer_learning.stage import timing

PHASES = ("frozen", "finetune", "test")
SEED = "seed"
AGAINST = "against the linear probe"
PARTS = {"validation": drawing.VALIDATION, "test": drawing.TRAIN}  # with colours


@dataclass(frozen=True)
class Accuracy:
    """A share of photos in [0, 1], and the interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Trial:
    """One finished experiment.

    Attributes:
        commit: short hash of the commit that it started from.
        settings: flat, `section.key: value`.
        results: every metric of both phases and of the test, as `phase/name`.
        accuracy: by part, after fine-tuning.
        seconds: wall time of the stages that ran for it; None where they did not run on this machine.
        photos: md5 of data/raw; trials on other photos cannot be compared.
    """

    name: str
    commit: str
    settings: dict[str, Any]
    results: dict[str, float]
    accuracy: dict[str, Accuracy]
    seconds: float | None
    photos: str


def read(shown: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> tuple[list[Trial], int]:
    """Read what `dvc exp show --json` prints.

    Args:
        names: of the experiments to read, or patterns such as `best-*`; all by default.

    Returns:
        Finished experiments, then the workspace and its commit where they are none of these: each result once. And how
        many were left out because their results are not those of their settings, or not all there: queued, running and
        failed ones, and commits without a `dvc repro`.

    Raises:
        UserError: a name is of none.
    """
    head = next((str(entry["rev"]) for entry in shown if entry["rev"] != revisions.WORKSPACE), "")
    candidates: list[tuple[str, str, dict[str, Any] | None]] = []
    for entry in shown:
        for experiment in entry["experiments"] or []:
            done = (experiment["executor"] or {}).get("state", "success") == "success"  # not queued, running or failed
            candidates.append((str(experiment["name"]), str(entry["rev"]), experiment["revs"][0] if done else None))
    for entry in shown:
        here = entry["rev"] == revisions.WORKSPACE
        name = revisions.WORKSPACE if here else str(entry["name"] or entry["rev"][:7])
        candidates.append((name, head if here else str(entry["rev"]), entry))
    for pattern in names:
        if not any(fnmatchcase(name, pattern) for name, _, _ in candidates):
            raise UserError(f"no experiment is called {pattern}: `dvc exp show` lists them; --all takes every commit's")
    found: list[Trial] = []
    left_out = 0
    for name, baseline, revision in candidates:
        if names and not any(fnmatchcase(name, pattern) for pattern in names):
            continue
        trial = _trial(name, baseline, revision) if revision else None
        if trial is None:
            left_out += 1
        elif not any((one.settings, one.results) == (trial.settings, trial.results) for one in found):
            found.append(trial)
    return found, left_out


def _trial(name: str, baseline: str, revision: dict[str, Any]) -> Trial | None:
    """A trial from its params and metrics; None where they are not all there or do not belong together."""
    data = revision.get("data") or {}
    files: dict[str, Any] = data.get("metrics") or {}
    metrics = {phase: files.get(f"reports/{phase}/metrics.json", {}).get("data") for phase in PHASES}
    nested = (data.get("params") or {}).get("params.yaml", {}).get("data")
    recorded = _recorded(str(revision["rev"])) if nested and all(metrics.values()) else None
    if recorded is None:
        return None
    flat = params.flatten(nested)
    values: dict[str, Any] = {key: str(one) if isinstance(one, list) else one for key, one in flat.items()}
    tuned, test = metrics["finetune"], metrics["test"]
    probe = [files.get(path.as_posix(), {}).get("data") or {} for path in (FITTED, TESTED)]
    if "photos" not in tuned:  # an early revision of this repository
        return None
    right = round(tuned["val_accuracy"] * tuned["photos"])
    interval = wilson_interval(right, tuned["photos"], confidence=values["evaluate.confidence"])
    whose = timing.ran_for(name, "" if name == revisions.WORKSPACE else baseline)
    return Trial(
        name=name,
        commit=baseline[:7],
        settings=values,
        results={f"{phase}/{key}": value for phase in PHASES for key, value in metrics[phase].items()}
        | {f"probe/{key}": value for one in probe for key, value in one.items()},
        accuracy={
            "validation": Accuracy(tuned["val_accuracy"], *interval),
            "test": Accuracy(test["accuracy"], test["accuracy_low"], test["accuracy_high"]),
        },
        seconds=sum(timing.measured(lock.by_stage(recorded), whose).values()) or None,
        photos=lock.outputs(recorded).get("data/raw", ""),
    )


def _recorded(rev: str) -> lock.Stages | None:
    """The dvc.lock of a revision; None where its results are not those of its settings, as dvc.lock has them."""
    with tempfile.TemporaryDirectory() as aside:
        folder = Path() if rev == revisions.WORKSPACE else Path(aside)
        if rev != revisions.WORKSPACE:
            revisions.export(rev, folder, "params.yaml", "dvc.lock", "reports")
        try:
            return lock.read(folder) if lock.fits(folder) else None
        except UserError:  # a broken dvc.lock of another commit, or no settings: it has no results to show
            return None


def varying(trials: Sequence[Trial]) -> list[str]:
    """The settings that differ among the trials, in the order of params.yaml, the seed last."""
    keys = list(dict.fromkeys(key for trial in trials for key in trial.settings))
    found = [key for key in keys if len({str(trial.settings.get(key)) for trial in trials}) > 1]
    return sorted(found, key=lambda key: key == SEED)


def ranked(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials grouped where nothing but the seed differs; the best mean accuracy on validation comes first.

    Nothing is chosen on the test photos. A lower loss on validation decides between equal accuracies. Trials of one
    seed, of other code or another machine, are kept apart.
    """
    groups: dict[str, list[Trial]] = {}
    met: Counter[str] = Counter()
    for trial in trials:
        rest = sorted((key, str(value)) for key, value in trial.settings.items() if key != SEED)
        same = f"{trial.commit} {rest} {trial.settings[SEED]}"
        groups.setdefault(f"{trial.commit} {rest} {met[same]}", []).append(trial)
        met[same] += 1
    for group in groups.values():
        group.sort(key=lambda trial: int(trial.settings[SEED]))
    return sorted(
        groups.values(),
        key=lambda group: (
            -mean(trial.accuracy["validation"].value for trial in group),
            mean(trial.results["finetune/val_loss"] for trial in group),
        ),
    )


def markdown(
    trials: Sequence[Trial], *, title: str, figure: str, command: str, parts: Sequence[str] = tuple(PARTS)
) -> str:
    """The page with the table of trials on the same photos.

    Args:
        figure: file name of what `draw` draws.
        command: what makes the page.
        parts: of the photos, whose results are shown.
    """
    keys = varying(trials)
    commits = ["commit"] if len({trial.commit for trial in trials}) > 1 else []
    against = [AGAINST] if any("probe/val_gained" in trial.results for trial in trials) else []
    header = ["", "experiment", *commits, *keys, *parts, *against, "time"]
    level, lines = float(trials[0].settings["evaluate.confidence"]), [f"# {title}", ""]
    lines.append(
        f"Best first by accuracy on validation after fine-tuning, with its {level:.0%} interval. Nothing is chosen"
    )
    lines.append("on the test photos. Time is of the stages that ran for it on this machine, and of epochs taken over.")
    if against:
        lines += [
            "\nAgainst the linear probe: how many more validation photos are right than with logistic regression",
            "on the pretrained network's features, and how often equal models differ so much (McNemar's test).",
        ]
    if SEED in keys:
        lines += [
            "",
            "Another seed draws other validation and test photos; ± is the standard deviation over seeds, in points.",
        ]
    lines += ["", f"| {' | '.join(header)} |", f"|--:|:--|{'--:|' * (len(header) - 2)}"]
    for place, group in enumerate(ranked(trials), start=1):
        rows = [_cells(trial, keys, commits, parts, against) for trial in group]
        if len(group) > 1:
            spread = [_spread([trial.accuracy[part].value for trial in group]) for part in parts]
            same = [shown_as(group[0].settings.get(key)) if key != SEED else f"{len(group)} seeds" for key in keys]
            rows.insert(
                0, ["**mean**", *([group[0].commit] if commits else []), *same, *spread, *("" for _ in against), ""]
            )
        for number, cells in enumerate(rows):
            lines.append(f"| {'' if number else place} | {' | '.join(cells)} |")
    if keys:
        lines += ["", f"![Accuracy against each setting that varies]({figure})"]
    return "\n".join([*lines, "", "Made by", "", f"    {command}"]) + "\n"


def _cells(
    trial: Trial, keys: Sequence[str], commits: Sequence[str], parts: Sequence[str], against: Sequence[str]
) -> list[str]:
    shown = [trial.accuracy[part] for part in parts]
    accuracy = [f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})" for one in shown]
    settings = [shown_as(trial.settings.get(key)) for key in keys]
    time = f"{trial.seconds:.0f} s" if trial.seconds else ""
    return [
        trial.name,
        *([trial.commit] if commits else []),
        *settings,
        *accuracy,
        *(_against(trial) for _ in against),
        time,
    ]


def _against(trial: Trial) -> str:
    found = trial.results
    if "probe/val_gained" not in found:
        return ""
    more = int(found["probe/val_gained"] - found["probe/val_lost"])
    return f"{more:+d} of {found['finetune/photos']:.0f}, {chance(found['probe/val_p_value'])}"


def _spread(values: Sequence[float]) -> str:
    return f"**{mean(values):.1%} ± {stdev(values) * 100:.1f}**"


def shown_as(value: Any) -> str:
    return "" if value is None else str(value)
