"""Every backbone that conf/model offers: against Keras's own networks, preprocessing and weights files."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from support.clone import ROOT

from transfer_learning.core import weights
from transfer_learning.core.errors import UserError
from transfer_learning.evaluation import whole_model
from transfer_learning.network import backbone, folding
from transfer_learning.network.head import HEAD
from transfer_learning.settings import backbones, params
from transfer_learning.settings.backbones import BACKBONES
from transfer_learning.training import classifier, epochs

SIZE = 32
OPTIONS = {path.stem: params.read_yaml(path) for path in (ROOT / "conf" / "model").glob("*.yaml")}
REFERENCE_PREPROCESSING = {
    "mobilenet_v2": keras.applications.mobilenet_v2.preprocess_input,
    "resnet50v2": keras.applications.resnet_v2.preprocess_input,
    "densenet121": keras.applications.densenet.preprocess_input,
    "small_cnn": keras.applications.mobilenet_v2.preprocess_input,
}  # the others have it in the network


def photos(n: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (n, SIZE, SIZE, 3)).astype(np.float32)


def drawn(name: str, folder: Path, alpha: float = 1.0) -> keras.Model:
    """A backbone with random weights, those of normalisation layers too, which start at the identity.

    They neither let rounding grow from layer to layer nor make all photos alike.
    """
    base = backbone.build(name, size=SIZE, alpha=alpha)
    weights.write(folder / "random.h5", backbones.DRAWN)
    backbone.load(base, folder / "random.h5")
    generator = np.random.default_rng(1)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in layer.weights:
                low, high = {"gamma": (0.7, 1.2), "moving_variance": (0.8, 1.5)}.get(weight.name, (-0.3, 0.3))
                weight.assign(generator.uniform(low, high, weight.shape))
        if type(layer).__name__ == "LayerScale":
            layer.weights[0].assign(generator.uniform(0.1, 0.3, layer.weights[0].shape))
    return base


LIKE_OTHERS = (  # deeper ones of a kind, and those with no layer that the others do not have
    "efficientnet_v2_b1", "efficientnet_v2_b2", "efficientnet_v2_b3", "mobilenet_v3_large", "resnet50v2", "densenet121",
    "convnext_tiny",
)  # fmt: skip
BUILT: dict[str, keras.Model] = {}  # in random order, a fixture of the module would build one for nearly each test


@pytest.fixture(params=[pytest.param(n, marks=[pytest.mark.full] * (n in LIKE_OTHERS)) for n in BACKBONES])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> keras.Model:
    if request.param not in BUILT:
        keras.backend.clear_session()
        BUILT[request.param] = drawn(request.param, tmp_path_factory.mktemp(request.param))
    return BUILT[request.param]


def close(found: object, expected: object) -> None:
    """Equal within float32's rounding through some hundred layers, relative to the largest number."""
    expected = np.asarray(expected)
    scale = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 1e-4 * scale  # or all networks would be equal
    np.testing.assert_allclose(np.asarray(found) / scale, expected / scale, atol=2e-5)


def test_table_equals_keras(base: keras.Model) -> None:
    known = BACKBONES[base.backbone]
    assert {base.layers[index].name: index for index in known.boundaries.values()} == known.boundaries
    for alpha, parameters in known.parameters.items():
        network = base if alpha == 1.0 else backbone.build(base.backbone, size=SIZE, alpha=alpha)
        assert (len(network.layers), network.count_params()) == (known.layers, parameters)
        assert [network.layers[index].name for index in known.boundaries.values()] == list(known.boundaries)


def test_stem_and_top_give_what_the_whole_backbone_gives(base: keras.Model) -> None:
    pixels = backbone.preprocess(photos(2), base.backbone)
    for boundary, index in BACKBONES[base.backbone].boundaries.items():
        stem, top = backbone.stem(base, boundary), backbone.top(base, boundary)  # Keras refuses a top that wants more
        assert [layer.name for layer in stem.layers] == [layer.name for layer in base.layers[: index + 1]]
        assert [layer.name for layer in top.layers[1:]] == [layer.name for layer in base.layers[index + 1 :]]
        if boundary == OPTIONS[base.backbone]["model"]["boundary"]:
            close(top(stem(pixels, training=False), training=False), base(pixels, training=False))


