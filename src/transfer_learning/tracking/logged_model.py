"""The model of an experiment as MLflow keeps it, with the code and the requirements that serving it takes."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import transfer_learning
from transfer_learning.experiments.results import MODEL
from transfer_learning.tracking.store import faults, uri

SERVED = ("serving/mlflow_model.py", "served.py")  # what MLflow runs, in our package: now, and at earlier commits
# what that imports, and TensorFlow, with which Keras computes
SERVED_WITH = ("tensorflow", "keras", "pillow", "numpy", "pandas", "mlflow")


def log_model(run_id: str, folder: Path, model_id: str | None = None) -> None:
    """Log models/model.keras of a folder as a model that can be served, with its signature and the code it needs.

    Args:
        run_id: of the run that the model is of.
        folder: has the model, and the code of its commit.
        model_id: of the run's logged model, where that has lost its files or was never finished; None for a new one.
    """
    import mlflow
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    signature = ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "photo")]),
        outputs=Schema(
            [
                ColSpec("string", "class"),
                ColSpec("double", "probability"),
                ColSpec("boolean", "unsure", required=False),  # where evaluate.reject_below is above 0
            ]
        ),
    )
    packages = [folder / "src" / "transfer_learning", Path(transfer_learning.__file__).parent]  # the experiment's first
    code = next(package / name for package in packages for name in SERVED if (package / name).exists())
    package = code.parent if code.parent in packages else code.parent.parent
    warnings.filterwarnings("ignore", message=".*An input example was not provided")
    about = {
        "python_model": str(code),
        "artifacts": {"model": (folder / MODEL).resolve().as_uri()},
        "code_paths": [str(package)],  # all of it: a list of modules is wrong once one of them imports another
        "signature": signature,
        "pip_requirements": [f"{name}=={version(name)}" for name in SERVED_WITH],
    }
    with faults(), _imported_from(package.parent):
        mlflow.set_tracking_uri(uri())
        if model_id is None:
            with mlflow.start_run(run_id=run_id):
                mlflow.pyfunc.log_model(name="model", **about)
            return
        with tempfile.TemporaryDirectory() as aside:  # log_model wants to add the model to its run a second time
            made = mlflow.models.Model(run_id=run_id, model_id=model_id)
            mlflow.pyfunc.save_model(f"{aside}/model", mlflow_model=made, **about)
            client = mlflow.MlflowClient(uri())
            client.log_model_artifacts(model_id, f"{aside}/model")
            client.finalize_logged_model(model_id, "READY")
            if model_id not in [output.model_id for output in client.get_run(run_id).outputs.model_outputs]:
                client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])


@contextmanager
def _imported_from(folder: Path) -> Iterator[None]:
    """Import our package from another folder for a while: MLflow runs the code of a model when it logs it, and that of
    an older commit needs the modules of its commit."""
    at_hand = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "transfer_learning"}
    for name in at_hand:
        del sys.modules[name]
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
        for name in [name for name in sys.modules if name.partition(".")[0] == "transfer_learning"]:
            del sys.modules[name]
        sys.modules.update(at_hand)
