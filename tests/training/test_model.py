"""The network: what is cut, frozen, trained and saved, against Keras's own as the reference."""

from __future__ import annotations

import base64
import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.clone import ROOT
from support.phases import phase

from transfer_learning.core.errors import UserError
from transfer_learning.evaluation import whole_model
from transfer_learning.network import backbone, features, stored
from transfer_learning.network.head import HEAD
from transfer_learning.photos import augment
from transfer_learning.photos.inventory import Photos
from transfer_learning.photos.parts import Part
from transfer_learning.serving.predictor import Predictor
from transfer_learning.settings import backbones, schema
from transfer_learning.settings.params import read_yaml
from transfer_learning.stage.kept_epochs import KeptEpochs
from transfer_learning.training import classifier, epochs
from transfer_learning.training.inputs import Examples, from_array, in_order


@pytest.fixture(scope="module")
def bases() -> dict[str, keras.Model]:
    keras.utils.set_random_seed(1)
    return {name: backbone.build(name, size=64) for name in ("mobilenet_v2", "small_cnn")}


def photos(n: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (n, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize("fine_tune_at", [0, 63, 100, 154])
def test_fine_tuning_trains_layers_from_fine_tune_at_and_the_head(
    fine_tune_at: int, bases: dict[str, keras.Model]
) -> None:
    base = bases["mobilenet_v2"]
    boundary = "block_6_project_BN" if fine_tune_at > 62 else None
    model = classifier.trainable_top(base, boundary, fine_tune_at=fine_tune_at, classes=2, dropout=0.2, seed=0)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    expected = sum(
        int(np.prod(weight.shape))
        for layer in base.layers[fine_tune_at:]
        for weight in layer.weights
        if "moving" not in weight.path
    )
    assert trainable == expected + 1281
    assert fine_tune_at != 100 or trainable == 1_862_721  # the tutorial's number


def test_freezing_again_forgets_what_was_frozen_before(bases: dict[str, keras.Model]) -> None:
    base = bases["small_cnn"]
    for fine_tune_at in (13, 4, 7, 0):
        backbone.freeze_below(base, fine_tune_at)
        assert [layer.trainable for layer in base.layers] == [index >= fine_tune_at for index in range(13)]


def test_a_training_step_leaves_batch_statistics_and_frozen_layers_alone() -> None:
    base = backbone.build("small_cnn", size=32)
    backbone.set_weights(base.layers, backbones.small_cnn_weights())
    before = backbone.get_weights(base.layers)
    model = classifier.trainable_top(base, None, fine_tune_at=7, classes=2, dropout=0.0, seed=0)
    epochs.compile_model(model, keras.optimizers.RMSprop(0.01), classes=2)
    model.get_layer(HEAD).kernel.assign_add(np.ones((128, 1), np.float32))
    model.train_on_batch(photos(8, 32), np.array([0, 1] * 4, np.float32)[:, None])
    after = backbone.get_weights(base.layers)
    for index, layer in enumerate(base.layers):
        for number, (old, new) in enumerate(zip(before.get(layer.name, []), after.get(layer.name, []), strict=True)):
            statistic = number >= 2  # gamma, beta, moving mean, moving variance
            assert np.array_equal(old, new) == (index < 7 or statistic), layer.name


def test_saved_model_gives_the_same_output_and_the_same_bytes(tmp_path: Path) -> None:
    pixels = photos(3, 32)
    files = []
    for name in ("one.keras", "two.keras"):
        base = backbone.build("small_cnn", size=32)
        head = {HEAD: [np.full((128, 1), 0.1, np.float32), np.zeros(1, np.float32)]}
        model = whole_model.whole(base, backbones.small_cnn_weights() | head)
        whole_model.save(model, tmp_path / name, classes=["cats", "dogs"])
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    loaded = keras.models.load_model(tmp_path / "one.keras", safe_mode=True)
    expected = model(pixels)
    assert 0 < float(expected[0, 0]) < 1
    np.testing.assert_allclose(loaded(pixels), expected, rtol=1e-6)
    predictor = Predictor(tmp_path / "one.keras")
    assert (predictor.classes, predictor.threshold) == (["cats", "dogs"], 0.5)
    above = float(expected[0, 0]) + 0.01
    whole_model.save(model, tmp_path / "strict.keras", classes=["cats", "dogs"], threshold=above)
    assert predictor.predict(pixels[:1])[0][0] == ("dogs" if above > 0.51 else "cats")
    assert Predictor(tmp_path / "strict.keras").predict(pixels[:1])[0][0] == "cats"
    assert zipfile.ZipFile(tmp_path / "one.keras").testzip() is None


def test_a_model_takes_files_as_large_as_it_was_made_with_and_says_whose_bound_it_is(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    whole_model.save(model, tmp_path / "new.keras", classes=["a", "b"], max_megapixels=101)
    with zipfile.ZipFile(tmp_path / "new.keras") as new, zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        facts = json.loads(new.read("metadata.json"))
        del facts["max_megapixels"]  # as in a model from before the bound was kept
        for name in new.namelist():
            old.writestr(name, json.dumps(facts) if name == "metadata.json" else new.read(name))
    path = tmp_path / "large.jpg"
    Image.new("L", (10_000, 10_000), 255).save(path)
    for photo in (path, path.read_bytes(), base64.b64encode(path.read_bytes()).decode()):
        assert (Predictor(tmp_path / "new.keras").pixels(photo) == 255).all()
        with pytest.raises(UserError, match=r"^has 100,000,000 pixels, more than the 80 megapixels that this model ta"):
            Predictor(tmp_path / "old.keras").pixels(photo)
    whole_model.save(model, tmp_path / "strict.keras", classes=["a", "b"], max_megapixels=1)
    pixels = np.full((1000, 1001, 3), 7, np.uint8)  # no file: whoever sends them has room for them
    assert (Predictor(tmp_path / "strict.keras").pixels(pixels) == 7).all()


def test_whole_model_equals_its_parts_and_the_check_sees_a_difference() -> None:
    base = backbone.build("small_cnn", size=32)
    head = {HEAD: [np.full((128, 1), 0.1, np.float32), np.zeros(1, np.float32)]}
    model = whole_model.whole(base, backbones.small_cnn_weights() | head)
    assert whole_model.difference_of_parts(base, "block_1_relu", model, photos(2, 32)) < 0.005
    other = whole_model.whole(backbone.build("small_cnn", size=32), backbones.small_cnn_weights() | head)
    other.get_layer(HEAD).bias.assign([1.0])
    stranger = backbone.build("small_cnn", size=32)
    assert whole_model.difference_of_parts(stranger, "block_1_relu", other, photos(2, 32)) > 0.005


def test_logistic_regression_by_training_equals_a_reference_step(tmp_path: Path) -> None:
    model = classifier.head(4, classes=2, dropout=0.0, seed=0)
    epochs.compile_model(model, keras.optimizers.SGD(0.5), classes=2)
    inputs = np.random.default_rng(0).normal(size=(1, 6, 4)).astype(np.float32)  # one view
    labels = np.array([0, 1, 0, 1, 1, 1])
    batch = from_array(inputs)
    rows: list[dict[str, float]] = []
    history = epochs.train(
        model,
        Examples(batch, labels, in_order(batch, labels, classes=2), classes=2, views=1),
        epochs.Session(0, rows.append, KeptEpochs(tmp_path)),
        phase=phase(batch_size=6),
        epochs=range(1, 2),
        evaluate_first=True,
    )
    expected = -0.5 * inputs[0].T @ (0.5 - labels) / 6  # gradient of the mean cross-entropy at zero weights
    np.testing.assert_allclose(model.layers[-1].get_weights()[0][:, 0], expected, rtol=1e-5)
    assert list(history["epoch"]) == [0, 1]
    np.testing.assert_allclose(history["loss"], [np.log(2)] * 2, atol=1e-6)
    assert rows == history.to_dict("records")


def test_a_loss_that_is_not_finite_stops_training_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = classifier.head(2, classes=2, dropout=0.0, seed=0)
    epochs.compile_model(model, keras.optimizers.SGD(0.1), classes=2)
    values = np.ones((1, 4, 2), np.float32)
    values[0, 2:] = np.inf
    batch = from_array(values)
    labels = np.array([0, 1, 0, 1])
    steps: list[int] = []
    monkeypatch.setattr(
        epochs._FiniteLoss, "on_train_batch_begin", lambda self, batch, logs=None: steps.append(batch), raising=False
    )
    said = r"the loss is (nan|inf) in step \d of epoch 3: no model is written; learning_rate is 0\.1, batch_size 1"
    with pytest.raises(UserError, match=said):
        epochs.train(
            model,
            Examples(batch, labels, in_order(batch, labels, classes=2), classes=2, views=1),
            epochs.Session(0, lambda _: None, KeptEpochs(tmp_path)),
            phase=phase(batch_size=1),
            epochs=range(3, 9),
        )
    assert len(steps) < 4  # the first of the two bad photos ended it


def test_a_validation_that_is_not_finite_is_said_in_a_sentence(tmp_path: Path) -> None:
    model = classifier.head(2, classes=2, dropout=0.0, seed=0)
    epochs.compile_model(model, keras.optimizers.SGD(0.1), classes=2)
    good, bad = (from_array(np.full((1, 4, 2), value, np.float32)) for value in (1, np.inf))
    labels = np.array([0, 1, 0, 1])
    examples = Examples(good, labels, in_order(bad, labels, classes=2), classes=2, views=1)
    session = epochs.Session(0, lambda _: None, KeptEpochs(tmp_path))
    with pytest.raises(UserError) as error:
        epochs.train(model, examples, session, phase=phase(batch_size=4), epochs=range(3, 4))
    assert re.match(r"epoch 3 ended with loss = 0\.693147, accuracy = 0\.5, val_loss = nan, val_acc", str(error.value))
    assert not set("{}'") & set(str(error.value))


def test_each_epoch_sees_every_photo_once_in_its_own_order_and_view(tmp_path: Path) -> None:
    seen: list[tuple[int, list[int]]] = []
    values = np.arange(20, dtype=np.float32).reshape(2, 10, 1)

    def batch(view: int, indices: np.ndarray) -> np.ndarray:
        if len(indices) > 1:
            seen.append((view, indices.tolist()))
        return values[view, indices]

    model = classifier.head(1, classes=2, dropout=0.5, seed=0)
    epochs.compile_model(model, keras.optimizers.Adam(0.01), classes=2)
    labels = np.array([0, 1] * 5)
    validation = in_order(from_array(values), labels, classes=2)
    epochs.train(
        model,
        Examples(batch, labels, validation, classes=2, views=2),
        epochs.Session(0, lambda _: None, KeptEpochs(tmp_path)),
        phase=phase(batch_size=5),
        epochs=range(1, 4),
    )
    assert [view for view, _ in seen] == [0, 0, 1, 1, 0, 0]
    orders = [seen[i][1] + seen[i + 1][1] for i in (0, 2, 4)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0] != orders[2]


def test_features_on_disk_equal_a_plain_computation(tmp_path: Path) -> None:
    from transfer_learning.ingest.drawn import draw_dataset
    from transfer_learning.photos.decode import load

    paths = draw_dataset(tmp_path / "raw", classes=2, photos_per_class=20, size=40, seed=0)
    base = backbone.build("small_cnn", size=32)
    backbone.set_weights(base.layers, backbones.small_cnn_weights())
    chosen = {part: [Path(p) for p in paths if p.startswith(part)] for part in ("train", "validation")}
    parts = {part: Part(p, np.arange(len(p), dtype=np.uint8) % 2) for part, p in chosen.items()}
    settings = schema.Augment.model_validate(read_yaml(ROOT / "params.yaml")["augment"] | {"crop": 0.75, "hue": 0.03})
    rows = augment.draw_transforms(40, settings, views=2, size=32, seed=5)
    features.compute(base, "block_2_relu", parts, Photos(tmp_path / "raw"), tmp_path / "f", size=32, transforms=rows)
    train, validation = stored.read(tmp_path / "f", "train"), stored.read(tmp_path / "f", "validation")
    assert train.activations.shape == (2, 40, 8, 8, 32)
    assert train.activations.dtype == np.float16
    assert validation.pooled.shape == (1, 20, 128)
    np.testing.assert_array_equal(train.labels, parts["train"].labels)
    photo = load(tmp_path / "raw" / chosen["train"][37], size=32)[None]
    pixels = backbone.preprocess(augment.apply(photo, rows[1, 37:38]), "small_cnn")
    inner = backbone.stem(base, "block_2_relu")(pixels, training=False)
    np.testing.assert_allclose(train.activations[1, 37], inner[0], rtol=2e-3, atol=1e-3)
    plain = load(tmp_path / "raw" / chosen["validation"][7], size=32)[None]  # not augmented
    inner = backbone.stem(base, "block_2_relu")(backbone.preprocess(plain, "small_cnn"), training=False)
    np.testing.assert_allclose(validation.activations[0, 7], inner[0], rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(train.pooled[1, 37], tf.reduce_mean(base(pixels), axis=(1, 2))[0], rtol=1e-4, atol=1e-5)
    size = sum(f.stat().st_size for f in (tmp_path / "f").iterdir())
    assert abs(size - features.bytes_needed(base, "block_2_relu", train=40, validation=20, views=2)) < 2000
