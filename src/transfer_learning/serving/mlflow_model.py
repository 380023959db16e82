"""The model as MLflow serves it: a table with a column `photo` in, class and probability out, and whether it is unsure.

MLflow runs this file when it loads the model (models from code: nothing is pickled).
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from transfer_learning.core.errors import UserError
from transfer_learning.serving.predictor import Predictor

BATCH = 64


class Refused(MlflowException):
    """MLflow's server puts the whole table in front of a message; a client gets the line alone."""

    def serialize_as_json(self) -> str:
        self.message = str(self.args[0])
        return str(super().serialize_as_json())


class PhotoClassifier(mlflow.pyfunc.PythonModel):
    """Takes base64 text of an encoded photo of any orientation and of up to the size that the model was made with, or
    its pixels (h, w, 3) in [0, 255]."""

    def load_context(self, context: Any) -> None:
        self.predictor = Predictor(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Predict for each row of the column `photo`: its class (string) and the probability of that class; where the
        model rejects any, whether it is unsure (boolean) too."""
        pixels = []
        for number, photo in enumerate(model_input["photo"]):
            try:
                pixels.append(self.predictor.pixels(photo))
            except UserError as error:
                raise Refused(f"photo {number} {error}", INVALID_PARAMETER_VALUE) from None
        found = []
        for start in range(0, len(pixels), BATCH):
            try:
                found += self.predictor.predict(np.stack(pixels[start : start + BATCH]))
            except UserError as error:
                raise Refused(str(error)) from None
        table = pd.DataFrame(found, columns=["class", "probability"])
        if self.predictor.reject_below:
            table["unsure"] = table["probability"] < self.predictor.reject_below
        return table


mlflow.models.set_model(PhotoClassifier())
