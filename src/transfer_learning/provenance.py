"""Where results come from: commit, uncommitted changes, digests of outputs, machine, commands that repeat them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from transfer_learning import environment, revisions, settings
from transfer_learning.contents import Contents
from transfer_learning.workspace import STAGES

VERSION = "version."  # begins the facts of the environment that are versions of packages


@dataclass(frozen=True)
class Commit:
    """The commit that results belong to.

    Attributes:
        id: all its hexadecimal digits.
        date: of the committer, ISO 8601 with time zone.
        changed: paths that differ from it, as git status shows them; empty for an experiment, whose commit has all.
    """

    id: str
    date: str
    subject: str
    changed: list[str]


def commit(experiment: revisions.Experiment | None) -> Commit:
    """The commit of an experiment, or of the workspace with what is not committed there."""
    chosen = experiment.commit if experiment else revisions.head()
    date, subject = revisions.git("show", "--no-patch", "--format=%cI%x00%s", chosen).split("\0")
    changed = [] if experiment else revisions.changed()
    return Commit(chosen, date, subject, changed)


def outputs(folder: Path) -> list[tuple[str, str, str, str]]:
    """What dvc.lock says of every output, in the order of the DAG: path, stage, md5, size in bytes."""
    stages = settings.read_yaml(folder / "dvc.lock")["stages"]
    order = [*STAGES, *sorted(set(stages) - set(STAGES))]
    return [
        (out["path"], name, out["md5"], f"{out['size']:,}" if "size" in out else "")
        for name in order
        for out in stages.get(name, {}).get("outs", [])
    ]


def machine(folder: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Facts of the machine and versions of packages, as (name, value).

    A fact that is not the same for all stages comes once for each value, with the stages beside its name.
    """
    facts = environment.read(folder / environment.FILE)
    found: dict[tuple[str, str], list[str]] = {}
    for stage in sorted(facts, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES)):
        for name, value in facts[stage].items():
            found.setdefault((name, value), []).append(stage)
    rows = [
        (name if len(stages) == len(facts) else f"{name} ({', '.join(stages)})", value)
        for (name, value), stages in sorted(found.items())
    ]
    versions = [(name.removeprefix(VERSION), value) for name, value in rows if name.startswith(VERSION)]
    return [(name.replace("_", " "), value) for name, value in rows if not name.startswith(VERSION)], versions


def commands(found: Contents, source: Commit) -> list[tuple[str, str]]:
    """Commands that compute the results again and compare them, each with what it is for."""
    lines = [(f"git checkout {source.id}", "code and settings")]
    if found.name != revisions.WORKSPACE:
        lines.insert(0, (f"dvc exp pull origin {shlex.quote(found.name)}", "where the experiment is not here yet"))
    return [
        *lines,
        ("make reproduce", "computes everything anew and compares it with what is committed"),
        ("dvc checkout", "or instead: brings data and models from DVC's cache; dvc pull from a remote"),
    ]
