"""What git says of the code, and that a failure of git's is said and not taken for an answer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import revisions

DAG = """stages:
  split:
    desc: about
    cmd: python src/split.py
    deps:
    - data/raw
    - src/split.py
    - src/room
"""
FILES = {"dvc.yaml": DAG, "src/split.py": "1", "src/room/a.py": "1", "src/other.py": "1", "README.md": "1"}


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The commit of a repository with a stage, its code, and other code."""
    monkeypatch.chdir(tmp_path)
    Path("src/room").mkdir(parents=True)
    for name, text in FILES.items():
        Path(name).write_text(text)
    git("init", "--quiet")
    return commit()


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments], check=True)


def commit() -> str:
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", "x")
    return revisions.head()


@pytest.mark.parametrize(
    ("path", "text", "changed"),
    [
        ("README.md", "2", False),
        ("src/other.py", "2", False),
        ("dvc.yaml", DAG.replace("about", "in other words"), False),
        ("dvc.yaml", DAG + "plots: []\n", False),
        ("dvc.yaml", DAG.replace("python", "python -O"), True),
        ("src/split.py", "2", True),
        ("src/room/a.py", "2", True),
        ("src/room/new.py", "2", True),
    ],
)
def test_the_code_has_changed_where_what_dvc_yaml_declares_has(start: str, path: str, text: str, changed: bool) -> None:
    assert not revisions.code_changed(start)
    Path(path).write_text(text)
    assert revisions.code_changed(start) == changed
    assert revisions.code_changed(start, commit()) == changed


def test_a_failure_of_git_is_an_error_with_its_line(start: str) -> None:
    with pytest.raises(UserError, match=r"^git [^\n]+$"):
        revisions.code_changed("0" * 40)
    Path(".git/index").write_text("broken")
    with pytest.raises(UserError, match=r"^git [^\n]+index[^\n]+$"):
        revisions.code_changed(start)


def test_dvc_is_that_of_this_python_without_an_active_environment(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert revisions.dvc("--version").startswith("3.")
    with pytest.raises(UserError, match=r"^dvc status: ERROR: "):
        revisions.dvc("status")
