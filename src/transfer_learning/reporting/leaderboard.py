"""Which trials may be ranked together, who is first, and the lines of the table that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from transfer_learning.evaluation.baseline import chance
from transfer_learning.reporting.trials import Accuracy, Trial

SEED, FRACTION = "seed", "split.fraction"
AGAINST = "against the linear probe"


def varying(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings that differ among those of trials, in the order of params.yaml, the seed last; not those that only
    some have: a commit is older than they, or the photos are of another kind."""
    keys = list(dict.fromkeys(key for one in settings for key in one))
    found = [key for key in keys if len({str(one[key]) for one in settings if key in one}) > 1]
    return sorted(found, key=lambda key: key == SEED)


@dataclass(frozen=True)
class Section:
    """Trials that may be ranked together: of the same photos, drawn for the parts in the same way.

    Attributes:
        note: what the section is of, where that is not all photos, or not those of the first section.
    """

    trials: list[Trial]
    note: str = ""


def sections(trials: Iterable[Trial], here: Mapping[str, Any]) -> list[Section]:
    """Put apart trials on a part of the photos, or with other photos in the parts under the same seed.

    Args:
        here: the settings of the workspace, whose section comes first among those of as many photos.
    """
    found: list[list[Trial]] = []
    for trial in trials:
        section = next((one for one in found if _of_the_same_photos(trial, one)), None)
        if section is None:
            found.append(section := [])
        section.append(trial)
    found.sort(key=lambda one: (-_share(one[0]), _drawn(one[0].settings) != _drawn(here), -len(one)))
    return [Section(one, _note(one[0], found[0][0])) for one in found]


def _of_the_same_photos(trial: Trial, section: Sequence[Trial]) -> bool:
    first = section[0]
    same = (trial.photos, _drawn(trial.settings)) == (first.photos, _drawn(first.settings))
    return same and all(one.split == trial.split for one in section if one.settings[SEED] == trial.settings[SEED])


def _share(trial: Trial) -> float:
    return float(trial.settings.get(FRACTION, 1))


def _drawn(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of how the parts are drawn, without those that are off, which commits before them lack."""
    named = {key: value for key, value in settings.items() if key.startswith("split.") and key != "split.watch"}
    return {key: value for key, value in named.items() if value is not None}


def _note(trial: Trial, first: Trial) -> str:
    if trial is first:
        return f"{FRACTION} = {_share(trial)}" if _share(trial) < 1 else ""
    drawn = _drawn(trial.settings), _drawn(first.settings)
    differing = [key for key in drawn[0] | drawn[1] if drawn[0].get(key) != drawn[1].get(key)]
    said = [f"{key} = {drawn[0].get(key, 'null')}" for key in differing]
    return ", ".join(said) or ("other photos" if trial.photos != first.photos else "other photos in the parts")


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
    return sorted(groups.values(), key=_order)


def best(trials: Sequence[Trial]) -> Trial:
    """The one that is first by itself, whatever its seed."""
    return min(trials, key=lambda trial: _order([trial]))


def _order(group: Sequence[Trial]) -> tuple[float, float]:
    accuracy, loss = (mean(trial.results[f"finetune/{key}"] for trial in group) for key in ("val_accuracy", "val_loss"))
    return -accuracy, loss


@dataclass(frozen=True)
class Line:
    """A line of the table: a trial, or the mean of those that differ in the seed alone.

    Attributes:
        place: of the group, with its first line.
        cells: text by column.
    """

    place: int | None
    cells: dict[str, str]
    is_mean: bool = False


def lines(trials: Sequence[Trial], parts: Sequence[str], *, intervals: bool = True) -> list[Line]:
    """The table of trials on the same photos: columns for the experiment, its commit where there are several, the
    settings that differ, accuracy on the parts of the photos, the linear probe's where it is known, and time.

    Args:
        intervals: with what belongs to each number, its interval and of how many photos it is.
    """
    keys = varying([trial.settings for trial in trials])
    commits = len({trial.commit for trial in trials}) > 1
    against = any("probe/val_gained" in trial.results for trial in trials)

    def line(place: int | None, trial: Trial) -> Line:
        shown = {part: _in_words(trial.accuracy[part], intervals) for part in parts}
        time = {"time": f"{trial.seconds:.0f} s" if trial.seconds else ""}
        return Line(
            place,
            {"experiment": trial.name}
            | ({"commit": trial.commit} if commits else {})
            | {key: shown_as(trial.settings.get(key)) for key in keys}
            | shown
            | ({AGAINST: _against(trial, intervals)} if against else {})
            | time,
        )

    found: list[Line] = []
    for place, group in enumerate(ranked(trials), start=1):
        members = [line(place if len(group) == 1 else None, trial) for trial in group]
        if len(group) > 1:
            spread = {part: _spread([trial.accuracy[part].value for trial in group]) for part in parts}
            blank = {AGAINST: "", "time": "", "experiment": "mean", SEED: f"{len(group)} seeds"}
            first = members[0].cells
            members.insert(0, Line(place, {key: ({**first, **blank, **spread})[key] for key in first}, is_mean=True))
        found += members
    return found


def _in_words(accuracy: Accuracy, interval: bool) -> str:
    between = f" ({accuracy.low:.1%} to {accuracy.high:.1%})" if interval else ""
    return f"{accuracy.value:.1%}{between}"


def _against(trial: Trial, total: bool) -> str:
    found = trial.results
    if "probe/val_gained" not in found:
        return ""
    more = int(found["probe/val_gained"] - found["probe/val_lost"])
    of = f" of {found['finetune/photos']:.0f}" if total else ""
    return f"{more:+d}{of}, {chance(found['probe/val_p_value'])}"


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.1%} ± {stdev(values) * 100:.1f}"


def shown_as(value: Any) -> str:
    return "" if value is None else str(value)
