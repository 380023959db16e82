"""A stage killed at any moment goes on where it was and ends with the same bytes; two never write the same file."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from support.clone import ROOT, STAGES, Clone

from transfer_learning.core.files import written_aside
from transfer_learning.settings import params as settings
from transfer_learning.stage import environment, kept_epochs
from transfer_learning.stage.unfinished import key, unfinished

OUTPUTS = {
    "featurize": ["data/features"],
    "train_frozen": ["models/frozen.weights.h5", "reports/frozen/history.csv", "reports/frozen/metrics.json"],
    "finetune": ["models/finetuned.weights.h5", "reports/finetune/history.csv", "reports/finetune/metrics.json"],
}


LONGER = ("train_frozen.epochs=40", "finetune.epochs=12", "finetune.fine_tune_at=0")


@pytest.fixture
def clone(demo_clone: Clone, tmp_path: Path) -> Clone:
    """A copy of the demo whose training takes a while: more epochs, fine-tuning from the photos."""
    clone = demo_clone.copy(tmp_path / "clone")
    clone.call("params", "+experiment=demo", *LONGER)
    return clone


def start(clone: Clone, stage: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["python", f"src/{stage}.py"], cwd=clone.folder, env=clone.environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def kill_when(process: subprocess.Popen[str], ready: Callable[[], bool], sent: signal.Signals) -> None:
    """Wait until something is kept of the stage, and a little longer, then send the signal."""
    deadline = time.monotonic() + 90
    while not ready():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    assert process.poll() is None, "the stage had ended before it was killed"
    process.send_signal(sent)
    process.communicate(timeout=60)


def kept(clone: Clone) -> list[Path]:
    return [path for folder in ("data", "models") for path in (clone.folder / folder).glob(".*.unfinished-*")]


def states(clone: Clone) -> list[Path]:
    """Of training, after each epoch."""
    return list((clone.folder / ".dvc/tmp/epochs").glob("*.npz"))


def content(clone: Clone, stage: str) -> dict[str, bytes]:
    """Every byte of a stage's outputs, by path."""
    found = {}
    for name in OUTPUTS[stage]:
        path = clone.folder / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            found[file.relative_to(clone.folder).as_posix()] = file.read_bytes()
    return found


@pytest.mark.full
def test_killed_features_go_on_and_end_with_the_same_bytes(clone: Clone) -> None:
    # of more photos, so that there is time to kill it
    clone.call("params", "+experiment=demo", "data.photos_per_class=240")
    for earlier in STAGES[: STAGES.index("featurize")]:
        clone.run("python", f"src/{earlier}.py")
    assert "going on" not in clone.run("python", "src/featurize.py")
    whole = content(clone, "featurize")
    assert kept(clone) == []
    begun = lambda: any((folder / "progress.json").exists() for folder in kept(clone))  # noqa: E731
    kill_when(start(clone, "featurize"), begun, signal.SIGKILL)
    assert len(kept(clone)) == 1
    assert content(clone, "featurize") == whole  # what was there is there still
    assert "going on" in clone.run("python", "src/featurize.py")
    assert content(clone, "featurize") == whole
    assert kept(clone) == []


@pytest.mark.parametrize(
    ("stage", "sent"),
    [
        pytest.param("train_frozen", signal.SIGTERM, marks=pytest.mark.full),
        ("finetune", signal.SIGKILL),  # from the photos
    ],
)
def test_what_a_killed_training_has_computed_serves_a_shorter_one_elsewhere(
    clone: Clone, tmp_path: Path, stage: str, sent: signal.Signals
) -> None:
    """As in the queue: the folder of the one is gone, and both know the main workspace. Without what is kept the bytes
    are the same."""
    aside = clone.copy(tmp_path / "aside")
    aside.environment["DVC_ROOT"] = str(clone.folder)
    aside.call("params", "+experiment=demo", *LONGER, f"{stage}.epochs=90")
    before = content(aside, stage)
    kill_when(start(aside, stage), lambda: len(states(clone)) > 1, sent)
    assert content(aside, stage) == before  # what was there is there still
    shutil.rmtree(aside.folder)
    said = clone.run("python", f"src/{stage}.py")
    assert said.count("going on after epoch ") == 1
    whole = content(clone, stage)
    clone.environment["TL_EPOCHS_MB"] = "0"
    said = clone.run("python", f"src/{stage}.py")
    assert "earlier run" not in said
    assert content(clone, stage) == whole != before


