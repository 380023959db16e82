"""Settings that change while `dvc` runs are neither trained with nor written into dvc.lock without a word."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from filelock import FileLock
from support.clone import DEMO, ROOT, Clone

from transfer_learning.core.errors import UserError
from transfer_learning.stage import at_work
from transfer_learning.stage.same_settings import same_settings

WAITING_STAGE = """
import subprocess, time
from pathlib import Path
from transfer_learning.stage import process

def work():
    Path("begun").touch()
    while not Path("go").exists():
        time.sleep(0.05)
    subprocess.run(["git", "checkout", "--quiet", "reports/frozen"], check=True)
    Path("models/frozen.weights.h5").write_bytes(b"x")

process.run("train_frozen", work)
"""


def note(pid: int, mode: str = "write") -> None:
    """What DVC notes down while a stage runs."""
    entry = {"pid": pid, "cmd": "/a folder/bin/dvc repro -f"}
    at_work.FOLDER.mkdir(parents=True, exist_ok=True)
    at_work.NOTES.write_text(json.dumps({"write": {"/x": entry}} if mode == "write" else {"read": {"/x": [entry]}}))


def change(key: str, before: object, after: object) -> None:
    text = Path("params.yaml").read_text()
    assert f"{key}: {before}\n" in text
    Path("params.yaml").write_text(text.replace(f"{key}: {before}\n", f"{key}: {after}\n"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, name)
    return tmp_path


@pytest.mark.parametrize("mode", ["write", "read"])
def test_who_works_in_the_folder_is_named(folder: Path, mode: str) -> None:
    at_work.refuse_beside_others()
    note(os.getppid(), mode)
    with pytest.raises(UserError, match=rf"^`dvc repro -f` \(process {os.getppid()}\) works in this folder"):
        at_work.refuse_beside_others()
    note(os.getpid(), mode)  # the `dvc` that asks
    at_work.refuse_beside_others()
    note(next(pid for pid in range(4_000_000, 1, -1) if not psutil.pid_exists(pid)), mode)  # it was killed
    at_work.refuse_beside_others()
    at_work.HOLDER.write_text("stage split (process 1)")
    with FileLock(at_work.STAGE_LOCK), pytest.raises(UserError, match=r"^stage split \(process 1\) works in this"):
        at_work.refuse_beside_others()


def test_all_stages_of_one_dvc_have_the_settings_of_the_first(folder: Path) -> None:
    note(os.getppid())
    with same_settings("split"):
        pass
    change("boundary", "block_6_project_BN", "block_3_project_BN")
    said = "`dvc repro -f` has gone on until now with model.boundary = block_6_project_BN, which is block_3_project_BN"
    with pytest.raises(UserError, match=said), same_settings("train_frozen"):
        pass
    change("boundary", "block_3_project_BN", "block_6_project_BN")
    change("accuracy_tolerance", 0.01, 0.02)  # of gate, which no stage declares
    with same_settings("train_frozen"):
        pass
    change("seed", 42, 43)
    note(os.getpid())  # another one, which is none of our parents; then one by hand
    with same_settings("split"):
        pass
    at_work.NOTES.unlink()
    with same_settings("split"):
        pass


def test_a_process_with_the_number_of_an_earlier_one_is_another(folder: Path) -> None:
    note(os.getppid())
    with same_settings("split"):
        pass
    path = at_work.FOLDER / "settings.json"
    (values,) = json.loads(path.read_text()).values()
    path.write_text(json.dumps({f"{os.getppid()} 1.0": values | {"seed": 1}}))
    with same_settings("split"):
        pass


def test_a_setting_of_the_stage_that_changes_while_it_runs_fails_it(folder: Path) -> None:
    with same_settings("split"):
        change("dropout", 0.2, 0.3)  # none of its own
    with pytest.raises(UserError, match="split has run with seed = 42, which is 43 now"), same_settings("split"):
        change("seed", 42, 43)


@pytest.mark.parametrize(
    ("key", "before", "after", "said"),
    [
        ("threshold", 0.5, 0.6, "error: finetune: params.yaml was changed meanwhile: `dvc repro` has gone on until now "
         "with evaluate.threshold = 0.5, which is 0.6 now."),
        ("learning_rate", 0.01, 0.02, "error: train_frozen: params.yaml was changed meanwhile: train_frozen has run "
         "with train_frozen.learning_rate = 0.01, which is 0.02 now."),
    ],
)  # fmt: skip
def test_dvc_records_nothing_that_was_not_computed(
    key: str, before: float, after: float, said: str, demo_clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = demo_clone.copy(tmp_path)
    monkeypatch.chdir(clone.folder)
    (clone.folder / "src/train_frozen.py").write_text(WAITING_STAGE)
    params = Path("params.yaml").read_text()
    with open(tmp_path / "repro.log", "w") as log:
        process = subprocess.Popen(["dvc", "repro"], env=clone.environment, stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while not Path("begun").exists():
        assert process.poll() is None, (tmp_path / "repro.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    refused = f"error: `dvc repro` (process {process.pid}) works in this folder with params.yaml as it is: "
    assert clone.run("dvc", "exp", "run", *DEMO, "-S", "seed=7", code=2).startswith(refused)
    assert clone.run("dvc", "exp", "run", "--queue", *DEMO, code=2).startswith(refused)
    assert clone.run("python", "src/cli.py", "params", code=2).startswith("error: params: `dvc repro` (process ")
    assert Path("params.yaml").read_text() == params
    change(key, before, after)
    Path("go").touch()
    assert process.wait(120) != 0
    output = (tmp_path / "repro.log").read_text()
    assert said in output
    assert "Traceback" not in output
    assert f"{key}: {after}" not in Path("dvc.lock").read_text()
