"""States of trainings: whole or not at all, bounded, shared by processes, never in the way of a training."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.clone import ROOT
from support.phases import fine_tuning, phase

from transfer_learning.core.errors import UserError
from transfer_learning.settings.phases import Phase
from transfer_learning.stage import at_work, kept_epochs, timing
from transfer_learning.stage.kept_epochs import KeptEpochs


def keep(kept: KeptEpochs, *epochs: int, size: int = 1000) -> None:
    for epoch in epochs:
        kept.keep(epoch, lambda path, text=f"{epoch} ": path.write_text(text * (size // len(text))))


def latest(kept: KeptEpochs, last: int) -> str | None:
    """The number that the state found begins with."""
    return kept.latest(last, lambda path: path.read_text().split()[0])


def test_the_latest_state_of_the_same_beginning_is_taken(tmp_path: Path) -> None:
    kept = KeptEpochs(tmp_path).beginning({"rate": 1.0})
    keep(kept, 0, 1, 2, 10)
    assert [latest(kept, last) for last in (0, 1, 5, 10, 11)] == ["0", "1", "2", "10", "10"]
    assert latest(KeptEpochs(tmp_path).beginning({"rate": 1.0}), 5) == "2"
    assert latest(KeptEpochs(tmp_path).beginning({"rate": 2.0}), 5) is None
    assert latest(kept.beginning("more"), 5) is None
    assert latest(KeptEpochs(tmp_path, kept.key, anew=True), 5) is None
    assert latest(KeptEpochs(tmp_path, kept.key, megabytes=0), 5) is None
    keep(KeptEpochs(tmp_path / "off", megabytes=0), 1)
    assert not (tmp_path / "off").exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied"])
def test_a_damaged_state_is_said_and_the_one_before_it_taken(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = KeptEpochs(tmp_path, "key")
    keep(kept, 1, 2)
    (path,) = tmp_path.glob("key-00002-*")
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-1], "changed": content[:500] + b"!" + content[501:], "emptied": b""}[damage])
    assert latest(kept, 2) == "1"
    assert capsys.readouterr().out == "the state kept of epoch 2 is damaged: what it would spare is computed anew\n"
    assert not path.exists()
    keep(kept, 2)
    assert latest(kept, 2) == "2"


def test_the_folder_is_bounded_and_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    kept = KeptEpochs(tmp_path, "a", megabytes=1)
    keep(kept, 1, 2, 3, 4, size=200_000)
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        os.utime(path, (number, number))
    (tmp_path / ".b-1.partial-999999999").write_bytes(bytes(50_000))  # of a process that was killed
    os.utime(tmp_path / ".b-1.partial-999999999", (0, 0))
    assert latest(kept, 1) == "1"  # used now
    keep(KeptEpochs(tmp_path, "b", megabytes=1), 1, 2, size=200_000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1_000_000
    assert sorted(path.name[:7] for path in tmp_path.iterdir()) == ["a-00001", "a-00004", "b-00001", "b-00002"]
    (tmp_path / f".b-1.partial-{os.getpid()}").touch()  # somebody writes it
    os.utime(tmp_path / f".b-1.partial-{os.getpid()}", (0, 0))
    keep(kept, 5, size=2_000_000)  # larger than all that may be: a killed training goes on all the same
    assert sorted(path.name[:7] for path in tmp_path.iterdir()) == [".b-1.pa", "a-00005"]


def test_small_states_are_bounded_by_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_epochs, "MOST", 3)
    keep(KeptEpochs(tmp_path, "a"), *range(5))
    keep(KeptEpochs(tmp_path, "b"), 7)
    assert len(list(tmp_path.iterdir())) == 3


def test_on_a_disk_that_is_nearly_full_the_latest_state_alone_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, total = KeptEpochs(tmp_path, "a"), 10**9
    monkeypatch.setattr("shutil.disk_usage", lambda folder: shutil._ntuple_diskusage(total, total - 20_000, 20_000))
    keep(kept, 1, 2, 3)
    assert len(list(tmp_path.iterdir())) == 3
    keep(kept, 4, size=3000)
    assert [path.name[:7] for path in tmp_path.iterdir()] == ["a-00004"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_that_takes_nothing_ends_no_training_and_is_said_once(
    tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(number, os.strerror(number))

    kept = KeptEpochs(tmp_path, "a")
    keep(kept, 1)
    kept.keep(2, fails)
    kept.keep(3, fails)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"warning: epochs are not kept, {tmp_path} cannot be used ({os.strerror(number)}): training goes on, stopped "
        "it begins anew"
    )
    assert len(list(tmp_path.iterdir())) == 1
    assert latest(kept, 3) == "1"
    (tmp_path / "file").touch()
    keep(KeptEpochs(tmp_path / "file", "a"), 1)
    assert "file cannot be used (File exists)" in capsys.readouterr().err


HAMMER = """
import sys
from pathlib import Path
from transfer_learning.stage.kept_epochs import KeptEpochs
kept = KeptEpochs(Path(sys.argv[1]), "key", megabytes=1)
def write(path):
    path.write_text(f"{number % 20} " * 40_000)
