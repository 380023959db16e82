"""The experiments that git has finished results of: their names, settings and what came out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import Any

from transfer_learning.core.errors import UserError
from transfer_learning.evaluation.baseline import FITTED, TESTED
from transfer_learning.experiments import finished, lock, revisions
from transfer_learning.photos.parts import SPLIT
from transfer_learning.stage import timing

PHASES = ("frozen", "finetune", "test")
PARTS = ("validation", "test")


@dataclass(frozen=True)
class Candidate:
    """What may have finished: an experiment, the workspace or a commit.

    Attributes:
        names: those that people gave, or DVC: of the experiment, and of branches that are at its commit.
        baseline: commit that it started from.
        found: its results; None where they are not whole.
        is_experiment: and not the workspace or a commit.
    """

    names: tuple[str, ...]
    baseline: str
    found: finished.Finished | None
    is_experiment: bool = True


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
        names: of all experiments with exactly these settings and results.
        commit: short hash of the commit that it started from.
        settings: flat, `section.key: value`.
        results: every metric of both phases and of the test, as `phase/name`.
        seconds: wall time of the stages that ran for it; None where they did not run on this machine.
        photos: md5 of data/raw; trials on other photos cannot be compared.
        split: md5 of data/split.csv, which photos are in which part.
    """

    names: tuple[str, ...]
    commit: str
    settings: dict[str, Any]
    results: dict[str, float]
    seconds: float | None
    photos: str
    split: str

    @property
    def name(self) -> str:
        return ", ".join(self.names)

    @cached_property
    def accuracy(self) -> dict[str, Accuracy]:
        """By part, after fine-tuning."""
        found = self.results
        value, photos = found["finetune/val_accuracy"], int(found["finetune/photos"])
        interval = _interval(round(value * photos), photos, self.settings["evaluate.confidence"])
        test = Accuracy(found["test/accuracy"], found["test/accuracy_low"], found["test/accuracy_high"])
        return {"validation": Accuracy(value, *interval), "test": test}


@cache
def _interval(right: int, photos: int, confidence: float) -> tuple[float, float]:
    from transfer_learning.evaluation.metrics import wilson_interval  # a second of imports, which a sweep does without

    return wilson_interval(right, photos, confidence=confidence)


def candidates(*, every_commit: bool = False) -> list[Candidate]:
    """The experiments of the checked-out commit, then the workspace, then that commit.

    Args:
        every_commit: those of all commits, and all commits.
    """
    head, named = revisions.head(), _named()
    experiments = revisions.experiments("*" if every_commit else head)
    commits = revisions.git("rev-list", "--branches", "--tags", "--remotes", "HEAD").split() if every_commit else [head]
    found = finished.of_commits([one.commit for one in experiments] + commits)
    workspace = Candidate((revisions.WORKSPACE,), head, finished.of_workspace(), is_experiment=False)
    return [
        *(
            Candidate((one.name, *named.get(one.commit, ())), one.baseline, results)
            for one, results in zip(experiments, found, strict=False)
        ),
        workspace,
        *(
            Candidate(tuple(named.get(commit, [commit[:7]])), commit, results, is_experiment=False)
            for commit, results in zip(commits, found[len(experiments) :], strict=True)
        ),
    ]


def of_experiments(names: Collection[str]) -> list[Trial]:
    """The trials among the experiments of the checked-out commit that have these names."""
    chosen = [one for one in revisions.experiments(revisions.head()) if one.name in names]
    found = finished.of_commits([one.commit for one in chosen])
    return read([Candidate((one.name,), one.baseline, whole) for one, whole in zip(chosen, found, strict=True)])[0]


def _named() -> dict[str, list[str]]:
    """Branches and tags by the commit that they are at, as those that `dvc exp branch` makes."""
    names = defaultdict(list)
    form = "%(objectname) %(*objectname) %(refname:short)"  # the second is the commit of a tag with a message
    for line in revisions.git("for-each-ref", f"--format={form}", "refs/heads", "refs/tags").splitlines():
        commits, _, name = line.rpartition(" ")
        names[commits.split()[-1]].append(name)
    return names


def read(among: Sequence[Candidate], patterns: Sequence[str] = ()) -> tuple[list[Trial], int]:
    """The trials among candidates.

    Args:
        patterns: names of those to read, or patterns such as `best-*`; all by default.

    Returns:
        Finished experiments, then the workspace and commits where they are none of these: each result once, under all
        names of its experiments. And how many were left out because their results are not those of their settings, or
        not all there.

    Raises:
        UserError: a name is of none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for one in among for name in one.names):
            raise UserError(f"no experiment is called {pattern}: `dvc exp list` has them; --all takes every commit's")
    found: dict[Hashable, Trial] = {}
    left_out = 0
    for one in among:
        if patterns and not any(fnmatchcase(name, pattern) for name in one.names for pattern in patterns):
            continue
        trial = _trial(one)
        if trial is None:
            left_out += 1
            continue
        key = frozenset(trial.settings.items()), frozenset(trial.results.items())
        known = found.setdefault(key, trial)
        if one.is_experiment:
            names = tuple(dict.fromkeys([*known.names, *trial.names]))
            found[key] = replace(known, names=names, seconds=known.seconds or trial.seconds)
    return list(found.values()), left_out


def _trial(one: Candidate) -> Trial | None:
    """A trial from its results; None where they are not all there."""
    if one.found is None:
        return None
    metrics = {phase: one.found.metrics.get(f"reports/{phase}/metrics.json", {}) for phase in PHASES}
    if not all(metrics.values()) or "photos" not in metrics["finetune"]:  # an early revision of this repository
        return None
    probe = [one.found.metrics.get(path.as_posix(), {}) for path in (FITTED, TESTED)]
    whose = timing.ran_for(one.names[0], "" if one.names == (revisions.WORKSPACE,) else one.baseline)
    recorded = lock.outputs(one.found.stages)
    return Trial(
        names=one.names,
        commit=one.baseline[:7],
        settings={key: str(value) if isinstance(value, list) else value for key, value in one.found.settings.items()},
        results={f"{phase}/{key}": value for phase in PHASES for key, value in metrics[phase].items()}
        | {f"probe/{key}": value for measured in probe for key, value in measured.items()},
        seconds=sum(timing.measured(lock.by_stage(one.found.stages), whose).values()) or None,
        photos=recorded.get("data/raw", ""),
        split=recorded.get(SPLIT.as_posix(), ""),
    )
