"""What CI and pre-commit guard: each check finds its own fault, and the others stay silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Clone


@pytest.fixture
def clone(demo_clone: Clone, tmp_path: Path) -> Clone:
    """The demo's results as committed, with conf/ composing to them, in a clone without data and without a cache."""
    copy = demo_clone.copy(tmp_path / "clone")
    copy.run("rm", "-rf", ".dvc/cache", "data/raw", "data/features", "models")
    config = copy.folder / "conf/config.yaml"
    text = config.read_text().replace("  - _self_\n", "  - _self_\n  - experiment: demo\n")
    config.write_text(text)
    copy.commit("the demo is the default")
    return copy


def edit(clone: Clone, path: str, change: Callable[[str], str]) -> None:
    target = clone.folder / path
    changed = change(target.read_text())
    assert changed != target.read_text()
    target.write_text(changed)


def large(clone: Clone) -> None:
    (clone.folder / "photo.bin").write_bytes(bytes(2_000_000))
    clone.run("git", "add", "photo.bin")


def unmerged(clone: Clone) -> None:
    for branch in ("one", "two"):
        clone.run("git", "checkout", "--quiet", "-B", branch, "main")
        edit(clone, "README.md", lambda text, branch=branch: f"{branch}\n{text}")  # type: ignore[misc]
        clone.commit(branch)
    clone.run("git", "merge", "--quiet", "one", code=1)


def test_everything_fits_in_a_clone_without_data(clone: Clone) -> None:
    lines = clone.run("python", "src/check.py").splitlines()
    assert len(lines) == 5
    assert all(line.startswith("ok     ") for line in lines), lines


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (
            lambda clone: edit(clone, "conf/experiment/demo.yaml", lambda text: text.replace("size: 64", "size: 48")),
            "params.yaml is the composition of conf/: images.size differs: edit conf/, then `make params`",
        ),
        (
            lambda clone: edit(clone, "src/train_frozen.py", lambda text: f"{text}# other code\n"),
            "dvc.lock is of this code and these settings: train_frozen would run again: `dvc repro`",
        ),
        (
            lambda clone: edit(clone, "reports/test/metrics.json", lambda text: text.replace("accuracy", "acuracy")),
            "reports/ is of dvc.lock: reports/test/metrics.json is not what evaluate wrote: `dvc repro`",
        ),
        (large, "no file in git is over 1 MB: photo.bin has 2.0 MB: large files are for DVC"),
        (unmerged, "every merge is resolved: README.md is not: resolve it"),
    ],
    ids=["params", "code", "results", "large file", "merge"],
)
def test_a_fault_is_named_with_the_remedy(clone: Clone, change: Callable[[Clone], None], wrong: str) -> None:
    change(clone)
    lines = clone.run("python", "src/check.py", code=1).splitlines()
    assert next(line for line in lines if line.startswith("wrong")).startswith(f"wrong  {wrong}")
    assert sum(line.startswith("ok") for line in lines) >= 3


def test_settings_that_cannot_be_read_do_not_hide_the_other_checks(clone: Clone) -> None:
    (clone.folder / "params.yaml").write_text("- 1\n")
    (clone.folder / "reports/test/metrics.json").unlink()
    printed = clone.run("python", "src/check.py", code=1)
    assert "Traceback" not in printed
    assert "wrong  reports/ is of dvc.lock" in printed