def test_folded_network_gives_what_keras_gives(base: keras.Model) -> None:
    built, folded = folding.fold(base)
    before = [
        layer.input._keras_history.operation
        for layer in base.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(folded) == sum(isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D) for layer in before)
    assert len(folded) >= {"convnext_tiny": 0, "small_cnn": 4}.get(base.backbone, 30)
    pixels = backbone.preprocess(photos(2), base.backbone)
    close(built(pixels, training=False), base(pixels, training=False))


def test_a_training_step_moves_what_is_above_fine_tune_at_and_no_statistics(base: keras.Model) -> None:
    boundary, index = list(BACKBONES[base.backbone].boundaries.items())[-1]
    at = (index + len(base.layers)) // 2
    model = classifier.trainable_top(base, boundary, fine_tune_at=at, classes=2, dropout=0.0, seed=0)
    assert [layer.trainable for layer in base.layers] == [number >= at for number in range(len(base.layers))]
    trained = sum(
        weight.shape.num_elements()
        for layer in base.layers[at:]
        for weight in layer.weights
        if "moving" not in weight.name
    )
    head = model.get_layer(HEAD)
    assert sum(weight.shape.num_elements() for weight in model.trainable_weights) == trained + head.count_params()
    generator = np.random.default_rng(2)
    head.kernel.assign(generator.normal(size=head.kernel.shape))
    before = backbone.get_weights(base.layers)
    epochs.compile_model(model, keras.optimizers.RMSprop(0.01), classes=2)
    inputs = generator.normal(size=(4, *model.input_shape[1:])).astype(np.float32)
    model.train_on_batch(inputs, np.array([0, 1] * 2, np.float32)[:, None])
    after = backbone.get_weights(base.layers)
    names = {layer.name: [weight.name for weight in layer.weights] for layer in base.layers}
    changed = {
        (layer, name)
        for layer, arrays in before.items()
        for name, old, new in zip(names[layer], arrays, after[layer], strict=True)
        if not np.array_equal(old, new)
    }
    backbone.set_weights(base.layers, before)
    allowed = {(layer.name, name) for layer in base.layers[at:] for name in names[layer.name] if "moving" not in name}
    assert changed <= allowed
    assert len(changed) >= 0.8 * len(allowed)  # a unit that is zero for all inputs has no gradient


def test_preprocessing_equals_that_of_keras(base: keras.Model) -> None:
    name, pixels = base.backbone, photos(2)
    if name in REFERENCE_PREPROCESSING:
        expected = REFERENCE_PREPROCESSING[name](pixels.copy())
    else:
        network = backbone.APPLICATIONS[name](input_shape=(SIZE, SIZE, 3), include_top=False, weights=None)
        inside = [
            layer for layer in network.layers if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
        ]
        expected = keras.Model(network.input, inside[-1].output)(pixels)
        assert len(network.layers) == len(base.layers) + len(inside)
    np.testing.assert_allclose(backbone.preprocess(pixels, name), expected, atol=2e-6)
    np.testing.assert_allclose(whole_model.preprocessing_layer(name)(pixels), expected, atol=2e-6)


def test_saved_whole_model_gives_the_same_output(base: keras.Model, tmp_path: Path) -> None:
    channels = base.output.shape[-1]
    kernel = np.random.default_rng(3).normal(0, channels**-0.5, (channels, 1)).astype(np.float32)
    head = {HEAD: [kernel, np.zeros(1, np.float32)]}
    model = whole_model.whole(base, backbone.get_weights(base.layers) | head)
    whole_model.save(model, tmp_path / "model.keras", classes=["cats", "dogs"])
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    expected = np.asarray(model(photos(2)))
    assert expected[0] != expected[1]
    np.testing.assert_allclose(loaded(photos(2)), expected, rtol=1e-6)
    assert loaded.get_layer("preprocess").get_config() == model.get_layer("preprocess").get_config()


