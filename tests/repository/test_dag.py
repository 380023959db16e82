"""The DAG tells DVC the truth: every module, every setting, and only what must run again runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.clone import ROOT, STAGES, Clone

from transfer_learning.experiments.compose import compose
from transfer_learning.settings import params

DAG = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.mark.parametrize("option", ["data=cats_and_dogs", "data=folder", "data=drawn"])
def test_no_declared_group_of_settings_has_a_key_that_the_run_cache_ignores(option: str, tmp_path: Path) -> None:
    """DVC 3.67 leaves out keys called `size` or `nfiles` when it looks for an earlier run, in settings too: another
    images.size would get the results of the first."""
    target = tmp_path / "params.yaml"
    compose(target, [option, *([f"data.path={tmp_path}"] if option == "data=folder" else [])])
    flat = params.flatten(params.read_yaml(target))
    for stage in STAGES:
        for entry in DAG[stage]["params"]:
            inside = {key.removeprefix(f"{entry}.") for key in flat if key.startswith(f"{entry}.")}
            assert not {part for key in inside for part in key.split(".")} & {"size", "nfiles"}, (stage, entry)


def test_params_yaml_is_the_composition_of_conf(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "src/cli.py", "params", "--out", str(tmp_path / "params.yaml")], cwd=ROOT, check=True
    )
    assert (tmp_path / "params.yaml").read_text() == (ROOT / "params.yaml").read_text()


OPTIONS = [
    f"{'+' * (group.name in ('experiment', 'recipe'))}{group.name}={option.stem}"
    for group in sorted((ROOT / "conf").iterdir())
    if group.is_dir() and group.name != "sweep"
    for option in sorted(group.glob("*.yaml"))
]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_conf_composes_and_is_valid(option: str, tmp_path: Path) -> None:
    target = tmp_path / "params.yaml"
    together = [option, f"data.path={tmp_path}"] if option == "data=folder" else [option]
    compose(target, together)
    params.check(params.read_yaml(target))


def test_preset_says_the_command_that_runs_it_and_tutorial_equals_the_defaults(tmp_path: Path) -> None:
    for preset in (ROOT / "conf" / "experiment").glob("*.yaml"):
        command = preset.read_text().splitlines()[1]  # Hydra wants the package line first
        assert command in (f"# dvc exp run -S +experiment={preset.stem}", f"# make {preset.stem}")
    target = tmp_path / "params.yaml"
    subprocess.run(
        [sys.executable, "src/cli.py", "params", "--out", str(target), "+experiment=tutorial"], cwd=ROOT, check=True
    )
    assert params.read_yaml(target) == params.read_yaml(ROOT / "params.yaml")


def test_a_model_too_small_for_fine_tune_at_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "params.yaml"
    done = subprocess.run(
        [sys.executable, "src/cli.py", "params", "--out", str(target), "model=small_cnn", "finetune.fine_tune_at=100"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, target.exists()) == (2, False)
    assert "finetune.fine_tune_at = 100: allowed are 0 to 13" in done.stderr


@pytest.fixture
def clone(demo_clone: Clone, tmp_path: Path) -> Clone:
    return demo_clone.copy(tmp_path / "with space")


def test_first_repro_runs_all_seven_stages_in_a_path_with_a_space(demo_clone: Clone) -> None:
    assert demo_clone.stages_run(demo_clone.printed) == list(STAGES)
    for path in ("models/model.keras", "reports/test/metrics.json", "reports/finetune/learning_curves.png"):
        assert (demo_clone.folder / path).stat().st_size > 0


def test_second_repro_runs_nothing(clone: Clone) -> None:
    assert clone.stages_run(clone.run("dvc", "repro")) == []
    assert "up to date" in clone.run("dvc", "status")


def test_git_has_all_small_results_and_nothing_else_is_left(demo_clone: Clone) -> None:
    tracked = demo_clone.run("git", "ls-files", "reports", "data", "models").split()
    assert "reports/frozen/history.csv" in tracked
    assert all(path.startswith("reports/") for path in tracked)
    assert demo_clone.run("git", "status", "--porcelain") == ""


def test_changed_fine_tune_at_runs_finetune_and_evaluate_only_and_below_the_boundary_trains_from_the_photos(
    demo_clone: Clone, swept: Clone
) -> None:
    said = json.loads(swept.printed)["inside"]
    assert swept.stages_run(said) == ["finetune", "evaluate"]
    assert "fine-tuning from layer 4 of 13" in demo_clone.printed
    assert "training from the photos" not in demo_clone.printed
    assert "training from the photos" in said


@pytest.mark.full  # a minute; the test of declared groups guards the same
def test_another_size_of_the_photos_is_computed_anew(clone: Clone) -> None:
    output = clone.run(
        "dvc", "exp", "run", "--temp", "--name", "small", "-S", "+experiment=demo", "-S", "images.size=48"
    )
    assert clone.stages_run(output) == ["featurize", "probe", "train_frozen", "finetune", "evaluate"]


def test_wrong_setting_in_params_yaml_stops_a_stage_with_one_line(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    params = clone.folder / "params.yaml"
    params.write_text(params.read_text().replace("seed: 42\n", "seed: -1\n"))
    output = clone.run("python", "src/finetune.py", code=2)
    assert output == "error: finetune: params.yaml: seed = -1: must be a whole number from 0 to 2147483647\n"


def test_store_has_the_whole_curve_and_the_test_result_of_the_experiment(demo_clone: Clone) -> None:
    script = (
        "from mlflow import MlflowClient\n"
        "c = MlflowClient('sqlite:///mlflow.db')\n"
        "e = c.get_experiment_by_name('drawn')\n"
        "r = c.search_runs([e.experiment_id], \"tags.stage = 'finetune'\", order_by=['start_time ASC'])[0]\n"
        "steps = [m.step for m in c.get_metric_history(r.info.run_id, 'accuracy/val')]\n"
        "print(r.info.status, steps, r.data.params['finetune.fine_tune_at'],\n"
        "      r.data.params['fine_tuning_starts_at_epoch'])\n"
        "print(sorted(a.path for a in c.list_artifacts(r.info.run_id, 'figures/finetune')))\n"
        "print(r.data.metrics['test/accuracy'], len(c.search_logged_models([e.experiment_id])) > 0)\n"
    )
    first, figures, test = demo_clone.run("python", "-W", "ignore", "-c", script).splitlines()[-3:]
    assert first == f"FINISHED {list(range(13))} 4 7"
    assert "figures/finetune/learning_curves.png" in figures
    assert test.endswith("True")
