"""conf/ is edited to compose to an experiment's settings, with the nearest options, and people's comments stay."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import pytest
from support.clone import ROOT

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import defaults
from transfer_learning.experiments.compose import compose
from transfer_learning.settings import params


def edited(tmp_path: Path, overrides: list[str]) -> list[str]:
    """The lines of conf/ that are taken out and put in for the settings of these overrides, in order of files."""
    compose(tmp_path / "wanted.yaml", overrides)
    wanted = params.read_yaml(tmp_path / "wanted.yaml")
    shutil.copytree("conf", tmp_path / "conf")
    defaults.write(tmp_path / "conf", wanted, tmp_path / "composed.yaml")
    assert params.read_yaml(tmp_path / "composed.yaml") == wanted
    lines = []
    for path in sorted(Path("conf").rglob("*.yaml")):
        before, after = path.read_text().splitlines(), (tmp_path / path).read_text().splitlines()
        different = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        lines += [f"{path.relative_to('conf')}", *different] if different else []
    return lines


@pytest.mark.parametrize(
    ("overrides", "lines"),
    [
        ([], []),
        (
            [
                "finetune.learning_rate=3e-5", "seed=7",
                "finetune.steps=[{fine_tune_at:154,epochs:2,learning_rate:1e-4}]",
            ],
            [
                "config.yaml", "- seed: 42", "+ seed: 7", "-   learning_rate: 0.00001", "+   learning_rate: 0.00003",
                "-   steps: []", "+   steps: [{fine_tune_at: 154, epochs: 2, learning_rate: 0.0001}]",
            ],
        ),
        (
            ["model=efficientnet_v2_b0", "model.dropout=0.5", "augment=strong"],
            [
                "config.yaml", "-   - augment: tutorial", "+   - augment: strong", "-   - model: mobilenet_v2",
                "+   - model: efficientnet_v2_b0", "model/efficientnet_v2_b0.yaml", "+   dropout: 0.5",
            ],
        ),
        (["augment.hue=0.1"], ["augment/tutorial.yaml", "+ hue: 0.1"]),
        (["finetune.fine_tune_at=120"], ["model/mobilenet_v2.yaml", "-   fine_tune_at: 100", "+   fine_tune_at: 120"]),
        (["split.test_fraction=0.3"], ["data/cats_and_dogs.yaml", "-   test_fraction: 0.2", "+   test_fraction: 0.3"]),
    ],
)  # fmt: skip
def test_conf_composes_to_the_settings_and_only_what_differs_changes(
    overrides: list[str], lines: list[str], tmp_path: Path
) -> None:
    assert edited(tmp_path, overrides) == lines


def test_photos_of_ones_own_are_the_option_and_its_path(tmp_path: Path) -> None:
    photos = tmp_path / "my photos"
    photos.mkdir()
    lines = edited(tmp_path, ["data=folder", f"data.path='{photos}'", "data.name=flowers", "split.test_fraction=0.4"])
    assert lines == [
        "config.yaml", "-   - data: cats_and_dogs", "+   - data: folder", "data/folder.yaml",
        "-   path: null", f"+   path: {photos}", "-   name: ${data_path.name:${.path}}", "+   name: flowers",
        "-   test_fraction: 0.5", "+   test_fraction: 0.4",
    ]  # fmt: skip


@pytest.mark.parametrize("preset", ["experiment: full_resolution", "recipe: medium"])
def test_a_preset_among_the_defaults_is_written_out(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "there/conf")
    shutil.copytree(ROOT / "src/hydra_plugins", tmp_path / "there/src/hydra_plugins")
    monkeypatch.chdir(tmp_path / "there")
    config = Path("conf/config.yaml")
    config.write_text(config.read_text().replace("  - _self_\n", f"  - _self_\n  - {preset}\n"))
    lines = edited(tmp_path, ["images.size=192"])
    assert f"-   - {preset}" in lines
    assert "+   size: 192" in lines


def test_what_cannot_be_composed_is_refused(tmp_path: Path) -> None:
    compose(tmp_path / "wanted.yaml", [])
    wanted = params.read_yaml(tmp_path / "wanted.yaml")
    wanted["data"]["name"] = "${seed}"
    shutil.copytree("conf", tmp_path / "conf")
    with pytest.raises(UserError, match=r"data\.name = "):
        defaults.write(tmp_path / "conf", wanted, tmp_path / "composed.yaml")
