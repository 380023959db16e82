"""Settings: what is wrong is named in one line, and a stage sees only what it declares."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.clone import ROOT, STAGES

from transfer_learning.core.errors import UserError
from transfer_learning.settings import params
from transfer_learning.settings.declared import UndeclaredParamError

DEFAULTS = params.read_yaml(ROOT / "params.yaml")


def changed(key: str, value: Any) -> dict[str, Any]:
    values = copy.deepcopy(DEFAULTS)
    *sections, last = key.split(".")
    here = values
    for section in sections:
        here = here[section]
    here[last] = value
    return values


def steps(*fine_tune_at: int, **more: Any) -> list[dict[str, Any]]:
    return [{"fine_tune_at": at, "epochs": 1, "learning_rate": 0.001} | more for at in fine_tune_at]


def test_committed_settings_are_valid() -> None:
    assert params.check(DEFAULTS).finetune.fine_tune_at == 100


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("finetune.fine_tune_at", 999, "finetune.fine_tune_at = 999: allowed are 0 to 154"),
        ("finetune.fine_tune_at", 155, "finetune.fine_tune_at = 155: allowed are 0 to 154"),
        ("finetune.fine_tune_at", -1, "finetune.fine_tune_at = -1: must be a whole number of 0 or more"),
        ("finetune.fine_tune_at", 100.5, "finetune.fine_tune_at = 100.5: must be a whole number of 0 or more"),
        ("train_frozen.epochs", 0, "train_frozen.epochs = 0: must be a whole number from 1 to 10000"),
        ("finetune.epochs", -1, "finetune.epochs = -1: must be a whole number from 1 to 10000"),
        ("finetune.epochs", True, "finetune.epochs = True: must be a whole number from 1 to 10000"),
        ("finetune.learning_rate", 0, "finetune.learning_rate = 0: must be a number above 0 up to 1"),
        ("finetune.learning_rate", float("nan"), "finetune.learning_rate = nan: must be a number above 0 up to 1"),
        ("finetune.learning_rate", float("inf"), "finetune.learning_rate = inf: must be a number above 0 up to 1"),
        ("finetune.learning_rate", "fast", "finetune.learning_rate = 'fast': must be a number above 0 up to 1"),
        ("finetune.learning_rat", 0.1, "finetune.learning_rat is not a setting: did you mean learning_rate?"),
        ("augment.rotation", 5, "augment.rotation = 5: must be a number from 0 to 0.5"),
        ("augment.flip", "yes", "augment.flip = 'yes': must be true or false"),
        ("data.max_unpacked_mb", 0, "data.max_unpacked_mb = 0: must be a whole number from 1 to 100000"),
        ("images.size", 16, "images.size = 16: must be a whole number from 32 to 1024"),
        ("split.test_fraction", 1.0, "split.test_fraction = 1.0: must be a number above 0 and below 1"),
        ("features.views", 0, "features.views = 0: must be a whole number from 1 to 1000"),
        ("model.boundary", "block_7_add", "model.boundary = 'block_7_add': allowed for mobilenet_v2 are block_1_"),
        ("model.name", "resnet", "model.name = 'resnet': must be mobilenet_v2, mobilenet_v3_small"),
        (
            "model.pretrained_resolution",
            150,
            "model.pretrained_resolution = 150: allowed for mobilenet_v2 with alpha 1",
        ),
        ("model.alpha", 0.6, "model.alpha = 0.6: allowed for mobilenet_v2 are 0.35, 0.5, 0.75, 1.0, 1.3, 1.4"),
        ("model.alpha", "wide", "model.alpha = 'wide': must be a number that the network has"),
        ("model.weights", "noise", "model.weights = 'noise': allowed for mobilenet_v2 are imagenet, random"),
        ("model.drop", 0.1, "model.drop is not a setting: did you mean dropout?"),
        (
            "model.weights_digest",
            "abc",
            "model.weights_digest = 'abc': must be published, 64 hexadecimal digits or null",
        ),
        ("data.kind", "folders", "data.kind = 'folders': allowed are 'archive', 'folder', 'drawn'"),
        ("data.archive", "", "data.archive = '': must be text, not empty"),
        ("finetune.optimizer", "lion", "finetune.optimizer = 'lion': must be adam, adamw, rmsprop or sgd"),
        ("finetune.momentum", 0.9, "finetune.momentum = 0.9: allowed with optimizer rmsprop is 0, sgd takes it"),
        ("train_frozen.weight_decay", 0.1, "train_frozen.weight_decay = 0.1: allowed with optimizer adam is 0, adamw"),
        ("train_frozen.warmup_epochs", 10, "train_frozen.warmup_epochs = 10: must be less than epochs, which is 10"),
        ("train_frozen.ema", 1.0, "train_frozen.ema = 1.0: must be a number from 0 to below 1"),
        ("finetune.layer_decay", 0, "finetune.layer_decay = 0: must be a number above 0 up to 1"),
        ("finetune.steps", steps(120, 155), "finetune.steps.1.fine_tune_at = 155: must not be above that of the step"),
        ("finetune.steps", steps(155), "finetune.steps.0.fine_tune_at = 155: allowed are 0 to 154"),
        ("finetune.steps", steps(120, rate=1e-5), "finetune.steps.0.rate is not a setting: allowed are fine_tune_at"),
        ("finetune.steps", steps(1, epochs=0), "finetune.steps.0.epochs = 0: must be a whole number from 1 to 10000"),
        (
            "gate.metrics",
            {"test/loss": {"better": "up"}},
            "gate.metrics.test/loss.better = 'up': must be higher or lower",
        ),
        (
            "gate.metrics",
            {"test/loss": {"bettr": 1}},
            "gate.metrics.test/loss.bettr is not a setting: did you mean better",
        ),
        ("finetun", {}, "finetun is not a setting: did you mean finetune?"),
        ("seed", None, "seed = None: must be a whole number from 0 to 2147483647"),
    ],
)
def test_wrong_value_is_named_with_what_is_allowed(key: str, value: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        params.check(changed(key, value))
    assert str(error.value).startswith("params.yaml: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_backbone_has_not_is_refused_with_its_own_choices() -> None:
    values = changed("model.alpha", 1.4)
    params.check(values)
    values["model"]["pretrained_resolution"] = 160
    said = r"model\.pretrained_resolution = 160: allowed for mobilenet_v2 with alpha 1\.4 are 224$"
    with pytest.raises(UserError, match=said):
        params.check(values)
    values["model"] |= {"name": "small_cnn", "alpha": 1.0, "weights": "imagenet", "boundary": "block_1_relu"}
    with pytest.raises(UserError) as error:
        params.check(values)
    assert "model.weights = 'imagenet': allowed for small_cnn are random" in str(error.value)
    assert "model.pretrained_resolution = 160: allowed for small_cnn with alpha 1.0 are null" in str(error.value)


def test_options_of_training_are_checked_against_each_other() -> None:
    values = changed("finetune.steps", steps(154, 100))
    assert [step.fine_tune_at for step in params.check(values).finetune.plan] == [154, 100]
    values["finetune"]["warmup_epochs"] = 1
    with pytest.raises(UserError, match=r"finetune\.warmup_epochs = 1: must be less than steps\.0\.epochs, which is 1"):
        params.check(values)
    values["finetune"] |= {"steps": [], "fine_tune_at": 154, "layer_decay": 0.5}
    with pytest.raises(UserError, match=r"finetune\.layer_decay = 0\.5: allowed is 1 where the head alone is trained"):
        params.check(values)
    values["finetune"] |= {"fine_tune_at": 100, "optimizer": "adamw", "weight_decay": 0.01}
    assert params.check(values).finetune.plan[0].fine_tune_at == 100


def test_missing_section_and_several_mistakes_are_all_named() -> None:
    values = changed("finetune.epochs", 0)
    del values["split"]
    with pytest.raises(UserError, match=r"split is missing.*finetune\.epochs = 0"):
        params.check(values)


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("finetune:\n  learning_rate: 1e-05\n")
    assert params.read_yaml(tmp_path / "params.yaml") == {"finetune": {"learning_rate": 1e-05}}


def test_broken_or_missing_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: [1\nb: {")
    with pytest.raises(UserError, match=r"cannot be read: [^\n]*$"):
        params.read_yaml(tmp_path / "params.yaml")
    with pytest.raises(UserError, match="make params"):
        params.read_yaml(tmp_path / "none.yaml")


def test_a_stage_cannot_read_what_it_does_not_declare() -> None:
    finetune = params.load("finetune", ROOT)
    assert finetune.finetune.fine_tune_at == 100
    assert finetune.model.dropout == 0.2
    for read in (lambda: finetune.train_frozen, lambda: finetune.model.url, lambda: finetune.data):
        with pytest.raises(UndeclaredParamError, match="stage finetune reads"):
            read()


@pytest.mark.parametrize("stage", STAGES)
def test_wrong_setting_ends_every_stage_with_one_line_and_code_2(stage: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("fine_tune_at: 100", "fine_tune_at: 999"))
    done = subprocess.run(
        [sys.executable, f"src/{stage}.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {stage}: params.yaml: finetune.fine_tune_at = 999: allowed are 0 to 154, the layers of mobilenet_v2\n"
    )
    assert not (tmp_path / "data").exists()


def test_every_option_of_augment_but_none_says_only_what_it_changes() -> None:
    options = {path.stem: path for path in (ROOT / "conf" / "augment").glob("*.yaml")}
    for name in options.keys() - {"none"}:
        differs = params.read_yaml(options[name])
        assert differs.pop("defaults") == ["none", "_self_"]
        assert differs and not differs.items() & params.read_yaml(options["none"]).items()  # noqa: PT018