def test_interrupted_features_go_on_and_say_so_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transfer_learning.ingest.drawn import draw_dataset
    from transfer_learning.network import backbone, features
    from transfer_learning.photos import augment, chunks
    from transfer_learning.photos.inventory import Photos
    from transfer_learning.photos.parts import Part
    from transfer_learning.settings import backbones, schema

    paths = [Path(path) for path in draw_dataset(tmp_path / "raw", classes=2, photos_per_class=20, size=40, seed=0)]
    base = backbone.build("small_cnn", size=32)
    backbone.set_weights(base.layers, backbones.small_cnn_weights())
    parts = {part: Part(paths[:40], np.zeros(40, np.uint8)) for part in ("train", "validation")}
    strong = schema.Augment.model_validate(
        settings.read_yaml(ROOT / "params.yaml")["augment"] | {"crop": 0.75, "hue": 0.03}
    )
    rows = augment.draw_transforms(40, strong, views=1, size=32, seed=5)
    decode, given, photos = chunks.load_batch, [], Photos(tmp_path / "raw")

    def stopped(chosen: list[Path], **options: Any) -> np.ndarray:
        given.append(len(chosen))
        if given == [32, 8, 32, 8]:
            raise KeyboardInterrupt
        return decode(chosen, **options)

    def compute(name: str) -> str:
        features.compute(base, "block_2_relu", parts, photos, tmp_path / name, size=32, transforms=rows)
        return capsys.readouterr().out

    assert "going on" not in compute("whole")
    monkeypatch.setattr(chunks, "load_batch", stopped)
    with pytest.raises(KeyboardInterrupt):
        compute("again")
    said = compute("again")
    assert "interrupted: 40 of 40 train photos and 32 of 40 validation photos are done\n" in said
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def beginning(stage: str) -> str:
    """What the epochs of a stage's training follow from."""
    values = settings.load(stage)
    phase = values.finetune.beginning(1) if stage == "finetune" else values.train_frozen.beginning()
    return kept_epochs.of(stage, values).beginning(phase).key


@pytest.mark.parametrize("change", ["setting", "input", "code", "machine"])
def test_what_was_kept_is_never_taken_up_for_anything_else(
    demo_clone: Clone, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = demo_clone.copy(tmp_path)
    monkeypatch.chdir(clone.folder)
    before, trained = key("finetune"), beginning("finetune")
    assert key("finetune") == before != key("train_frozen")
    assert beginning("finetune") == trained != beginning("train_frozen")
    with suppress(KeyboardInterrupt), unfinished(Path("models/a"), "finetune") as old:
        with pytest.raises(OSError, match="full"), written_aside(Path("models/a")):
            raise OSError("full")  # whoever writes the output leaves alone what is kept
        assert old.exists()
        raise KeyboardInterrupt
    params, code = Path("params.yaml"), Path("src/transfer_learning/training/epochs.py")
    if change == "setting":
        params.write_text(params.read_text().replace("learning_rate: 0.001\n", "learning_rate: 0.002\n"))
    elif change == "input":
        with open("models/frozen.weights.h5", "ab") as file:
            file.write(b"x")
    elif change == "code":
        code.write_text(code.read_text() + "\n")
    else:
        monkeypatch.setattr(environment, "cpu", lambda: "another one")
    assert key("finetune") != before
    assert beginning("finetune") != trained
    with unfinished(Path("models/a"), "finetune") as new:
        assert new != old
        assert not old.exists()
        assert list(new.iterdir()) == []
    assert kept(clone) == []


def test_what_another_stage_reads_or_is_set_to_is_no_reason_to_start_anew(
    demo_clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = demo_clone.copy(tmp_path)
    monkeypatch.chdir(clone.folder)
    before, trained = key("train_frozen"), beginning("train_frozen")
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("fine_tune_at: 4", "fine_tune_at: 5"))
    assert key("train_frozen") == before
    params.write_text(params.read_text().replace("threads: 0", "threads: 7"))
    monkeypatch.setattr("os.cpu_count", lambda: 77)
    assert key("train_frozen") == before
    bytecode = Path("data/features/__pycache__/module.pyc")  # a folder that is a dep, as those of code will be
    bytecode.parent.mkdir()
    bytecode.write_bytes(b"x")
    assert key("train_frozen") == before
    params.write_text(params.read_text().replace("epochs: 6\n", "epochs: 7\n"))
    assert beginning("train_frozen") == trained
    assert key("train_frozen") != before


def test_a_second_stage_in_the_same_folder_waits_for_the_first(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    (clone.folder / ".dvc/tmp").mkdir()
    (clone.folder / ".dvc/tmp/stage.holder").write_text("stage finetune (process 1)")
    with FileLock(clone.folder / ".dvc/tmp/stage.lock"):
        second = start(clone, "split")
        assert second.stdout
        assert second.stdout.readline() == (
            "split: waiting for stage finetune (process 1), which still runs in this folder\n"
        )
        time.sleep(1)
        assert second.poll() is None
    said, _ = second.communicate(timeout=60)
    assert (second.returncode, said.split(":")[0]) == (0, "train")
