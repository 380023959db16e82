"""A wrong setting ends `dvc exp run` before DVC has changed anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from dvc.utils.hydra import compose_and_dump
from support.clone import ROOT, Clone


def composed(target: Path, *overrides: str) -> None:
    """What `dvc exp run` does with its `-S`, before anything else is written."""
    compose_and_dump(str(target), str(ROOT / "conf"), None, "config", str(ROOT / "src"), list(overrides))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("finetune.fine_tune_at=abc", "finetune.fine_tune_at = 'abc': must be a whole number of 0 or more"),
        ("finetune.fine_tune_at=155", "finetune.fine_tune_at = 155: allowed are 0 to 154, the layers of mobilenet_v2"),
        ("finetune.epochs=0", "finetune.epochs = 0: must be a whole number from 1 to 10000"),
        ("finetune.learning_rate=nan", "finetune.learning_rate = nan: must be a number above 0 up to 1"),
        ("finetune.momentum=0.9", "finetune.momentum = 0.9: allowed with optimizer rmsprop is 0, sgd takes it"),
        ("seed=null", "seed = None: must be a whole number from 0 to 2147483647"),
        ("seed=???", "seed = '???': must be a whole number from 0 to 2147483647"),
        ("finetune.epoch=3", "finetune.epoch is not a setting: did you mean epochs?"),
        ("finetun.epochs=3", "finetun is not a setting: did you mean finetune?"),
        ("data.digst=x", "data.digst is not a setting: did you mean digest?"),
        ("sed=1", "sed is not a setting: did you mean seed?"),
        ("+finetune.epoch=3", "finetune.epoch is not a setting: did you mean epochs?"),
        ("++new.key=1", "new is not a setting: allowed are seed, data, "),
        ("~finetune", "finetune is missing"),
        ("~finetune.epochs", "finetune.epochs is missing"),
        ("~data", "data is missing"),
        ("data=null", "Config group override must be a string or a list. Got NoneType"),
        ("finetune=3", "finetune = 3: must be keys with values"),
        ("data.kind=drawn", "data.classes is missing"),
        ("data.watch=3", "data.watch = 3: must be text"),
        ("model=resnet", "Could not find 'model/resnet' Available options in 'model': convnext_tiny"),
        ("experiment=demo", "Could not override 'experiment'. No match in the defaults list. To append"),
        ("+experiment=dem", "Could not find 'experiment/dem' Available options in 'experiment': best demo"),
        ("seed=${nothing}", "Interpolation key 'nothing' not found"),
        ("~nothing", "Could not delete from config. 'nothing' does not exist."),
        ("seed.deep=1", "seed.deep is not a setting"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    override: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "params.yaml"
    with pytest.raises(SystemExit) as ended:
        composed(target, override)
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert not target.exists()


def test_what_is_right_is_written_as_hydra_composes_it(tmp_path: Path) -> None:
    composed(tmp_path / "params.yaml")
    assert (tmp_path / "params.yaml").read_text() == (ROOT / "params.yaml").read_text()


@pytest.mark.parametrize("way", [[], ["--temp"], ["--queue"]])
def test_dvc_leaves_everything_as_it_was(way: list[str], demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text() + "# by hand\n")
    before = clone.run("git", "status", "--porcelain"), clone.run("git", "stash", "list"), clone.files()
    said = clone.run("dvc", "exp", "run", *way, "-S", "finetune.fine_tune_at=abc", code=2)
    assert said == "error: settings: finetune.fine_tune_at = 'abc': must be a whole number of 0 or more\n"
    after = clone.run("git", "status", "--porcelain"), clone.run("git", "stash", "list"), clone.files()
    assert after[:2] == before[:2]
    there = {path: size for path, (size, _) in before[2].items() if not path.startswith((".git/", ".dvc/tmp/"))}
    assert {path: size for path, (size, _) in after[2].items() if not path.startswith((".git/", ".dvc/tmp/"))} == there
    assert params.read_text().endswith("# by hand\n")


def test_the_check_needs_no_tensorflow_and_no_mlflow() -> None:
    """It runs inside every `dvc exp run`."""
    code = "import sys; sys.path.insert(0, 'src'); import hydra_plugins.checked; print(*sys.modules)"
    loaded = subprocess.run(["python", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "pydantic" in loaded
    assert not {"tensorflow", "keras", "mlflow", "pandas", "PIL", "h5py", "matplotlib"} & set(loaded)
