"""./tl disk and ./tl tidy: where the gigabytes are, and what goes without harm to what stays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.clone import Clone
from support.stores import runs, store_of

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import disk, finished, revisions, tidy


def objects(clone: Clone) -> int:
    """Bytes of DVC's cache."""
    return sum(path.lstat().st_blocks * 512 for path in (clone.folder / ".dvc/cache/files/md5").glob("??/*"))


def experiments(clone: Clone) -> set[str]:
    refs = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return {ref.rpartition("/")[2] for ref in refs if ref.count("/") == 4}


def megabytes(said: str, pattern: str) -> float:
    (found,) = re.findall(rf"{pattern}\D*?(\d+) MB", said)
    return float(found)


def test_what_is_worth_nothing_goes_and_what_stays_is_whole(swept: Clone, tmp_path: Path) -> None:
    clone = swept.copy(tmp_path / "clone", store=True, experiments=True)
    clone.call("promote", "bins")
    before, sizes = experiments(clone), objects(clone)
    assert before == {"inside", "bins", "worse", "q-1", "q-2"}
    said = clone.call("disk")
    parts = ("here, branches, tags", "5 experiments", "of nobody, or in git")
    assert sum(megabytes(said, name) for name in parts) == pytest.approx(sizes / 1e6, abs=2)

    words = ("q-1", "--best", "1")
    planned = clone.call("tidy", *words)
    assert "stays, named: q-1\nstays, in MLflow's registry: bins\n" in planned
    assert "nothing is removed yet" in planned
    assert (experiments(clone), objects(clone)) == (before, sizes)
    (goes,) = re.findall(r"^goes: (.*)$", planned, re.MULTILINE)
    gone = goes.split(", ")
    kept = before - set(gone)
    assert {"q-1", "bins"} <= kept < before  # the best one may be one of them

    client = store_of(clone.folder)
    (theirs,), (stopped,) = (runs(client, stage="finetune", dvc_experiment=name) for name in ("q-1", gone[0]))
    for run in (theirs, stopped):  # somebody's deletion, which `record` heeds; and as of a removal that was stopped
        client.delete_run(run.info.run_id)

    done = clone.run("python", "src/cli.py", "tidy", *words, "--yes")
    assert done == planned.partition("nothing is removed yet")[0] + "removed\n"
    assert experiments(clone) == kept
    assert megabytes(done, "frees") == pytest.approx((sizes - objects(clone)) / 1e6, abs=1)
    assert "up to date" in clone.run("dvc", "status")
    found = runs(client, stage="finetune")
    assert {run.data.tags["dvc_experiment"] for run in found} == {"workspace", *kept} - {"q-1"}
    assert client.get_run(theirs.info.run_id).info.lifecycle_stage == "deleted"
    assert not Path(stopped.info.artifact_uri.removeprefix("file://")).exists()
    assert len(list((clone.folder / "mlartifacts/drawn/models").glob("*/artifacts"))) == len(found) + 1
    assert "nothing was missing" in clone.call("record")
    clone.run("dvc", "exp", "apply", "q-1")
    assert "up to date" in clone.run("dvc", "status")
    assert (clone.folder / "models/model.keras").exists()


def test_the_best_are_of_each_set_of_photos_and_of_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        ("low", "a", 1, 0.7), ("older", "a", 1, 0.9), ("newer", "a", 1, 0.9), ("part", "a", 0.5, 0.99),
        ("other", "b", 1, 0.1), ("unfinished", "b", 1, None), ("kept-0123456", "a", 1, None), ("mine", "a", 1, 0.2),
    ]  # fmt: skip
    listed = [revisions.Experiment(name, "1" * 40, "0" * 40) for name, *_ in rows]
    found = [
        None if accuracy is None else finished.Finished(
            {"data.name": photos, "split.fraction": fraction}, {}, {tidy.TUNED: {"val_accuracy": accuracy}}
        )
        for _, photos, fraction, accuracy in rows
    ]  # fmt: skip
    monkeypatch.setattr(revisions, "experiments", lambda: listed)
    monkeypatch.setattr(revisions, "in_workspace", lambda among: None)
    monkeypatch.setattr(finished, "of_commits", lambda commits: found)
    planned = tidy.plan(["mi*"], 1, lambda one: False)
    stays = {why: [one.name for one in stay] for why, stay in planned.stays.items() if stay}
    best = {"best 1 on validation": ["newer", "other"]}
    assert stays == {"named": ["mine"], "what restore has kept": ["kept-0123456"]} | best
    assert [one.name for one in planned.gone] == ["low", "older", "part", "unfinished"]
    assert [one.name for one in tidy.plan([], 0, lambda one: one.name == "low").gone] == [
        "older", "newer", "part", "other", "unfinished", "mine",
    ]  # fmt: skip


def test_a_name_of_nothing_and_a_wrong_number_remove_nothing(swept: Clone) -> None:
    assert swept.call("tidy", "nobody", "--yes", code=2) == (
        "error: tidy: no experiment is named nobody: `dvc exp list --all` shows them\n"
    )
    assert "--best -1: must be a whole number of 0 or more" in swept.call("tidy", "--best", "-1", code=2)


def test_all_go_or_none(swept: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = swept.copy(tmp_path / "clone", experiments=True, data=False)
    monkeypatch.chdir(clone.folder)
    one, other, *_ = revisions.experiments()
    moved = revisions.Experiment(other.name, one.commit, other.baseline)  # as if somebody had run it again meanwhile
    with pytest.raises(UserError, match="git update-ref"):
        tidy.remove([one, moved])
    assert {one, other} <= set(revisions.experiments())
    tidy.remove([one, other])
    assert not {one, other} & set(revisions.experiments())


def test_links_count_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(100_000))
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    counted: set[tuple[int, int]] = set()
    assert 100_000 <= disk.size(tmp_path / "one", counted) < 150_000
    assert disk.size(tmp_path / "two", counted) == 0
