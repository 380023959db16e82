"""./tl leaderboard on real experiments: from git alone, in seconds however many there are, and onto a page."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from support import many_trials
from support.clone import Clone

from transfer_learning.experiments import kept, revisions
from transfer_learning.reporting import leaderboard, trials


def test_experiments_are_read_by_as_many_processes_however_many_there_are(
    swept: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = swept.copy(tmp_path / "clone", experiments=True, data=False)
    monkeypatch.chdir(clone.folder)
    processes: list[str] = []
    asked = revisions._git
    monkeypatch.setattr(
        revisions, "_git", lambda *words, **options: (processes.append(words[0]), asked(*words, **options))[1]
    )
    few = trials.read(trials.candidates())[0]
    count = len(processes)
    many_trials.add(clone, "inside", 200)
    inside = revisions.experiment("inside")
    place = f"refs/exps/{inside.baseline[:2]}/{inside.baseline[2:]}"
    for words in (  # as `dvc exp rename` and `dvc exp branch` do it
        ["git", "update-ref", f"{place}/better", inside.commit],
        ["git", "update-ref", "-d", f"{place}/inside"],
        ["git", "branch", "good", inside.commit],
    ):
        clone.run(*words)
    (clone.folder / "params.yaml").write_text(Path("params.yaml").read_text().replace("rate: 0.01", "rate: 0.02"))
    assert (edited := kept.keep("for its settings there are no results"))
    processes.clear()
    candidates = trials.candidates()
    many, left_out = trials.read(candidates)
    assert len(processes) == count
    assert len(many) == len(few) + 200  # HEAD in place of the workspace, which has no results now
    assert left_out == 2
    assert {name for one in candidates if one.found is None for name in one.names} == {edited, "workspace"}
    assert ("better", "good") in {trial.names for trial in many}
    assert {trial.results["finetune/val_loss"] for trial in many} >= {1 / (one + 1) for one in range(200)}


@pytest.mark.full
def test_a_thousand_experiments_take_seconds(swept: Clone, tmp_path: Path) -> None:
    clone = swept.copy(tmp_path / "clone", experiments=True, data=False)
    many_trials.add(clone, "inside", 1000)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = clone.run("python", "src/cli.py", "leaderboard")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "1006 experiments in reports/leaderboard.md and reports/leaderboard.png" in said
    seconds = sum(getattr(after, kind) - getattr(before, kind) for kind in ("ru_utime", "ru_stime"))
    assert seconds < 10, f"{seconds:.1f} s of the processor"


@pytest.mark.full  # the test of sweeps makes a page too
def test_command_writes_table_and_figure(demo_clone: Clone, swept: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path / "none", data=False)
    assert "1 experiments in reports/leaderboard.md\n" in clone.run("python", "src/cli.py", "leaderboard")
    assert not (clone.folder / "reports/leaderboard.png").exists()
    clone = swept.copy(tmp_path / "some", experiments=True)
    said = clone.run("python", "src/cli.py", "leaderboard")
    assert "6 experiments in reports/leaderboard.md and reports/leaderboard.png" in said
    table = (clone.folder / "reports/leaderboard.md").read_text()
    varying = "finetune.fine_tune_at | finetune.learning_rate | evaluate.threshold | evaluate.calibration_bins"
    assert f"| experiment | {varying} | validation | test | {leaderboard.AGAINST} | time |" in table
    rows = {"bins": (4, 0.001, 0.5, 5), "inside": (0, 0.001, 0.5, 10), "q-1": (4, 0.002, 0.5, 10),
            "workspace": (4, 0.001, 0.5, 10)}  # fmt: skip
    assert all(f"| {name} | {' | '.join(map(str, values))} |" in table for name, values in rows.items()), table
    chosen = ("bins", "workspace", "--validation", "--title", "Some", "--out", "some/few.md")
    said = clone.run("python", "src/cli.py", "leaderboard", *chosen)
    assert said.endswith("\n2 experiments in some/few.md and some/few.png\n")
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
