"""The leaderboard: what differs, who is first, and how much of it the seed explains."""

from __future__ import annotations

import argparse
import io
import shlex
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from rich.console import Console
from support.clone import ROOT

import cli
from transfer_learning.core.errors import UserError
from transfer_learning.experiments import finished
from transfer_learning.reporting import (
    leaderboard,
    leaderboard_figure,
    leaderboard_page,
    leaderboard_table,
    trials,
)
from transfer_learning.settings import params

HERE = params.flat(ROOT)  # settings


def entry(name: str, right: int, *, loss: float = 0.1, split: str = "split", **changes: Any) -> trials.Candidate:
    """An experiment with `right` of 800 validation photos; __ stands for a dot."""
    metrics: dict[str, dict[str, float]] = {
        "frozen": {"val_accuracy": 0.9, "photos": 800},
        "finetune": {"val_accuracy": right / 800, "val_loss": loss, "photos": 800},
        "test": {"accuracy": 0.95, "accuracy_low": 0.9, "accuracy_high": 0.98},
    }
    outs = [{"path": "data/raw", "md5": "photos"}, {"path": "data/split.csv", "md5": split}]
    settings = HERE | {key.replace("__", "."): value for key, value in changes.items()}
    of_phases = {f"reports/{phase}/metrics.json": values for phase, values in metrics.items()}
    return trials.Candidate((name,), "c" * 40, finished.Finished(settings, {"fetch": {"outs": outs}}, of_phases))


def read(*candidates: trials.Candidate) -> list[trials.Trial]:
    """The trials of experiments, and of a workspace like the first of them."""
    workspace = replace(candidates[0], names=("workspace",), is_experiment=False)
    return trials.read([*candidates, workspace])[0]


def test_each_result_is_there_once_and_unfinished_ones_are_not() -> None:
    early = entry("early", 700, seed=9)
    assert early.found
    del early.found.metrics["reports/finetune/metrics.json"]["photos"]
    without_test = entry("broken", 700, seed=7)
    assert without_test.found
    del without_test.found.metrics["reports/test/metrics.json"]
    head = replace(entry("main", 780), is_experiment=False)
    unfinished = trials.Candidate(("edited",), "c" * 40, None)
    found, left_out = trials.read([entry("a", 780), unfinished, without_test, early, entry("b", 790, seed=1), head])
    assert [trial.name for trial in found] == ["a", "b"]
    assert left_out == 3
    assert {trial.commit for trial in found} == {"c" * 7}


def test_equal_results_have_all_names_that_people_gave() -> None:
    found = read(entry("sweep-0f60881", 780), entry("b", 790, seed=1), entry("mine", 780), entry("mine", 780))
    assert [trial.name for trial in found] == ["sweep-0f60881, mine", "b"]


def test_trials_of_one_seed_are_no_spread_over_seeds() -> None:
    found = read(entry("a", 780), entry("b", 781), entry("c", 782, seed=1))
    assert [[trial.name for trial in group] for group in leaderboard.ranked(found)] == [["c", "a"], ["b"]]


def test_experiments_are_chosen_by_name_before_equal_results_are_dropped() -> None:
    workspace = replace(entry("workspace", 780), is_experiment=False)
    entries = [entry("other-1", 780), entry("best-1", 780), entry("best-2", 790, seed=1), workspace]
    assert [trial.name for trial in trials.read(entries, ["best-*"])[0]] == ["best-1", "best-2"]
    assert [trial.name for trial in trials.read(entries, ["workspace", "best-2"])[0]] == ["best-2", "workspace"]
    with pytest.raises(UserError, match="no experiment is called nobody"):
        trials.read(entries, ["best-*", "nobody"])


def test_parts_of_the_photos_and_other_test_photos_are_not_ranked_together() -> None:
    found = read(
        entry("quick", 800, split__fraction=0.15),
        entry("whole", 700),
        entry("other seed", 701, seed=1, split="of seed 1"),
        entry("quicker", 799, split__fraction=0.15, finetune__epochs=3),
        entry("corrected", 798, split="with corrections"),
        entry("fewer for test", 797, split__test_fraction=0.1),
    )
    sections = leaderboard.sections(found, HERE | {"split.fraction": 0.15})
    assert [([trial.name for trial in section.trials], section.note) for section in sections] == [
        (["whole", "other seed"], ""),
        (["corrected"], "other photos in the parts"),
        (["fewer for test"], "split.test_fraction = 0.1"),
        (["quick", "quicker"], "split.fraction = 0.15"),
    ]
    alone = leaderboard.sections(read(entry("quick", 800, split__fraction=0.15)), HERE)
    assert [section.note for section in alone] == ["split.fraction = 0.15"]
    page = leaderboard_page.markdown(sections, title="A title", figure="a.png", command="./tl leaderboard")
    assert page.index("| other seed |") < page.index("\n## split.fraction = 0.15\n") < page.index("| quicker |")
    assert page.count("Not to be compared with the table above") == 3


