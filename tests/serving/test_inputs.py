"""What a served model takes and refuses, and how predict shows names: training's photos, and nothing wrong."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transfer_learning.commands import predict
from transfer_learning.core.errors import UserError, printable
from transfer_learning.ingest.drawn import draw
from transfer_learning.serving.predictor import Predictor

PICTURE = draw("ring", size=64, generator=np.random.default_rng(3))
PIXELS = np.asarray(PICTURE)
FILE = io.BytesIO()
PICTURE.save(FILE, "PNG")
CONTENT = FILE.getvalue()
TEXT = base64.b64encode(CONTENT).decode()


@pytest.fixture
def predictor() -> Predictor:
    made = object.__new__(Predictor)
    made.size = 64
    return made


@pytest.mark.parametrize(
    "given",
    [TEXT, base64.encodebytes(CONTENT).decode(), "data:image/png;base64," + TEXT, TEXT.rstrip("="), f" {TEXT}\r\n",
     base64.urlsafe_b64encode(CONTENT).decode(), CONTENT, bytearray(CONTENT), memoryview(CONTENT), PIXELS,
     PIXELS.tolist(), PIXELS.astype(float), np.array([list(row) for row in PIXELS.tolist()] + [None], object)[:-1]],
    ids=range(13),
)  # fmt: skip
def test_a_photo_is_taken_however_it_is_written(predictor: Predictor, given: Any) -> None:
    np.testing.assert_array_equal(predictor.pixels(given), PIXELS)


@pytest.mark.parametrize(
    ("given", "said"),
    [("ü", "not base64"), ("/home/me/a.jpg", "not base64"), ("", "is empty"), ("data:image/svg+xml,<svg/>", "data URL"),
     (TEXT.replace("+", " "), "not base64"),
     (PIXELS / 255, "as if it were scaled"), ((PIXELS > 99).astype(int).tolist(), "as if it were scaled"),
     (PIXELS / 127.5 - 1, "outside of 0 to 255"), (PIXELS * np.nan, "outside of 0 to 255"),
     (PIXELS[..., 0], "has shape (64, 64)"), (PIXELS.transpose(2, 0, 1), "has shape (3, 64, 64)"),
     (PIXELS[None], "has shape (1, 64, 64, 3)"), (np.dstack([PIXELS, PIXELS[..., 0]]), "has shape (64, 64, 4)"),
     ([[1, 2], [3]], "neither"), (None, "neither"), (3, "neither"), (True, "neither"), ({"b64": TEXT}, "neither"),
     (PIXELS > 99, "neither"), (PIXELS.astype(str).tolist(), "neither")],
    ids=range(20),
)  # fmt: skip
def test_what_is_not_sure_is_refused_in_a_line(predictor: Predictor, given: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        predictor.pixels(given)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_black_photo_is_a_photo(predictor: Predictor) -> None:
    assert not predictor.pixels(np.zeros((9, 9, 3), np.uint8)).any()


def test_nan_is_never_a_class(predictor: Predictor) -> None:
    predictor.classes, predictor.threshold = ["a", "b"], 0.5
    predictor.model = type("Broken", (), {"predict_on_batch": lambda self, pixels: np.full((len(pixels), 1), np.nan)})()
    with pytest.raises(UserError, match="gives NaN"):
        predictor.predict(PIXELS[None])


def test_names_are_shown_safely_and_kept_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["x[/a].png", "a\x1b[31m.png", "two\nlines.png", "caf\udce9.jpg", "é.png"]
    rows: list[dict[str, object]] = [{"photo": name, "class": "[b]", "probability": 0.5} for name in names]
    predict._print_table(rows)
    said = capsys.readouterr().out
    for shown in ("x[/a].png", r"a\x1b[31m.png", r"two\nlines.png", r"caf\xe9.jpg", "é.png", "[b]"):
        assert shown in said
    for row in rows:
        line = predict._json(row)
        assert json.loads(line) == row
        assert line.isprintable()
        line.encode()
    assert str(UserError("two\nlines")) == r"two\nlines" == printable("two\nlines")


def test_a_model_of_a_newer_keras_is_said_to_be_one(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.keras", "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "99.1.0", "classes": ["a", "b"]}))
        file.writestr("config.json", "{}")
    with pytest.raises(UserError, match=r"saved by Keras 99\.1\.0, here is"):
        Predictor(tmp_path / "a.keras")


def test_a_client_of_the_served_model_gets_one_line(predictor: Predictor) -> None:
    import pandas as pd
    from mlflow.exceptions import MlflowException

    from transfer_learning.serving import mlflow_model as served

    model = served.PhotoClassifier()
    model.predictor = predictor
    with pytest.raises(MlflowException) as caught:
        model.predict(None, pd.DataFrame({"photo": [TEXT, "ü"]}))
    caught.value.message = "Failed to predict data \n ..."  # as MLflow's server does
    answer = json.loads(caught.value.serialize_as_json())
    assert answer["message"].startswith("photo 1 is text, but not base64; allowed are")
    assert "\n" not in answer["message"]
    assert caught.value.get_http_status_code() == 400
    predictor.classes, predictor.threshold = ["a", "b"], 0.5
    predictor.model = type("Broken", (), {"predict_on_batch": lambda self, pixels: np.full((len(pixels), 1), np.nan)})()
    with pytest.raises(MlflowException, match="gives NaN") as caught:
        model.predict(None, pd.DataFrame({"photo": [TEXT]}))
    assert caught.value.get_http_status_code() == 500
