"""The tutorial as a plain Keras script, the way a notebook user has it: what `benchmarks/bench.py` compares us with.

    python benchmarks/plain.py PHOTOS WEIGHTS --epochs 10 --seed 42

PHOTOS holds train, validation and test, each with a folder a class; WEIGHTS is Keras's published .h5 file. The recipe
is TensorFlow's "Transfer learning and fine-tuning": `image_dataset_from_directory` with prefetch, augmentation in the
model, `fit` with the frozen base, `fit` again from layer 100 on, evaluation, learning curves. Its known faults that
touch the comparison are mended: one sigmoid, a test set of its own, exactly as many fine-tuning epochs as frozen ones.
Prints one line of JSON at the end. It uses nothing of this project.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")

import keras
import matplotlib.pyplot as plt
import tensorflow as tf

BATCH_SIZE = 32
IMAGE_SIZE = (160, 160)
FINE_TUNE_AT = 100
LEARNING_RATE = 0.0001

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("photos")
parser.add_argument("weights")
parser.add_argument("--epochs", type=int, default=10, help="of each phase")
parser.add_argument("--seed", type=int, default=42)
parser.add_argument("--figure", default="learning_curves.png")
arguments = parser.parse_args()
keras.utils.set_random_seed(arguments.seed)


def dataset(part: str, *, shuffle: bool) -> tf.data.Dataset:
    folder = os.path.join(arguments.photos, part)
    photos = keras.utils.image_dataset_from_directory(
        folder, shuffle=shuffle, batch_size=BATCH_SIZE, image_size=IMAGE_SIZE
    )
    return photos.prefetch(tf.data.AUTOTUNE)


train = dataset("train", shuffle=True)
validation = dataset("validation", shuffle=False)
test = dataset("test", shuffle=False)

augmentation = keras.Sequential([keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.2)])
base = keras.applications.MobileNetV2(input_shape=(*IMAGE_SIZE, 3), include_top=False, weights=arguments.weights)
base.trainable = False
inputs = keras.Input((*IMAGE_SIZE, 3))
x = augmentation(inputs)
x = keras.applications.mobilenet_v2.preprocess_input(x)
x = base(x, training=False)
x = keras.layers.GlobalAveragePooling2D()(x)
x = keras.layers.Dropout(0.2)(x)
model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))


def compile_with(optimizer: keras.Optimizer) -> None:
    metrics = [keras.metrics.BinaryAccuracy(name="accuracy")]
    model.compile(optimizer=optimizer, loss=keras.losses.BinaryCrossentropy(), metrics=metrics)


compile_with(keras.optimizers.Adam(LEARNING_RATE))
model.evaluate(validation, verbose=0)
started = time.monotonic()
frozen = model.fit(train, epochs=arguments.epochs, validation_data=validation, verbose=2).history
seconds_frozen = time.monotonic() - started

base.trainable = True
for layer in base.layers[:FINE_TUNE_AT]:
    layer.trainable = False
compile_with(keras.optimizers.RMSprop(LEARNING_RATE / 10))
started = time.monotonic()
tuned = model.fit(
    train,
    initial_epoch=arguments.epochs,
    epochs=2 * arguments.epochs,
    validation_data=validation,
    verbose=2,
).history
seconds_tuned = time.monotonic() - started

tested = model.evaluate(test, return_dict=True, verbose=0)
figure, axes = plt.subplots(2, 1, figsize=(8, 8))
for axis, name in zip(axes, ("accuracy", "loss"), strict=True):
    axis.plot(frozen[name] + tuned[name], label="training")
    axis.plot(frozen[f"val_{name}"] + tuned[f"val_{name}"], label="validation")
    axis.axvline(arguments.epochs - 1, color="grey", linestyle=":")
    axis.set_ylabel(name)
    axis.legend()
figure.savefig(arguments.figure)

print(
    json.dumps(
        {
            "frozen_validation": frozen["val_accuracy"][-1],
            "validation": tuned["val_accuracy"][-1],
            "test": tested["accuracy"],
            "frozen_epoch_seconds": seconds_frozen / arguments.epochs,
            "fine_tuning_epoch_seconds": seconds_tuned / arguments.epochs,
        }
    )
)
