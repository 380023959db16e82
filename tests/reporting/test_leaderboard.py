"""The leaderboard: what differs, who is first, and how much of it the seed explains."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import yaml
from support.clone import ROOT, Clone

import cli
from transfer_learning.core.errors import UserError
from transfer_learning.reporting import leaderboard, leaderboard_figure


def entry(name: str, right: int, *, loss: float = 0.1, **changes: Any) -> dict[str, Any]:
    """An experiment as `dvc exp show --json` prints it, with `right` of 800 validation photos; __ stands for a dot."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in changes.items():
        section, _, name_in = key.partition("__")
        if name_in:
            params[section][name_in] = value
        else:
            params[section] = value
    metrics = {
        "frozen": {"val_accuracy": 0.9, "photos": 800},
        "finetune": {"val_accuracy": right / 800, "val_loss": loss, "photos": 800},
        "test": {"accuracy": 0.95, "accuracy_low": 0.9, "accuracy_high": 0.98},
    }
    data = {
        "params": {"params.yaml": {"data": params}},
        "metrics": {f"reports/{phase}/metrics.json": {"data": values} for phase, values in metrics.items()},
    }
    return {"name": name, "executor": None, "revs": [{"rev": "r", "data": data}]}


def shown(*experiments: dict[str, Any]) -> list[dict[str, Any]]:
    """The output of `dvc exp show --json` with these experiments of one commit, and a workspace like the first."""
    data = experiments[0]["revs"][0]["data"]
    return [
        {"rev": "workspace", "name": None, "data": data, "experiments": None},
        {"rev": "c" * 40, "name": "main", "data": data, "experiments": list(experiments)},
    ]