def test_layers_are_described_for_the_figure(base: keras.Model) -> None:
    layers = whole_model.describe(base, len(base.layers) // 2)
    assert sum(parameters for _, parameters, _ in layers) == base.count_params()
    assert layers[0][0] == f"{SIZE} x {SIZE} x 3"


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "convnext_tiny", "mobilenet_v2"])
def test_published_file_with_other_names_is_read_as_keras_reads_it(name: str, tmp_path: Path) -> None:
    """Keras published MobileNetV3 with names such as expanded_conv/project/BatchNorm, which it no longer has."""
    network = drawn(name, tmp_path)
    path = tmp_path / "published.h5"
    with h5py.File(path, "w") as file:
        names = [layer.name.replace("_bn", "/BatchNorm").replace("conv_", "conv/") for layer in network.layers]
        file.attrs["layer_names"] = names
        for old, layer in zip(names, network.layers, strict=True):
            group = file.require_group(old)
            group.attrs["weight_names"] = [f"{old}/{number}:0" for number in range(len(layer.weights))]
            for number, array in enumerate(layer.get_weights()):
                group[f"{old}/{number}:0"] = array
    reference = backbone.build(name, size=SIZE)
    reference.load_weights(path)
    weights.write(tmp_path / "backbone.weights.h5", weights.read_published(path))
    ours = backbone.build(name, size=SIZE)
    backbone.load(ours, tmp_path / "backbone.weights.h5")
    for found, wanted in zip(ours.layers, reference.layers, strict=True):  # one of ConvNeXt's has no name of its own
        for array, expected in zip(found.get_weights(), wanted.get_weights(), strict=True):
            np.testing.assert_array_equal(array, expected)


def test_random_weights_are_the_same_in_every_process_and_seed(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    one = backbone.get_weights(drawn("mobilenet_v3_small", tmp_path).layers)
    keras.utils.set_random_seed(2)
    two = backbone.get_weights(drawn("mobilenet_v3_small", tmp_path).layers)
    assert weights.digest(one) == weights.digest(two)


def test_weights_of_another_network_are_refused_by_name_and_shape(tmp_path: Path) -> None:
    network = backbone.build("mobilenet_v2", size=SIZE)
    path = tmp_path / "backbone.weights.h5"
    weights.write(path, backbone.get_weights(backbone.build("mobilenet_v2", size=SIZE, alpha=0.5).layers))
    said = r"backbone\.weights\.h5 does not fit model mobilenet_v2: .*layer Conv1 has shapes \[\(3, 3, 3, 16\)\], not "
    with pytest.raises(UserError, match=said):
        backbone.load(network, path)
    weights.write(path, backbones.small_cnn_weights())
    with pytest.raises(UserError, match=r"does not fit model mobilenet_v2: .*only the network has a layer Conv1"):
        backbone.load(network, path)
    arrays = backbones.small_cnn_weights()
    del arrays["block_4_BN"]
    with pytest.raises(UserError, match="block_4_BN"):
        backbone.set_weights(backbone.build("small_cnn", size=SIZE).layers, arrays)


def test_every_option_of_conf_is_a_backbone_and_fine_tunes_above_its_boundary() -> None:
    assert set(OPTIONS) == set(BACKBONES)
    for name, option in OPTIONS.items():
        known, model, at = BACKBONES[name], option["model"], option["finetune"]["fine_tune_at"]
        assert model["name"] == name
        assert known.boundaries[model["boundary"]] < at < 0.75 * known.layers
        text = (ROOT / "conf" / "model" / f"{name}.yaml").read_text()
        assert all(boundary in text for boundary in known.boundaries)
