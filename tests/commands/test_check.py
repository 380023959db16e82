"""What CI and pre-commit guard: each check finds its own fault, and the others stay silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.clone import Clone

LOCK = "dvc.lock is of this code and these settings"


@pytest.fixture(scope="module")
def shared(demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    copy = demo_clone.copy(tmp_path_factory.mktemp("check") / "clone", data=False)
    config = copy.folder / "conf/config.yaml"
    text = config.read_text().replace("  - _self_\n", "  - _self_\n  - experiment: demo\n")
    config.write_text(text)
    copy.commit("the demo is the default")
    return copy, copy.run("git", "rev-parse", "HEAD").strip()


@pytest.fixture
def clone(shared: tuple[Clone, str]) -> Clone:
    """The demo's results as committed, with conf/ composing to them, in a clone without data and without a cache."""
    copy, commit = shared
    copy.back_to(commit)
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


def committed_unmerged(clone: Clone) -> None:
    unmerged(clone)
    clone.commit("both sides and git's marks between them")


def test_everything_fits_in_a_clone_without_data(clone: Clone) -> None:
    lines = clone.run("python", "src/cli.py", "check").splitlines()
    assert len(lines) == 5
    assert all(line.startswith("ok     ") for line in lines), lines


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (
            lambda clone: edit(clone, "conf/experiment/demo.yaml", lambda text: text.replace("size: 64", "size: 48")),
            ["params.yaml is the composition of conf/: images.size differs: edit conf/, then `make params`"],
        ),
        (
            lambda clone: edit(clone, "params.yaml", lambda text: text.replace("epochs: 6", "epochs: 7")),
            ["params.yaml is the composition of conf/: finetune.epochs differs", f"{LOCK}: train_frozen would run"],
        ),
        (
            lambda clone: edit(clone, "src/fetch.py", lambda text: f"{text}# other code\n"),
            [f"{LOCK}: fetch would run again: `dvc repro`, then commit dvc.lock and reports/"],
        ),
        (
            lambda clone: edit(clone, "src/finetune.py", lambda text: f"{text}# other code\n"),
            [f"{LOCK}: finetune would run again: `dvc repro`, then commit dvc.lock and reports/"],
        ),
        (
            lambda clone: edit(clone, "reports/test/metrics.json", lambda text: text.replace("accuracy", "acuracy")),
            [f"{LOCK}: evaluate would run", "reports/ is of dvc.lock: reports/test/metrics.json is not what evaluate"],
        ),
        (
            lambda clone: (clone.folder / "reports/test/roc.png").unlink(),
            ["reports/ is of dvc.lock: reports/test/roc.png is not what evaluate wrote: `dvc repro`"],
        ),
        (
            lambda clone: (clone.folder / "dvc.lock").unlink(),
            [
                f"{LOCK}: fetch would run",
                "reports/ is of dvc.lock: the workspace has no dvc.lock: `dvc repro`",
            ],
        ),
        (large, ["no file in git is over 1 MB: photo.bin has 2.0 MB: large files are for DVC"]),
        (unmerged, ["every merge is resolved: README.md is not: resolve it"]),
        (committed_unmerged, ["every merge is resolved: README.md is not: resolve it"]),
    ],
    ids=["conf", "params", "first code", "code", "results", "no figure", "no lock", "large file", "merge", "marks"],
)
def test_a_fault_is_named_with_the_remedy_and_nothing_else_is(
    clone: Clone, change: Callable[[Clone], None], wrong: list[str]
) -> None:
    change(clone)
    lines = clone.call("check", code=1).splitlines()
    assert len(lines) == 5
    said = [line for line in lines if not line.startswith("ok     ")]
    assert len(said) == len(wrong), said
    for line, beginning in zip(said, wrong, strict=True):
        assert line.startswith(f"wrong  {beginning}")


@pytest.mark.parametrize(("data", "said"), [("here", "read another data/split.csv"), ("not here", "would run again")])
def test_a_merge_of_two_results_into_one_dvc_lock_is_found(
    clone: Clone, demo_clone: Clone, tmp_path: Path, data: str, said: str
) -> None:
    """Git may merge two edits of dvc.lock that do not touch each other: then one stage's input is no other's output."""
    if data == "here":
        clone = demo_clone.copy(tmp_path / "with data")
    locked = yaml.safe_load((clone.folder / "dvc.lock").read_text())["stages"]
    (digest,) = (out["md5"] for out in locked["split"]["outs"])
    edit(clone, "dvc.lock", lambda text: text.replace(digest, "0a" * 16, 1))  # the output, not yet its readers
    assert f"wrong  {LOCK}: featurize {said}" in clone.call("check", code=1)


def test_settings_that_cannot_be_read_do_not_hide_the_other_checks(clone: Clone) -> None:
    (clone.folder / "params.yaml").write_text("- 1\n")
    (clone.folder / "reports/test/metrics.json").unlink()
    printed = clone.call("check", code=1)
    assert "Traceback" not in printed
    assert "wrong  reports/ is of dvc.lock" in printed
