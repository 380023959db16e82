"""The leaderboard: what differs, who is first, and how much of it the seed explains."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import yaml
from support.clone import ROOT, Clone

from transfer_learning import leaderboard


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
    monkeypatch.setattr(leaderboard, "_photos", lambda rev: None if rev == "old" else "md5")


def read(entries: list[dict[str, Any]]) -> list[leaderboard.Trial]:
    return leaderboard.read(entries)[0]


def test_trials_know_which_photos_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard, "_photos", lambda rev: {"r": "new photos"}.get(rev, "old photos"))
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
    table = leaderboard.markdown(trials, title="A title", figure="a.png")
    assert "|  | experiment | seed | validation | test | time |" in table
    assert (
        f"| 1 | **mean** | 3 seeds | **{mean(shares):.1%} ± {100 * stdev(shares):.1f}** | **95.0% ± 0.0** |  |" in table
    )
    assert "|  | s0 | 0 | 87.5% (85.0% to 89.6%) | 95.0% (90.0% to 98.0%) |  |" in table  # Wilson, by hand
    assert "![Accuracy against each setting that varies](a.png)" in table


@pytest.mark.parametrize("settings", [1, 4, 7])
def test_figure_has_two_panels_for_each_setting(tmp_path: Path, settings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["seed", "images__size", "model__dropout", "features__views", "finetune__epochs", "finetune__batch_size",
            "augment__flip"][:settings]  # fmt: skip
    trials = read(shown(*(entry(f"t{i}", 700 + i, **dict.fromkeys(keys, i)) for i in range(1, 4))))
    labels: list[str] = []
    kept = leaderboard._panel
    monkeypatch.setattr(
        leaderboard,
        "_panel",
        lambda axis, found, key, part: (labels.append(f"{key} {part}"), kept(axis, found, key, part)),
    )
    leaderboard.draw(tmp_path / "a.png", trials, title="t")
    assert sorted(labels) == sorted(
        f"{key.replace('__', '.')} {part}" for key in keys for part in ("validation", "test")
    )
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_command_writes_table_and_figure_from_dvc_exp_show(demo_clone: Clone, swept: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path / "none")
    assert "1 experiments in reports/leaderboard.md\n" in clone.run("python", "src/leaderboard.py")
    assert not (clone.folder / "reports/leaderboard.png").exists()
    clone = swept.copy(tmp_path / "some", experiments=True)
    said = clone.run("python", "src/leaderboard.py")
    assert "7 experiments in reports/leaderboard.md and reports/leaderboard.png" in said
    table = (clone.folder / "reports/leaderboard.md").read_text()
    varying = "finetune.fine_tune_at | finetune.learning_rate | evaluate.threshold | evaluate.calibration_bins"
    assert f"| experiment | {varying} | validation | test | time |" in table
    rows = {"bins": (4, 0.001, 0.5, 5), "aside": (6, 0.001, 0.5, 10), "q-1": (4, 0.002, 0.5, 10),
            "workspace": (4, 0.001, 0.5, 10)}  # fmt: skip
    assert all(f"| {name} | {' | '.join(map(str, values))} |" in table for name, values in rows.items()), table
    clone.run("python", "src/params.py")
    said = clone.run("python", "src/leaderboard.py", code=2)
    assert "error: leaderboard: no experiment on cats_and_dogs has run to its end" in said