def read(path):
    numbers = set(path.read_text().split())
    assert len(numbers) == 1, "torn"
    return int(numbers.pop())
for number in range(200):
    kept.keep(number % 20, write)
    found = kept.latest(number % 20, read)
    assert found is None or found <= number % 20
"""


def test_processes_that_keep_take_and_make_room_at_once_see_whole_states_only(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", HAMMER, str(tmp_path)]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    running = [subprocess.Popen(command, env=environment, **output) for _ in range(2)]
    assert [(process.communicate()[0], process.returncode) for process in running] == [("", 0)] * 2
    assert 0 < sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1_200_000


def test_a_bound_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_EPOCHS_MB", "2 GB")
    with pytest.raises(UserError, match="TL_EPOCHS_MB = '2 GB' in the environment: must be a whole number of megabyt"):
        kept_epochs._megabytes()


@pytest.mark.parametrize(
    ("command", "forced"),
    [
        ("dvc repro --force", True), ("dvc exp run -f --temp", True), ("dvc repro -sf finetune", True),
        ("dvc exp run --no-run-cache", True), ("dvc repro finetune", False),
        ("dvc exp run --name -S finetune.epochs=5 -S seed=1 --files", False),
    ],
)  # fmt: skip
def test_force_computes_every_epoch_anew(command: str, forced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_work, "dvc_processes", lambda: {os.getppid(): command})
    assert at_work.is_forced() == forced


def test_epochs_taken_over_count_with_the_time_that_they_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "a")
    monkeypatch.setattr(timing, "_taken_over", [])
    Path(".dvc/tmp").mkdir(parents=True)
    Path("dvc.yaml").write_text("stages: {a: {outs: [b]}}")
    Path("b").write_text("b")
    timing.take_over(40.0)
    timing.write_seconds("a", 2.5)
    assert timing.measured({"a": {"b": timing.as_in_lock(Path("b"))}}) == {"a": 42.5}


OTHER = {  # a change of each setting of fine-tuning that the weights after an epoch follow from
    "fine_tune_at": 90, "learning_rate": 3e-4, "batch_size": 16, "optimizer": "adamw", "schedule": "cosine",
    "warmup_epochs": 2, "label_smoothing": 0.1, "mixup": 0.2, "balance": "sampling", "early_stopping": 3, "ema": 0.9,
    "layer_decay": 0.5, "momentum": {"momentum": 0.9, "optimizer": "sgd"},
    "weight_decay": {"weight_decay": 0.1, "optimizer": "adamw"},
    "monitor": {"monitor": "accuracy", "early_stopping": 4},
    "steps": {"steps": [{"fine_tune_at": 9, "epochs": 1, "learning_rate": 1.0}]},
}  # fmt: skip


def test_a_beginning_is_all_settings_but_those_of_the_end() -> None:
    plain = fine_tuning().beginning(1)
    assert fine_tuning(epochs=20).beginning(1) == plain == fine_tuning(stop_after=3).beginning(1)
    assert phase(epochs=20).beginning() == phase().beginning()
    found = {name: value if isinstance(value, dict) else {name: value} for name, value in OTHER.items()}
    assert found.keys() | {"epochs", "stop_after"} == type(fine_tuning()).model_fields.keys()
    several = [fine_tuning(**change).beginning(1) for change in found.values()]
    assert all(one != other for number, one in enumerate([plain, *several]) for other in several[number:])
    common = {name: change for name, change in found.items() if name in Phase.model_fields} | {
        "start": {"start": "probe"}
    }
    assert all(phase(**change).beginning() != phase().beginning() for change in common.values())


def test_the_length_belongs_to_a_beginning_where_the_rate_follows_from_it() -> None:
    lengths = {"schedule": "cosine", "warmup_epochs": 1}
    assert phase(epochs=20, **lengths).beginning() != phase(epochs=10, **lengths).beginning()
    one, other = fine_tuning(epochs=20, **lengths), fine_tuning(epochs=20, stop_after=3, **lengths)
    assert one.beginning(1) == other.beginning(1) != fine_tuning(epochs=10, **lengths).beginning(1)


def test_a_step_begins_with_the_whole_of_those_before_it() -> None:
    first, second = ({"fine_tune_at": at, "epochs": 4, "learning_rate": 1e-4} for at in (120, 100))

    def beginning(number: int, *steps: dict[str, float]) -> dict[str, object]:
        return fine_tuning(steps=[*steps]).beginning(number)

    assert beginning(1, first, second) == beginning(1, first | {"epochs": 9})
    assert beginning(1, first) == fine_tuning(fine_tune_at=120, learning_rate=1e-4).beginning(1)
    assert beginning(2, first, second) == beginning(2, first, second | {"epochs": 9})
    assert beginning(2, first, second) != beginning(2, first | {"epochs": 9}, second)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 4, "stop_after": 5}, "stop_after = 5: must not be more than epochs, which is 4; 0 is all"),
        (
            {"stop_after": 1, "steps": [{"fine_tune_at": 120, "epochs": 4, "learning_rate": 1e-4}]},
            "stop_after = 1: allowed with steps is 0; give them fewer epochs",
        ),
    ],
)
def test_stopping_after_what_there_is_not_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fine_tuning(**changes)
