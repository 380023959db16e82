"""Between sets of photos: an experiment becomes the default, and what is committed comes back; nothing is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.clone import Clone

from transfer_learning.experiments import lock, undo
from transfer_learning.stage import timing

ADOPT, RESTORE = (("python", "src/cli.py", command) for command in ("adopt", "restore"))


def tracked(clone: Clone) -> dict[str, bytes]:
    """Content of every file that git has, and of the model."""
    names = [*clone.run("git", "ls-files").splitlines(), "models/model.keras", "data/split.csv"]
    return {name: (clone.folder / name).read_bytes() for name in names if (clone.folder / name).exists()}


def test_an_experiment_becomes_the_default_and_what_is_committed_comes_back(swept: Clone, tmp_path: Path) -> None:
    """Across groups: conf/ has cats and dogs and MobileNetV2, the experiment drawn pictures and another network."""
    clone = swept.copy(tmp_path / "clone", experiments=True)
    committed = tracked(clone)
    said = clone.run(*ADOPT, "inside")
    assert "inside is the default now: conf/config.yaml, conf/model/small_cnn.yaml; `git diff conf`" in said
    assert "kept" not in said  # there was nothing to keep
    assert clone.call("check").count("ok     ") == 5
    assert "up to date" in clone.run("dvc", "status")
    adopted = tracked(clone)
    assert adopted["models/model.keras"] != committed["models/model.keras"]
    taken = clone.run("git", "diff", "--unified=0", "conf").splitlines()
    assert "+  - model: small_cnn" in taken
    assert "+  fine_tune_at: 0" in taken
    assert not [line for line in taken if line.startswith(("-#", "-  #"))]  # people's comments

    assert "conf/config.yaml, conf/model/small_cnn.yaml" in clone.run(*RESTORE, code=2)  # edits of conf/
    assert tracked(clone) == adopted
    said = clone.run(*RESTORE, "--force")
    assert tracked(clone) == committed
    assert "up to date" in clone.run("dvc", "status")
    name = said.partition("is the experiment ")[2].partition(":")[0]
    clone.run("dvc", "exp", "apply", name)
    assert tracked(clone) == adopted


def test_nothing_of_the_workspace_is_lost(swept: Clone, tmp_path: Path) -> None:
    """Settings edited by hand after an experiment was applied are kept as they are, with the results that they lack."""
    clone = swept.copy(tmp_path / "clone", experiments=True)
    committed = tracked(clone)
    clone.run("dvc", "exp", "apply", "bins")
    assert "is the experiment bins: " in clone.call("restore")  # there already: no second one
    assert tracked(clone) == committed
    (clone.folder / "note.txt").write_text("untracked\n")
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("seed: 42", "seed: 43") + "# mine\n")
    edited = params.read_text()
    name = clone.call("restore").partition("is the experiment ")[2].partition(":")[0]
    assert tracked(clone) == committed
    assert (clone.folder / "note.txt").exists()
    assert clone.run("git", "show", f"refs/exps/{head(clone)[:2]}/{head(clone)[2:]}/{name}:params.yaml") == edited


def append(path: Path) -> None:
    path.write_text(path.read_text() + "# mine\n")


def head(clone: Clone) -> str:
    return clone.run("git", "rev-parse", "HEAD").strip()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: append(folder / "conf/config.yaml"), "conf/config.yaml: edited and not"),
        (lambda folder: append(folder / "src/fetch.py"), "bins was made with other code"),
        (lambda folder: (folder / ".dvc/tmp").mkdir(exist_ok=True), "no experiment is named bins"),
    ],
)
def test_what_cannot_be_the_default_is_refused(
    spoil: Callable[[Path], object], said: str, swept: Clone, tmp_path: Path
) -> None:
    clone = swept.copy(tmp_path / "clone", experiments="no experiment" not in said, data=False)
    spoil(clone.folder)
    before = tracked(clone)
    output = clone.call("adopt", "bins", code=2)
    assert said in output
    assert len(output.splitlines()) == 1
    assert tracked(clone) == before


def test_several_files_are_written_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an error at once; after a kill when the next command begins."""
    monkeypatch.chdir(tmp_path)
    old, new = Path("conf/old.yaml"), Path("conf/new.yaml")
    old.parent.mkdir()
    old.write_text("before")

    def write() -> None:
        old.write_text("after")
        new.write_text("after")

    with undo.all_or_none([old, new]):
        write()
    assert (old.read_text(), new.read_text(), undo.undo()) == ("after", "after", False)
    old.write_text("before")
    new.unlink()

    def stopped() -> None:
        with undo.all_or_none([old, new]):
            write()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert (old.read_text(), new.exists()) == ("before", False)
    child = os.fork()
    if not child:
        with undo.all_or_none([old, new]):
            write()
            os._exit(9)
    os.waitpid(child, 0)
    assert old.read_text() == "after"
    with undo.alone():
        assert (old.read_text(), new.exists(), undo.BEFORE.exists()) == ("before", False, False)


def test_times_are_of_exactly_these_results(demo_clone: Clone) -> None:
    stages = lock.by_stage(lock.read(demo_clone.folder))
    assert timing.measured(stages, workspace=demo_clone.folder).keys() == stages.keys()
    assert timing.measured(stages, timing.ran_for("other", "0" * 40), demo_clone.folder) == {}
    for outputs in stages.values():  # folders too, as DVC digests them
        assert {path: timing.as_in_lock(demo_clone.folder / path) for path in outputs} == outputs
    stages["evaluate"]["models/model.keras"] = "0" * 32
    assert "evaluate" not in timing.measured(stages, workspace=demo_clone.folder)


def test_the_table_says_what_it_is_about(demo_clone: Clone, swept: Clone, tmp_path: Path) -> None:
    clone = swept.copy(tmp_path / "clone", experiments=True)
    (clone.folder / ".dvc/tmp").mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", demo_clone.folder / ".dvc/tmp/seconds", clone.folder / ".dvc/tmp"], check=True)
    summary = ("python", "src/cli.py", "summary")
    said = clone.run(*summary)
    assert f"Results of the workspace, as committed in {head(clone)[:7]}" in said
    assert "photos: drawn (drawn), 300 for training, " in said
    assert "time to compute this: fetch" in said
    (clone.folder / "models/model.keras").unlink()
    locked = clone.folder / "dvc.lock"
    model = lock.outputs(lock.read(clone.folder))["models/model.keras"]
    locked.write_text(locked.read_text().replace(model, "0" * 32))
    said = clone.run(*summary)
    assert "Results of the workspace, not committed" in said
    assert "; not measured here: evaluate" in said