@pytest.fixture(autouse=True)
def consistent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The experiments made up here are of no commit."""
    monkeypatch.setattr(leaderboard, "_recorded", lambda rev: None if rev == "old" else of_photos("md5"))


def of_photos(md5: str) -> dict[str, Any]:
    """A dvc.lock whose photos have this digest."""
    return {"fetch": {"outs": [{"path": "data/raw", "md5": md5}]}}


def read(entries: list[dict[str, Any]]) -> list[leaderboard.Trial]:
    return leaderboard.read(entries)[0]


def test_trials_know_which_photos_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"r": of_photos("new photos")}
    monkeypatch.setattr(leaderboard, "_recorded", lambda rev: kinds.get(rev, of_photos("old photos")))
    assert {(trial.name, trial.photos) for trial in read(shown(entry("a", 700, seed=1)))} == {("a", "new photos")}


def test_each_result_is_there_once_and_unfinished_ones_are_not() -> None:
    running, failed, done = (
        entry(state, 700, seed=number) for number, state in enumerate(("running", "failed", "success"))
    )
    for one in (running, failed, done):
        one["executor"] = {"state": one["name"]}
    unfinished, unfitting, early = (
        entry("broken", 700, seed=7),
        entry("edited", 700, seed=8),
        entry("early", 700, seed=9),
    )
    unfinished["revs"][0]["data"]["metrics"]["reports/test/metrics.json"] = {"error": {"type": "FileNotFoundError"}}
    unfitting["revs"][0]["rev"] = "old"
    del early["revs"][0]["data"]["metrics"]["reports/finetune/metrics.json"]["data"]["photos"]
    trials, left_out = leaderboard.read(
        shown(entry("a", 780), running, failed, done, unfinished, unfitting, early, entry("b", 790, seed=1))
    )
    assert [trial.name for trial in trials] == ["a", "success", "b"]
    assert left_out == 5
    assert {trial.commit for trial in trials} == {"c" * 7}


def test_trials_of_one_seed_are_no_spread_over_seeds() -> None:
    trials = read(shown(entry("a", 780), entry("b", 781), entry("c", 782, seed=1)))
    assert [[trial.name for trial in group] for group in leaderboard.ranked(trials)] == [["c", "a"], ["b"]]


def test_experiments_are_chosen_by_name_before_equal_results_are_dropped() -> None:
    entries = shown(entry("other-1", 780), entry("best-1", 780), entry("best-2", 790, seed=1))
    assert [trial.name for trial in leaderboard.read(entries, ["best-*"])[0]] == ["best-1", "best-2"]
    assert [trial.name for trial in leaderboard.read(entries, ["workspace", "best-2"])[0]] == ["best-2", "workspace"]
    with pytest.raises(UserError, match="no experiment is called nobody"):
        leaderboard.read(entries, ["best-*", "nobody"])


@pytest.mark.parametrize("page", sorted((ROOT / "reports").glob("leaderboard*.md")), ids=lambda page: page.name)
def test_committed_pages_name_the_command_that_makes_them(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text()
    command = shlex.split(text.splitlines()[-1])
    assert command[:2] == ["./tl", "leaderboard"]
    called: list[argparse.Namespace] = []
    monkeypatch.setattr("transfer_learning.commands.leaderboard.run", called.append)
    monkeypatch.setattr("transfer_learning.stage.process.run", lambda name, work: work())
    monkeypatch.chdir(ROOT)
    cli.main(command[1:])
    assert (ROOT / called[0].out, called[0].title or "Leaderboard of cats_and_dogs") == (page, text.splitlines()[0][2:])
    assert called[0].validation == ("| test |" not in text)


def test_settings_that_vary_are_named_and_the_seed_comes_last() -> None:
    trials = read(shown(entry("a", 780), entry("b", 781, seed=1, finetune__fine_tune_at=120)))
    assert leaderboard.varying(trials) == ["finetune.fine_tune_at", "seed"]


def test_the_best_mean_over_seeds_comes_first_and_loss_decides_between_equals() -> None:
    trials = read(
        shown(
            entry("lucky", 790, finetune__fine_tune_at=80, seed=1),
            entry("unlucky", 760, finetune__fine_tune_at=80, seed=2),
            entry("steady", 780, finetune__fine_tune_at=120, loss=0.2),
            entry("surer", 780, finetune__fine_tune_at=130, loss=0.1),
        )
    )
    groups = [[trial.name for trial in group] for group in leaderboard.ranked(trials)]
    assert groups == [["surer"], ["steady"], ["lucky", "unlucky"]]


def test_table_has_interval_mean_and_spread() -> None:
    shares = [700 / 800, 720 / 800, 770 / 800]
    trials = read(shown(*(entry(f"s{seed}", round(800 * share), seed=seed) for seed, share in enumerate(shares))))
    table = leaderboard.markdown(trials, title="A title", figure="a.png", command="./tl leaderboard")
    assert "|  | experiment | seed | validation | test | time |" in table
    assert (
        f"| 1 | **mean** | 3 seeds | **{mean(shares):.1%} ± {100 * stdev(shares):.1f}** | **95.0% ± 0.0** |  |" in table
    )
    assert "|  | s0 | 0 | 87.5% (85.0% to 89.6%) | 95.0% (90.0% to 98.0%) |  |" in table  # Wilson, by hand
    assert "![Accuracy against each setting that varies](a.png)" in table
    assert table.endswith("\nMade by\n\n    ./tl leaderboard\n")


@pytest.mark.parametrize("settings", [1, 4, 7])
def test_figure_has_two_panels_for_each_setting(tmp_path: Path, settings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["seed", "images__size", "model__dropout", "features__views", "finetune__epochs", "finetune__batch_size",
            "augment__flip"][:settings]  # fmt: skip
    trials = read(shown(*(entry(f"t{i}", 700 + i, **dict.fromkeys(keys, i)) for i in range(1, 4))))
    labels: list[str] = []
    kept = leaderboard_figure._panel
    monkeypatch.setattr(
        leaderboard_figure,
        "_panel",
        lambda axis, found, key, part: (labels.append(f"{key} {part}"), kept(axis, found, key, part)),
    )
    leaderboard_figure.draw(tmp_path / "a.png", trials, title="t")
    assert sorted(labels) == sorted(
        f"{key.replace('__', '.')} {part}" for key in keys for part in ("validation", "test")
    )
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.full  # the test of sweeps makes a page too
def test_command_writes_table_and_figure_from_dvc_exp_show(demo_clone: Clone, swept: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path / "none", data=False)
    assert "1 experiments in reports/leaderboard.md\n" in clone.run("python", "src/cli.py", "leaderboard")
    assert not (clone.folder / "reports/leaderboard.png").exists()
    clone = swept.copy(tmp_path / "some", experiments=True)
    said = clone.run("python", "src/cli.py", "leaderboard")
    assert "6 experiments in reports/leaderboard.md and reports/leaderboard.png" in said
    table = (clone.folder / "reports/leaderboard.md").read_text()
    varying = "finetune.fine_tune_at | finetune.learning_rate | evaluate.threshold | evaluate.calibration_bins"
    assert f"| experiment | {varying} | validation | test | time |" in table
    rows = {"bins": (4, 0.001, 0.5, 5), "inside": (0, 0.001, 0.5, 10), "q-1": (4, 0.002, 0.5, 10),
            "workspace": (4, 0.001, 0.5, 10)}  # fmt: skip
    assert all(f"| {name} | {' | '.join(map(str, values))} |" in table for name, values in rows.items()), table
    chosen = ("bins", "workspace", "--validation", "--title", "Some", "--out", "some/few.md")
    said = clone.run("python", "src/cli.py", "leaderboard", *chosen)
    assert said == "2 experiments in some/few.md and some/few.png\n"
    few = (clone.folder / "some/few.md").read_text()
    assert few.startswith("# Some\n")
    assert "(few.png)" in few
    assert "| bins |" in few
    assert "| inside |" not in few
    assert "| test |" not in few
    assert (clone.folder / "reports/leaderboard.md").read_text() == table
    (clone.folder / "again.sh").write_text(few.splitlines()[-1].replace("./tl", "python src/cli.py"))
    (clone.folder / "some/few.md").unlink()
    clone.run("sh", "again.sh")
    assert (clone.folder / "some/few.md").read_text() == few
    said = clone.run("python", "src/cli.py", "leaderboard", "--out", "few.png", code=2)
    assert said == "error: leaderboard: --out few.png: name a .md file; the figure is put beside it\n"
    clone.run("python", "src/cli.py", "params")
    said = clone.run("python", "src/cli.py", "leaderboard", code=2)
    assert "error: leaderboard: no experiment on cats_and_dogs has run to its end" in said
