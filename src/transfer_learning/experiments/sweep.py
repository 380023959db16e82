"""Recipes of conf/sweep, run through DVC's queue.

A recipe is a list of override lists; `key=1,2` stands for both, as in `dvc exp run --queue`. Started again, after an
interruption or with more in the recipe, it runs what is not done yet.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from transfer_learning.core import files, surroundings
from transfer_learning.core.errors import UserError
from transfer_learning.core.workspace import main_workspace
from transfer_learning.experiments import compose, dvc_inside, finished, revisions
from transfer_learning.settings import params

POLL = 3.0  # seconds


@dataclass(frozen=True)
class Trial:
    """One experiment of a sweep; the name follows from its settings."""

    name: str
    overrides: list[str]
    values: dict[str, Any]


def read(path: Path) -> list[Trial]:
    """Read a recipe and compose every trial, so that a mistake is found before anything runs.

    Raises:
        UserError: it is no list of lists, or some settings are wrong.
    """
    try:
        lists = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, YAMLError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(lists, list) or not all(isinstance(one, list) for one in lists):
        raise UserError(f"{path} must be a list of lists of overrides, such as `- [seed=1,2]`")
    odd = [one for several in lists for one in several if not (isinstance(one, str) and "=" in one)]
    if odd:
        raise UserError(
            f"{path}: {odd[0]!r} is no override key=value (one with commas needs quotes or a line of its own)"
        )
    trials: dict[str, Trial] = {}
    with tempfile.TemporaryDirectory() as aside:
        for overrides in (one for several in lists for one in compose.combinations(several)):
            target = Path(aside) / "params.yaml"
            compose.compose(target, overrides, where=f"{path}: {' '.join(overrides) or 'the default'}")
            values = params.read_yaml(target)
            digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:7]
            name = f"{path.stem.replace('_', '-')}-{digest}"
            trials[name] = Trial(name, overrides, values)
    return list(trials.values())


def done(trials: list[Trial]) -> dict[str, str]:
    """The trials that an experiment of the checked-out commit has whole results of, with these settings and this code:
    its name by the trial's. People may have given it another name."""
    experiments = revisions.experiments(revisions.head())
    results = finished.of_commits([one.commit for one in experiments])
    found: dict[str, str] = {}
    for trial in trials:
        wanted = params.flatten(trial.values)
        equal = [
            one
            for one, whole in zip(experiments, results, strict=True)
            if whole
            and whole.settings == wanted
            and (one.name == trial.name or not may_have_changed(trial))
            and not revisions.code_changed(one.commit)
        ]
        if equal:
            found[trial.name] = max(equal, key=lambda one: one.name == trial.name).name
    return found


def may_have_changed(trial: Trial) -> bool:
    """Whether the photos of a trial are none of its settings: DVC must look at a folder or file of one's own again, and
    takes the results of an earlier run where nothing has changed."""
    return trial.values["data"]["kind"] == "folder"


def forget(trial: Trial) -> None:
    """Remove the experiment of other code that has the trial's name, to make room for the new one."""
    for one in revisions.experiments(revisions.head()):
        if one.name == trial.name:
            what = "its code or its photos may have" if may_have_changed(trial) else "its code has"
            print(f"{trial.name} is run again: {what} changed since")
            revisions.dvc("exp", "remove", one.name)


def queue(trials: list[Trial], *, show: Callable[[int], None]) -> None:
    """Put the trials that are not there into DVC's queue.

    Args:
        show: is told how many are there, after each: it takes DVC seconds.
    """
    states = dvc_inside.queue_states()
    for number, trial in enumerate(trials):
        show(number)
        if states.get(trial.name) not in ("Queued", "Running"):
            if states.get(trial.name) == "Failed":
                revisions.dvc("queue", "remove", trial.name)
            forget(trial)
            changes = [word for override in trial.overrides for word in ("-S", override)]
            revisions.dvc("exp", "run", "--queue", "--name", trial.name, *changes)


def watch(trials: list[Trial], *, jobs: int, show: Callable[[dict[str, str]], None]) -> None:
    """Start workers, and show how far they are until all is done.

    Args:
        jobs: trials at a time.
        show: is told the state of each trial by its name, as DVC's queue calls them.
    """
    idle = 0
    os.environ[surroundings.JOBS] = str(jobs)  # which the queue's workers hand on to the stages
    revisions.dvc("queue", "start", "--jobs", str(jobs))
    while True:
        try:
            time.sleep(POLL)
            known = dvc_inside.queue_states()
            states = {trial.name: known.get(trial.name, "Success") for trial in trials}
            show(states)
        except KeyboardInterrupt:
            revisions.dvc("queue", "stop", "--kill")
            raise
        running = "Running" in states.values()
        if not running and "Queued" not in states.values():
            break
        idle = 0 if running else idle + 1
        if idle * POLL > 60:  # DVC's workers end when they find the queue empty, which can cross with our additions
            revisions.dvc("queue", "start", "--jobs", str(jobs))
            idle = 0


def save_log(trial: Trial) -> str:
    """Keep what a failed trial printed; says which trial, why, and where the log is."""
    path = main_workspace() / ".dvc" / "tmp" / "sweep" / f"{trial.name}.log"
    text = revisions.dvc("queue", "logs", trial.name)
    with files.written_aside(path) as aside:
        aside.write_text(text)
    why = [line.removeprefix("error: ") for line in text.splitlines() if line.startswith("error: ")]
    return f"{trial.name} ({why[-1] if why else 'no error of ours'}), log in {path.relative_to(main_workspace())}"