def test_old_settings_of_how_parts_are_drawn_are_like_new_ones_that_are_off() -> None:
    old = entry("old", 780, seed=1)
    assert old.found
    assert old.found.settings.pop("split.corrections", "") is None
    assert len(leaderboard.sections(read(old, entry("new", 790)), HERE)) == 1


def shown(found: list[trials.Trial], width: int) -> str:
    """What a terminal of this width shows."""
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
    leaderboard_table.show(leaderboard.sections(found, HERE), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_table_in_a_terminal_is_as_wide_as_it_and_no_wider() -> None:
    keys = ("finetune__fine_tune_at", "finetune__learning_rate", "finetune__epochs", "train_frozen__learning_rate",
            "train_frozen__epochs", "finetune__batch_size", "finetune__label_smoothing")  # fmt: skip
    found = read(*(entry(f"grid-{i:07}", 700 + i, **dict.fromkeys(keys, i + 0.000001)) for i in range(30)))
    wide, usual, narrow = shown(found, 250), shown(found, 120), shown(found, 80)
    for width, text in ((250, wide), (120, usual), (80, narrow)):
        lines = text.splitlines()
        assert max(map(len, lines[:-1])) <= width
        assert sum("grid-" in line for line in lines) == leaderboard_table.LINES
        assert lines[-1].startswith("10 more lines")
        assert "…" not in text
    assert "91.1% (" in wide
    assert "91.1%  " in usual
    assert "91.1%  " in narrow
    assert "no room for" not in wide
    assert "no room for " in narrow
    assert "finetune.label_smoothing" in narrow.splitlines()[-1]


def test_table_in_a_terminal_puts_parts_of_the_photos_apart() -> None:
    text = shown(read(entry("whole", 700), entry("quick", 800, split__fraction=0.15), entry("more", 701, seed=1)), 80)
    whole, quick = text.split("\nNot to be compared with those above, split.fraction = 0.15:\n")
    assert "quick" not in whole
    assert "mean" in whole
    assert "2 seeds" in whole
    assert "quick" in quick


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
    found = read(entry("a", 780), entry("b", 781, seed=1, finetune__fine_tune_at=120))
    assert leaderboard.varying([trial.settings for trial in found]) == ["finetune.fine_tune_at", "seed"]


def test_the_best_mean_over_seeds_comes_first_and_loss_decides_between_equals() -> None:
    found = read(
        entry("lucky", 790, finetune__fine_tune_at=80, seed=1),
        entry("unlucky", 760, finetune__fine_tune_at=80, seed=2),
        entry("steady", 780, finetune__fine_tune_at=120, loss=0.2),
        entry("surer", 780, finetune__fine_tune_at=130, loss=0.1),
    )
    groups = [[trial.name for trial in group] for group in leaderboard.ranked(found)]
    assert groups == [["surer"], ["steady"], ["lucky", "unlucky"]]


def test_table_has_interval_mean_and_spread() -> None:
    shares = [700 / 800, 720 / 800, 770 / 800]
    found = read(*(entry(f"s{seed}", round(800 * share), seed=seed) for seed, share in enumerate(shares)))
    sections = leaderboard.sections(found, HERE)
    table = leaderboard_page.markdown(sections, title="A title", figure="a.png", command="./tl leaderboard")
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
    found = read(*(entry(f"t{i}", 700 + i, **dict.fromkeys(keys, i)) for i in range(1, 4)))
    labels: list[str] = []
    drawn = leaderboard_figure._panel
    monkeypatch.setattr(
        leaderboard_figure,
        "_panel",
        lambda axis, chosen, key, part: (labels.append(f"{key} {part}"), drawn(axis, chosen, key, part)),
    )
    leaderboard_figure.draw(tmp_path / "a.png", found, title="t")
    assert sorted(labels) == sorted(
        f"{key.replace('__', '.')} {part}" for key in keys for part in ("validation", "test")
    )
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("key", ["finetune__learning_rate", "finetune__steps"])
def test_figure_of_a_setting_with_another_value_for_each_trial(key: str, tmp_path: Path) -> None:
    values = [f"steps {i}" if key.endswith("steps") else 10 ** (-i / 10) for i in range(60)]
    found = read(*(entry(f"t{i}", 700 + i, **{key: value}) for i, value in enumerate(values)))
    leaderboard_figure.draw(tmp_path / "a.png", found, title="t")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
