"""The experiments that DVC has, side by side: which settings differ, and what came out."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.ticker import PercentFormatter

from transfer_learning import contents, figures, revisions, settings, stage
from transfer_learning.evaluation import wilson_interval

PHASES = ("frozen", "finetune", "test")
SEED = "seed"
PANELS = 4  # of the figure beside each other
PARTS = {"validation": figures.VALIDATION, "test": figures.TRAIN}  # with colours


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


def read(shown: Sequence[dict[str, Any]]) -> tuple[list[Trial], int]:
    """Read what `dvc exp show --json` prints.

    Returns:
        Finished experiments, then the workspace and its commit where they are none of these: each result once. And how
        many were left out because their results are not those of their settings, or not all there: queued, running and
        failed ones, and commits without a `dvc repro`.
    """
    head = next((str(entry["rev"]) for entry in shown if entry["rev"] != revisions.WORKSPACE), "")
    candidates = [
        (experiment["name"], str(entry["rev"]), experiment["revs"][0])
        for entry in shown
        for experiment in entry["experiments"] or []
        if (experiment["executor"] or {}).get("state", "success") == "success"  # not queued, running or failed
    ]
    for entry in shown:
        if entry["rev"] == revisions.WORKSPACE:
            candidates.append((revisions.WORKSPACE, head, entry))
        else:
            candidates.append((str(entry["name"] or entry["rev"][:7]), str(entry["rev"]), entry))
    found: list[Trial] = []
    left_out = sum(len(entry["experiments"] or []) for entry in shown) + len(shown) - len(candidates)
    for name, baseline, revision in candidates:
        trial = _trial(str(name), baseline, revision)
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
    photos = _photos(str(revision["rev"])) if nested and all(metrics.values()) else None
    if photos is None:
        return None
    flat = settings.flatten(nested)
    values: dict[str, Any] = {key: str(one) if isinstance(one, list) else one for key, one in flat.items()}
    tuned, test = metrics["finetune"], metrics["test"]
    if "photos" not in tuned:  # an early revision of this repository
        return None
    right = round(tuned["val_accuracy"] * tuned["photos"])
    interval = wilson_interval(right, tuned["photos"], confidence=values["evaluate.confidence"])
    return Trial(
        name=name,
        commit=baseline[:7],
        settings=values,
        results={f"{phase}/{key}": value for phase in PHASES for key, value in metrics[phase].items()},
        accuracy={
            "validation": Accuracy(tuned["val_accuracy"], *interval),
            "test": Accuracy(test["accuracy"], test["accuracy_low"], test["accuracy_high"]),
        },
        seconds=sum(stage.read_seconds(stage.seconds_file(name, baseline)).values()) or None,
        photos=photos,
    )


def _photos(rev: str) -> str | None:
    """md5 of the photos of a revision; None where its results are not those of its settings, as dvc.lock has them."""
    with tempfile.TemporaryDirectory() as aside:
        folder = Path() if rev == revisions.WORKSPACE else Path(aside)
        if rev != revisions.WORKSPACE:
            revisions.export(rev, folder, "params.yaml", "dvc.lock", "reports")
        return contents.locked(folder).get("data/raw", "") if contents.fits_lock(folder) else None


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


def markdown(trials: Sequence[Trial], *, title: str, figure: str, parts: Sequence[str] = tuple(PARTS)) -> str:
    """The page with the table of trials on the same photos.

    Args:
        figure: file name of what `draw` draws.
        parts: of the photos, whose results are shown.
    """
    keys = varying(trials)
    commits = ["commit"] if len({trial.commit for trial in trials}) > 1 else []
    header = ["", "experiment", *commits, *keys, *parts, "time"]
    level, lines = float(trials[0].settings["evaluate.confidence"]), [f"# {title}", ""]
    lines.append(
        f"Best first by accuracy on validation after fine-tuning, with its {level:.0%} interval. Nothing is chosen"
    )
    lines.append("on the test photos. Time is that of the stages that ran for the experiment on this machine.")
    if SEED in keys:
        lines += [
            "",
            "Another seed draws other validation and test photos; ± is the standard deviation over seeds, in points.",
        ]
    lines += ["", f"| {' | '.join(header)} |", f"|--:|:--|{'--:|' * (len(header) - 2)}"]
    for place, group in enumerate(ranked(trials), start=1):
        rows = [_cells(trial, keys, commits, parts) for trial in group]
        if len(group) > 1:
            spread = [_spread([trial.accuracy[part].value for trial in group]) for part in parts]
            same = [_shown(group[0].settings.get(key)) if key != SEED else f"{len(group)} seeds" for key in keys]
            rows.insert(0, ["**mean**", *([group[0].commit] if commits else []), *same, *spread, ""])
        for number, cells in enumerate(rows):
            lines.append(f"| {'' if number else place} | {' | '.join(cells)} |")
    if keys:
        lines += ["", f"![Accuracy against each setting that varies]({figure})"]
    return "\n".join(lines) + "\n"


def _cells(trial: Trial, keys: Sequence[str], commits: Sequence[str], parts: Sequence[str]) -> list[str]:
    shown = [trial.accuracy[part] for part in parts]
    accuracy = [f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})" for one in shown]
    settings = [_shown(trial.settings.get(key)) for key in keys]
    time = f"{trial.seconds:.0f} s" if trial.seconds else ""
    return [trial.name, *([trial.commit] if commits else []), *settings, *accuracy, time]


def _spread(values: Sequence[float]) -> str:
    return f"**{mean(values):.1%} ± {stdev(values) * 100:.1f}**"


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def draw(path: Path, trials: Sequence[Trial], *, title: str, parts: Sequence[str] = tuple(PARTS)) -> None:
    """Accuracy against each setting that varies: validation above, test with its interval below."""
    keys = varying(trials)
    rows, columns = -(-len(keys) // PANELS), min(len(keys), PANELS)
    deep = len(parts) * rows
    size = {"nrows": deep, "ncols": columns, "figsize": (max(1.2 + 2.9 * columns, 6), 2.8 * deep)}
    with figures.drawing(path, **size, sharey="row", squeeze=False) as (figure, axes):
        for number in range(rows * columns):
            for offset, part in enumerate(parts):
                axis = axes[len(parts) * (number // columns) + offset, number % columns]
                if number < len(keys):
                    _panel(axis, trials, keys[number], part)
                    axis.set_title(f"{part} accuracy" if number % columns == 0 else "", color=PARTS[part])
                else:
                    axis.set_axis_off()
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)


def _panel(axis: Any, trials: Sequence[Trial], key: str, part: str) -> None:
    """One setting: a point a trial, spread sideways so that none hides another, and a bar at the mean."""
    values = sorted({trial.settings.get(key) for trial in trials}, key=_order)
    for place, value in enumerate(values):
        chosen = sorted((trial for trial in trials if trial.settings.get(key) == value), key=lambda trial: trial.name)
        found = [trial.accuracy[part] for trial in chosen]
        places = [place + 0.5 * ((number + 0.5) / len(found) - 0.5) for number in range(len(found))]
        shares = [one.value for one in found]
        if part == "test":
            low, high = [one.value - one.low for one in found], [one.high - one.value for one in found]
            axis.errorbar(places, shares, yerr=[low, high], fmt="none", ecolor=PARTS[part], alpha=0.35, lw=1)
        axis.plot(places, shares, "o", ms=4.5, color=PARTS[part])
        axis.hlines(mean(shares), place - 0.35, place + 0.35, color="black", lw=1.2)
    axis.set_xticks(range(len(values)), [_shown(value) or "none" for value in values])
    if max(len(_shown(value)) for value in values) * len(values) > 24:
        axis.tick_params(axis="x", rotation=40)
    axis.margins(x=0.12)
    axis.set_xlabel(key)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))


def _order(value: Any) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return not number, float(value) if number else 0.0, str(value)
