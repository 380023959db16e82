"""Which DVC experiments stay when the others are removed, and their removal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import finished, revisions
from transfer_learning.experiments.kept import KEPT

TUNED = "reports/finetune/metrics.json"


@dataclass(frozen=True)
class Plan:
    """What is to be removed, and what stays, each with the reason."""

    gone: list[revisions.Experiment] = field(default_factory=list)
    stays: dict[str, list[revisions.Experiment]] = field(default_factory=dict)


def plan(names: Sequence[str], best: int, registered: Callable[[revisions.Experiment], bool]) -> Plan:
    """Sort the experiments of every commit into those that stay and the others.

    Args:
        names: of experiments that stay, or patterns.
        best: so many of each set of photos stay, by accuracy on validation; of those on all of the photos.
        registered: whether a model of the experiment is in a registry.

    Raises:
        UserError: a name is of none.
    """
    listed = revisions.experiments()
    for name in names:
        if not any(fnmatchcase(one.name, name) for one in listed):
            raise UserError(f"no experiment is named {name}: `dvc exp list --all` shows them")
    here = revisions.in_workspace(listed)
    reasons: dict[str, Callable[[revisions.Experiment], bool]] = {
        "named": lambda one: any(fnmatchcase(one.name, name) for name in names),
        "in the workspace": lambda one: one == here,
        "in MLflow's registry": registered,
        "what restore has kept": lambda one: one.name.startswith(KEPT),
        f"best {best} on validation": _best(listed, best).__contains__,
    }
    found = Plan(stays={reason: [] for reason in reasons})
    for one in listed:
        why = next((reason for reason, holds in reasons.items() if holds(one)), None)
        (found.stays[why] if why else found.gone).append(one)
    return found


def remove(gone: Sequence[revisions.Experiment]) -> None:
    """Remove experiments, all or none of them."""
    lines = [f"delete refs/exps/{one.baseline[:2]}/{one.baseline[2:]}/{one.name} {one.commit}" for one in gone]
    revisions.git("update-ref", "--stdin", given="".join(f"{line}\n" for line in lines))


def _best(listed: Sequence[revisions.Experiment], number: int) -> set[revisions.Experiment]:
    """The experiments with the highest accuracy on validation, of each set of photos; the newer one of two equals."""
    ranks: dict[str, list[tuple[float, int, revisions.Experiment]]] = {}
    for age, (one, found) in enumerate(zip(listed, finished.of_commits([one.commit for one in listed]), strict=True)):
        tuned = found.metrics.get(TUNED, {}) if found else {}
        if found and "val_accuracy" in tuned and found.settings.get("split.fraction") == 1:
            of = ranks.setdefault(str(found.settings["data.name"]), [])
            of.append((tuned["val_accuracy"], age, one))
    return {
        one for several in ranks.values() for _, _, one in sorted(several, key=lambda row: row[:2])[-number:] if number
    }
