"""./tl sweep: every trial of a recipe once, through DVC's queue, and again only what is not done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clone import ROOT, Clone

from transfer_learning.commands.sweep import RECIPES
from transfer_learning.experiments import sweep


@pytest.fixture(scope="module")
def clone(swept: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = swept.copy(tmp_path_factory.mktemp("sweep") / "a clone")
    (clone.folder / "conf/sweep/small.yaml").write_text(
        "- [+experiment=demo]\n- [+experiment=demo, 'finetune.learning_rate=0.002,0.004']\n"
        "- [+experiment=demo, data=cats_and_dogs, data.url=null]\n"
    )
    clone.commit("a recipe")
    return clone


@pytest.fixture
def bare_shell(clone: Clone) -> Iterator[None]:
    """The environment in .venv, as make finds it, and not on PATH."""
    before = clone.environment["PATH"]
    clone.give_environment()
    yield
    clone.environment["PATH"] = before


@pytest.mark.usefixtures("bare_shell")
def test_a_sweep_names_what_failed_and_runs_only_that_again(clone: Clone) -> None:
    said = clone.run("./tl", "sweep", "small", "--jobs", "2", code=2)
    assert "4 trials, 0 of them done before" in said
    assert "3 of 4 trials succeeded" in said
    assert said.count("finetune: run, 13 epochs") == 2  # two came out of the run cache, where no stage ran
    assert "cats_and_dogs_filtered.zip is not in the mirror folder" in said
    (error,) = (line for line in said.splitlines() if line.startswith("error: sweep: failed: small-"))
    log = Path(error.rsplit(" ", 1)[1])
    assert "Running stage 'fetch'" in (clone.folder / log).read_text()
    progress = [line for line in said.splitlines() if " of 4 done" in line]
    assert progress == list(dict.fromkeys(progress))  # said once each
    assert progress[-1].startswith("3 of 4 done, 1 failed; best so far: small-")
    before = clone.run("git", "for-each-ref", "refs/exps").splitlines()
    assert sum("/small-" in line for line in before) == 3
    tabled = set(re.findall(r"^ *\d  (small-\w+) ", said, re.MULTILINE))
    assert tabled == {line.rpartition("/")[2] for line in before if "/small-" in line}
    renamed = min(tabled)
    clone.run(".venv/bin/dvc", "exp", "rename", renamed, "mine")
    said = clone.run("./tl", "leaderboard")
    assert "3 experiments in reports/leaderboard.md" in said
    assert " mine " in said
    assert renamed not in said
    said = clone.run("./tl", "sweep", "small", code=2)
    assert "4 trials, 3 of them done before" in said
    assert " mine " in said
    assert [line for line in clone.run("git", "for-each-ref", "refs/exps").splitlines() if "/small-" in line] == [
        line for line in before if "/small-" in line and not line.endswith(renamed)
    ]


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        ("- [seed=]\n- {a: 1}\n", "must be a list of lists of overrides"),
        ("- [seed=1,2]\n", "2 is no override key=value (one with commas needs quotes or a line of its own)"),
        ("- [finetune.epochs=0]\n", "finetune.epochs = 0: must be a whole number from 1 to 10000"),
        ("- [nosuch.key=1]\n", "nosuch"),
        ("- [", "cannot be read"),
    ],
)
def test_a_wrong_recipe_is_one_line_and_queues_nothing(clone: Clone, recipe: str, problem: str) -> None:
    path = clone.folder / "conf/sweep/wrong.yaml"
    path.write_text(recipe)
    said = clone.run("python", "src/cli.py", "sweep", "wrong", code=2)
    path.unlink()
    assert said.startswith("error: sweep: ")
    assert problem in said
    assert len(said.strip().splitlines()) == 1
    assert "wrong-" not in clone.run("dvc", "queue", "status")


def test_an_unknown_recipe_names_the_known_ones(demo_clone: Clone) -> None:
    said = demo_clone.run("python", "src/cli.py", "sweep", "nosuch", code=2)
    assert "must be one of best, fine_tune_at, fine_tuning, grid, resolution, seeds" in said


def test_every_recipe_of_ours_composes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    trials = {path.stem: len({trial.name for trial in sweep.read(path)}) for path in RECIPES.glob("*.yaml")}
    assert trials == {"best": 12, "fine_tune_at": 3, "fine_tuning": 6, "grid": 32, "resolution": 2, "seeds": 3}
