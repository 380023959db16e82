"""Fine-tuning in steps, slower further down; a killed one with every option goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from support.phases import fine_tuning, phase

from transfer_learning.network import backbone
from transfer_learning.network.head import HEAD
from transfer_learning.settings import backbones
from transfer_learning.stage.kept_epochs import KeptEpochs
from transfer_learning.training import classifier, epochs, optimizers, unfreezing
from transfer_learning.training.inputs import Examples, from_array, in_order

BOUNDARIES = backbones.BACKBONES["small_cnn"].boundaries


def fine_tuned(kept: Path, until: int | None = None, **changes: Any) -> tuple[dict[str, Any], Any]:
    """Fine-tune small_cnn on eight photos; weights by layer before and after each epoch, and the history."""
    keras.utils.set_random_seed(0)
    base = backbone.build("small_cnn", size=32)
    backbone.set_weights(base.layers, backbones.small_cnn_weights())
    photos = np.random.default_rng(5).uniform(0, 255, (2, 8, 32, 32, 3)).astype(np.float32)
    labels = np.array([0, 1, 1, 0, 2, 2, 0, 1])
    seen = [backbone.get_weights(base.layers)]

    def on_epoch(row: dict[str, float]) -> None:
        seen.append(backbone.get_weights(base.layers))
        if until and row["epoch"] == until:
            raise KeyboardInterrupt

    head = {HEAD: [np.full((128, 3), [-0.1, 0.1, 0.05], np.float32), np.zeros(3, np.float32)]}
    validation = in_order(from_array(photos[:, ::-1]), labels[::-1].copy(), classes=3)
    model, history = unfreezing.fine_tune(
        unfreezing.Network(base, None, 0.3),
        head,
        Examples(from_array(photos), labels, validation, classes=3, views=2),
        epochs.Session(3, on_epoch, KeptEpochs(kept)),
        phase=fine_tuning(batch_size=4, **changes),
        first=1,
    )
    final = backbone.get_weights([*base.layers, model.get_layer(HEAD)])
    return {"seen": seen, "final": final}, history


def test_layer_decay_scales_the_step_of_each_stage_and_not_its_gradient() -> None:
    base = backbone.build("small_cnn", size=32)
    model = classifier.trainable_top(base, None, fine_tune_at=4, classes=2, dropout=0.0, seed=0)
    factors = unfreezing.factors(base, model, BOUNDARIES, 0.5)
    variables = model.trainable_variables
    assert {variable.path.split("_")[1]: factor for variable, factor in zip(variables, factors, strict=True)
            if variable.path.startswith("block")} == {"2": 0.125, "3": 0.25, "4": 0.5}  # fmt: skip
    assert factors[-2:] == [1.0, 1.0]
    for name, first in (("adam", 0.01), ("rmsprop", 0.01 / np.sqrt(0.1))):  # as large for a gradient of any size
        options = {"learning_rate": 0.01, "epochs": 1, "photos": 1, "factors": factors}
        optimizer = optimizers.build(phase(optimizer=name), variables, **options)
        before = [variable.value.numpy() for variable in variables]
        optimizer.apply([np.full(variable.shape, 3.0, np.float32) for variable in variables], variables)
        for variable, old, factor in zip(variables, before, factors, strict=True):
            np.testing.assert_allclose(old - variable.value.numpy(), factor * first, rtol=2e-3)


def test_steps_move_further_layers_in_further_epochs(tmp_path: Path) -> None:
    steps = [{"fine_tune_at": at, "epochs": n, "learning_rate": 0.001} for at, n in ((13, 1), (10, 2), (4, 1))]
    found, history = fine_tuned(tmp_path, steps=steps)
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    for epoch, lowest in enumerate([5, 4, 4, 2], start=1):  # the first block that moves
        before, after = found["seen"][epoch - 1], found["seen"][epoch]
        moved = {int(name.split("_")[1]) for name in before if not np.array_equal(before[name][0], after[name][0])}
        assert moved == set(range(lowest, 5))


@pytest.mark.parametrize("schedule", ["cosine", pytest.param("constant", marks=pytest.mark.full)])
def test_a_training_that_is_stopped_is_the_beginning_of_the_whole(
    schedule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"epochs": 2, "schedule": schedule, "learning_rate": 0.001, "early_stopping": 2}
    found, history = fine_tuned(tmp_path / "kept", **options)
    for folder in ("kept", "anew"):
        stopped, rows = fine_tuned(tmp_path / folder, stop_after=1, **options)
        assert ("nothing to train" in capsys.readouterr().out) == (folder == "kept")
        assert rows.to_csv() == history[: len(rows)].to_csv()
        assert rows["epoch"].tolist() == [0, 1]
        for name, arrays in found["seen"][1].items():
            assert all(map(np.array_equal, arrays, stopped["final"][name])), name


STEPS = [{"fine_tune_at": at, "epochs": 4, "learning_rate": rate} for at, rate in ((10, 0.02), (4, 0.1))]
EVERYTHING = {
    "optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 1, "label_smoothing": 0.1,
    "mixup": 0.3, "balance": "class_weights", "early_stopping": 1, "ema": 0.7, "layer_decay": 0.5, "steps": STEPS,
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Any]:
    return fine_tuned(tmp_path_factory.mktemp("whole"), **EVERYTHING)


@pytest.mark.parametrize(  # when a step has stopped early, in it, in the next one
    "killed_after", [4, pytest.param(1, marks=pytest.mark.full), pytest.param(5, marks=pytest.mark.full)]
)
def test_a_killed_training_with_every_option_goes_on_to_the_same_bytes(
    killed_after: int, whole: tuple[dict[str, Any], Any], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fine_tuned(tmp_path, until=killed_after, **EVERYTHING)
    again, rest = fine_tuned(tmp_path, **EVERYTHING)
    assert rest.to_csv() == whole[1].to_csv()
    assert len(rest) == 1 + 6  # of 8: the third epoch of the first step and the first of the second were the best
    for name, arrays in whole[0]["final"].items():
        for array, other in zip(arrays, again["final"][name], strict=True):
            assert array.tobytes() == other.tobytes(), name
