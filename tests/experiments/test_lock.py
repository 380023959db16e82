"""dvc.lock has one reader: what is missing or broken is said in one line, and what differs by file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.clone import Clone

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import lock, revisions

BROKEN = {
    "conflict": "stages:\n<<<<<<< HEAD\n  fetch: {}\n=======\n>>>>>>> other\n",
    "list": "- 1\n",
    "text": "stages",
    "no stages": "schema: '2.0'\n",
    "stage": "stages: {fetch: 1}\n",
    "output": "stages: {fetch: {outs: [{md5: abc}]}}\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_one_is_one_line(kind: str) -> None:
    with pytest.raises(UserError, match=r"^dvc\.lock of main cannot be read: [^\n]+$"):
        lock.parse(BROKEN[kind], "main")


def test_small_numbers_are_numbers() -> None:
    (stage,) = lock.parse("stages: {split: {params: {params.yaml: {rate: 1e-05}}}}", "x").values()
    assert stage["params"]["params.yaml"]["rate"] == 1e-05


@pytest.fixture(scope="module")
def spoilt(demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A copy of the demo whose newest commits have no dvc.lock (`missing`) and a broken one (`broken`)."""
    clone = demo_clone.copy(tmp_path_factory.mktemp("spoilt") / "clone", store=True)
    for name, text in (("missing", None), ("broken", BROKEN["conflict"])):
        clone.run("git", "checkout", "--quiet", "-b", name, "main")
        (clone.folder / "dvc.lock").unlink()
        if text:
            (clone.folder / "dvc.lock").write_text(text)
        clone.commit(name)
    return clone


@pytest.mark.parametrize(
    ("command", "code", "missing"),
    [
        ("lockdiff main", 2, "the workspace has no dvc.lock: `dvc repro` writes it"),
        ("lockdiff {name} main", 2, "{name} has no dvc.lock: `dvc repro` writes it"),
        ("lockdiff main {folder}", 2, "{folder} has no dvc.lock: `dvc repro` writes it"),
        ("compare main", 2, "workspace has no dvc.lock: it has no results yet"),
        ("compare {name} main", 2, "{name} ({commit}) has no dvc.lock: it has no results yet"),
        ("report", 2, "the workspace has not run to its end with these settings: `dvc repro` does that"),
        ("promote", 2, "the workspace has not run to its end with these settings: `dvc repro` does that"),
        ("record", 0, "workspace: not recorded, its results are not those of params.yaml: `dvc repro` first"),
        ("leaderboard", 2, "the workspace has no dvc.lock: `dvc repro` writes it"),
        ("check", 1, "wrong  reports/ is of dvc.lock: the workspace has no dvc.lock: `dvc repro` writes it"),
    ],
)
def test_every_command_says_what_is_missing_or_broken(spoilt: Clone, command: str, code: int, missing: str) -> None:
    for name in ("missing", "broken"):
        spoilt.run("git", "checkout", "--quiet", name)
        commit = spoilt.run("git", "rev-parse", "--short=7", "HEAD").strip()
        values = {"name": name, "commit": commit, "folder": str(spoilt.folder)}
        words = command.format(**values).split()
        said = spoilt.call(*words, code=code)  # 0 for `record`: it records the others
        assert "Traceback" not in said
        if name == "missing":
            assert missing.format(**values) in said
        else:
            lines = [line for line in said.splitlines() if "dvc.lock of " in line]
            assert len(lines) == (2 if command == "check" else 1)
            assert all("cannot be read: `git checkout` a whole one, or name another revision" in line for line in lines)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments], cwd=folder, check=True)


def test_files_of_a_folder_of_code_that_differ_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "src/room"
    (room / "__pycache__").mkdir(parents=True)
    for name in ("same.py", "changed.py", "gone.py", "__pycache__/same.pyc"):
        (room / name).write_text(name)
    (tmp_path / "src/split.py").write_text("a file")
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    monkeypatch.chdir(tmp_path)
    before = revisions.head()
    (room / "changed.py").write_text("other")
    (room / "gone.py").unlink()
    (room / "new.py").write_text("new")
    (tmp_path / "src/split.py").write_text("another")

    def state(md5: str, source: Path | str) -> lock.State:
        deps = [{"path": path, "md5": md5} for path in ("src/room", "src/split.py", "data/raw")]
        return lock.State({"split": {"deps": deps}}, {}, source)

    (found,) = lock.differences(state("1", before), state("2", Path()))
    assert found.inputs_by_file == ["data/raw", "src/room (changed.py, gone.py, new.py)", "src/split.py"]
    git(tmp_path, "add", "src")
    git(tmp_path, "commit", "--quiet", "--message", "two")
    assert lock.differences(state("1", before), state("2", revisions.head())) == [found]
