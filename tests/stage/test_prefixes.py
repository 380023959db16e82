"""Trials that begin the same, by the real commands, aside and in the queue. Part of `make test-full`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from support.clone import DEMO, Clone

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]
ASIDE = ("dvc", "exp", "run", "--temp", *DEMO)
FROZEN = 6  # epochs of the demo's first phase


def computed(said: str) -> int:
    """Number of epochs that Keras has trained."""
    return len(re.findall("^Epoch ", said, re.MULTILINE))


def lock(clone: Clone, name: str) -> str:
    ref = clone.run("git", "for-each-ref", "--format=%(refname)", f"refs/exps/**/{name}").strip()
    return clone.run("git", "show", f"{ref}:dvc.lock")


def until(happens: Callable[[], bool], within: float = 600) -> None:
    deadline = time.monotonic() + within
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_lengths_in_any_order_cost_the_longest_and_are_whole_in_the_store(
    demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clone = demo_clone.copy(tmp_path_factory.mktemp("lengths") / "clone")
    for epochs, new in ((9, 9), (3, 0), (12, 3)):
        said = clone.run(*ASIDE, "--name", f"e{epochs}", "-S", f"finetune.epochs={epochs}")
        assert (computed(said), clone.stages_run(said)) == (new, ["finetune", "evaluate"])
    assert computed(clone.run(*ASIDE, "--name", "k", "-S", "finetune.epochs=40", "-S", "finetune.stop_after=11")) == 0
    assert computed(clone.run(*ASIDE, "--force", "--name", "forced", "-S", "finetune.epochs=12")) == FROZEN + 12
    assert lock(clone, "forced") == lock(clone, "e12")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'drawn'")
    for run in client.search_runs([experiment.experiment_id], "tags.stage = 'finetune'"):
        last = {"e3": 3, "e9": 9, "e12": 12, "k": 11, "forced": 12}[run.info.run_name]
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "loss/val")]
        assert sorted(steps) == list(range(FROZEN + last + 1))


def test_a_trial_killed_in_the_queue_goes_on_there(demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> None:
    clone = demo_clone.copy(tmp_path_factory.mktemp("queue") / "clone")
    trial = ("dvc", "exp", "run", "--queue", "--name", "q", *DEMO, "-S")
    clone.run(*trial, "finetune.epochs=5000")  # for DVC takes seconds to kill it
    clone.start_queue()
    until(lambda: len(list((clone.folder / ".dvc/tmp/epochs").glob("*.npz"))) > 3)
    clone.run("dvc", "queue", "stop", "--kill")
    until(lambda: "Failed" in clone.run("dvc", "queue", "status"))
    clone.run("dvc", "queue", "remove", "--failed")
    clone.run(*trial, "finetune.epochs=300")
    clone.start_queue()
    until(lambda: "Success" in clone.run("dvc", "queue", "status"))
    assert re.search(r"^going on after epoch \d+: ", clone.run("dvc", "queue", "logs", "q"), re.MULTILINE)
