"""The model that MLflow serves: it runs anywhere with the code and the requirements that are logged with it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support.clone import Clone
from support.packages import distributions


@pytest.mark.parametrize("layout", ["of today", pytest.param("before the rooms", marks=pytest.mark.full)])
def test_a_logged_model_needs_its_own_code_and_requirements_and_nothing_else(
    demo_clone: Clone, tmp_path: Path, layout: str
) -> None:
    folder, package = tmp_path / "commit", tmp_path / "commit/src/transfer_learning"
    shutil.copytree(demo_clone.folder / "src", folder / "src")
    shutil.copytree(demo_clone.folder / "models", folder / "models")
    if layout == "before the rooms":  # as at earlier commits: modules in one folder, none of the door's
        (package / "serving/predictor.py").rename(package / "predictor.py")
        served = (package / "serving/mlflow_model.py").read_text().replace("learning.serving.", "learning.")
        (package / "served.py").write_text(served)
        shutil.rmtree(package / "serving")
    database = tmp_path / "mlflow.db"
    client = MlflowClient(f"sqlite:///{database}")
    run_id = client.create_run(client.create_experiment("x", (tmp_path / "artifacts").as_uri())).info.run_id
    environment = demo_clone.environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{database}"}
    code = "import sys; from pathlib import Path; from transfer_learning.tracking import logged_model\n"
    code += "logged_model.log_model(sys.argv[1], Path(sys.argv[2]))"
    subprocess.run(
        ["python", "-c", code, run_id, str(folder)],
        cwd=demo_clone.folder,
        env=environment | {"PYTHONPATH": "src"},
        check=True,
    )
    (model,) = (tmp_path / "artifacts").glob("models/*/artifacts")
    photo = next((demo_clone.folder / "data/raw").rglob("*.png"))
    done = subprocess.run(
        ["python", "-W", "ignore", "-c", LOADS, str(model), str(photo)],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert 0.5 <= loaded["probability"] <= 1
    assert not {"dvc", "hydra", "omegaconf", "sqlalchemy"} & set(loaded["modules"])
    modules = {name: Path(path) for name, path in loaded["ours"].items()}
    assert all(path.is_relative_to(model) for path in modules.values())
    required = {line.partition("==")[0] for line in (model / "requirements.txt").read_text().split()}
    assert required == {distribution for path in modules.values() for distribution in distributions(path)} | {
        "tensorflow"
    }


# loads a model and predicts; says which modules that took
LOADS = """
import base64, json, sys, mlflow, pandas as pd
before = set(sys.modules)
model = mlflow.pyfunc.load_model(sys.argv[1])
photo = base64.b64encode(open(sys.argv[2], "rb").read()).decode()
(row,) = model.predict(pd.DataFrame({"photo": [photo]})).to_dict("records")
new = {name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}
ours = {name: file for name, file in new.items() if name.startswith(("transfer_learning", "code_model_")) and file}
print(json.dumps(row | {"modules": [name.partition(".")[0] for name in new], "ours": ours}))
"""
