"""Predictions of a saved model for photos as people have them: files, encoded bytes, or arrays of pixels."""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from transfer_learning.core.errors import UserError
from transfer_learning.network import runtime
from transfer_learning.photos import decode


class Predictor:
    """A whole model (.keras) with its class names.

    Args:
        path: a .keras file that the evaluate stage has written; loaded in Keras's safe mode.

    Raises:
        UserError: the file is missing, broken or of another project.
    """

    def __init__(self, path: Path) -> None:
        runtime.load()
        import keras

        try:
            with zipfile.ZipFile(path) as file:
                facts = json.loads(file.read("metadata.json"))
            self.classes: list[str] = facts["classes"]
            # models from before these were kept were made for one half, and took photos of up to 80 megapixels
            self.threshold = float(facts.get("threshold", 0.5))
            self.bound = decode.Bound(int(facts.get("max_megapixels", 80)), "this model takes")
            self.model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except FileNotFoundError:
            raise UserError(f"{path} is missing: `dvc repro` writes models/model.keras") from None
        except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is no model of this project ({' '.join(str(error).split())[:200]})") from None
        self.size = int(self.model.input_shape[1])

    def pixels(self, photo: Any) -> np.ndarray:
        """Turn one photo into what the model takes.

        Args:
            photo: a path; the bytes of a file, or their base64 text; or pixels (h, w, 3) in [0, 255], as many as they
                be: a file is bounded as those were that the model learned from.

        Returns:
            (size, size, 3) uint8.

        Raises:
            UserError: it is none of these, or broken; the message does not name it.
        """
        if isinstance(photo, str):
            try:
                photo = base64.b64decode(photo, validate=True)
            except binascii.Error:
                raise UserError("is text, but not base64") from None
        if isinstance(photo, Path | bytes):
            file = photo if isinstance(photo, Path) else io.BytesIO(photo)
            return decode.load(file, size=self.size, bound=self.bound)
        try:
            array = np.asarray(photo, np.float64)
        except (TypeError, ValueError):
            raise UserError("is neither base64 text nor an array of pixels") from None
        if array.ndim != 3 or array.shape[-1] != 3 or not array.size:
            raise UserError(f"has shape {array.shape}: pixels come as (height, width, 3)")
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 255:
            raise UserError("has values outside of 0 to 255")
        return decode.resize(array.round().astype(np.uint8), size=self.size)

    def predict(self, pixels: np.ndarray) -> list[tuple[str, float]]:
        """Predict the class of each photo.

        Args:
            pixels: (n, size, size, 3) in [0, 255].

        Returns:
            Per photo the most probable class, of two classes the second from the model's threshold on, and its
            probability.
        """
        outputs = self.model.predict_on_batch(pixels.astype(np.float32)).astype(float)
        best = outputs.argmax(axis=1)
        if outputs.shape[1] == 1:  # of the second of two classes
            best = (outputs[:, 0] >= self.threshold).astype(int)
            outputs = np.concatenate([1.0 - outputs, outputs], axis=1)
        return [(self.classes[index], float(row[index])) for index, row in zip(best, outputs, strict=True)]
