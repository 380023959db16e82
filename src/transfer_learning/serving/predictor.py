"""Predictions of a saved model for photos as people have them: files, encoded bytes, or arrays of pixels."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import urllib.parse
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from transfer_learning.core.errors import UserError
from transfer_learning.network import runtime
from transfer_learning.photos import decode

URL_SAFE = str.maketrans("-_", "+/")
ALLOWED = "allowed are a photo's file in base64, or its pixels (height, width, 3) from 0 to 255"


class Predictor:
    """A whole model (.keras) with its class names; what it says with less than `reject_below` is unsure, 0 is off.

    Args:
        path: a .keras file that the evaluate stage has written; loaded in Keras's safe mode.

    Raises:
        UserError: the file is missing, broken or of another project.
    """

    bound = decode.USUAL  # the file's own where it keeps one

    def __init__(self, path: Path) -> None:
        runtime.load()
        import keras

        if path.exists() and not path.is_file():  # reading it might never end
            raise UserError(f"{path} is no file but a folder, pipe or device")
        newer = ""
        try:
            with zipfile.ZipFile(path) as file:
                facts = json.loads(file.read("metadata.json"))
            theirs = str(facts.get("keras_version", ""))
            if _version(theirs) > _version(keras.__version__):
                newer = f"it was saved by Keras {theirs}, here is {keras.__version__}: "
            self.classes: list[str] = facts["classes"]
            # models from before these were kept were made for one half, rejected nothing, and took up to 80 megapixels
            self.threshold = float(facts.get("threshold", 0.5))
            self.reject_below = float(facts.get("reject_below", 0))
            self.bound = decode.Bound(int(facts.get("max_megapixels", 80)), "this model takes")
            self.model = keras.saving.load_model(path, compile=False, safe_mode=True)
            self.size = int(self.model.input_shape[1])
        except FileNotFoundError:
            raise UserError(f"{path} is missing: `dvc repro` writes models/model.keras") from None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, EOFError, zlib.error,
                zipfile.BadZipFile) as error:  # fmt: skip
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{path} cannot be loaded, or is no model of this project ({newer}{reason})") from None
        if newer:
            logging.getLogger(__name__).warning("%s: %sit may predict something else", path, newer)

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
        if isinstance(photo, Path):
            return decode.load(photo, size=self.size, bound=self.bound)
        if isinstance(photo, str):
            photo = _content(photo)
        if isinstance(photo, bytes | bytearray | memoryview):
            return decode.load(io.BytesIO(photo), size=self.size, bound=self.bound)
        return decode.resize(_array(photo), size=self.size)

    def predict(self, pixels: np.ndarray) -> list[tuple[str, float]]:
        """Predict the class of each photo.

        Args:
            pixels: (n, size, size, 3) in [0, 255].

        Returns:
            Per photo the most probable class, of two classes the second from the model's threshold on, and its
            probability.

        Raises:
            UserError: the model gives no number for one of them.
        """
        outputs = self.model.predict_on_batch(pixels.astype(np.float32)).astype(float)
        if not np.isfinite(outputs).all():
            raise UserError("the model gives NaN instead of a probability: its weights are broken, train it again")
        best = outputs.argmax(axis=1)
        if outputs.shape[1] == 1:  # of the second of two classes
            best = (outputs[:, 0] >= self.threshold).astype(int)
            outputs = np.concatenate([1.0 - outputs, outputs], axis=1)
        return [(self.classes[index], float(row[index])) for index, row in zip(best, outputs, strict=True)]


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _content(text: str) -> bytes:
    """The file that base64 text holds: in lines, URL-safe, without padding or as a data URL too."""
    text = text.strip()
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise UserError(f"is a data URL without base64; {ALLOWED}")
        text = urllib.parse.unquote(text)
    letters = "".join(line.strip() for line in text.splitlines()).rstrip("=").translate(URL_SAFE)
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except ValueError:
        raise UserError(f"is text, but not base64; {ALLOWED}") from None


def _array(photo: Any) -> np.ndarray:
    """Pixels (h, w, 3) uint8, of arrays and of lists whose scale is beyond doubt."""
    try:
        array = np.asarray(_lists(photo))
    except (TypeError, ValueError):
        raise UserError(f"is neither base64 text nor an array of pixels; {ALLOWED}") from None
    if array.dtype.kind not in "uif" or not array.ndim:
        raise UserError(f"is neither base64 text nor an array of numbers; {ALLOWED}")
    if array.ndim != 3 or array.shape[-1] != 3 or not array.size:
        raise UserError(f"has shape {array.shape}; {ALLOWED}")
    lowest, highest = array.min(), array.max()
    if not (lowest >= 0 and highest <= 255):
        raise UserError(f"has values outside of 0 to 255; {ALLOWED}")
    if 0 < highest <= 1 or (highest <= 3 and (array % 1).any()):  # scaled, or standardised: no photo is that dark
        raise UserError(f"has no value above {highest:g}, as if it were scaled; {ALLOWED}")
    return array.round().astype(np.uint8)


def _lists(photo: Any) -> Any:
    """Arrays of arrays, as Parquet and pandas hold nested lists, as lists."""
    return [_lists(part) for part in photo] if isinstance(photo, np.ndarray) and photo.dtype == object else photo
