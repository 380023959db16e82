"""Stage train_frozen: a new head learns on the pooled vectors of the frozen backbone (feature extraction)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out
from transfer_learning.core import packages, surroundings

surroundings.shut_out()
packages.say_what_is_missing()
from transfer_learning import announce
from transfer_learning.core import files, weights
from transfer_learning.network import runtime
from transfer_learning.settings.params import load
from transfer_learning.settings.schema import Settings
from transfer_learning.stage import kept_epochs, process

OUTPUT = Path("models/frozen.weights.h5")


def main() -> None:
    settings = load("train_frozen")
    with announce.followed("train_frozen") as follower:
        train(settings, follower)


def train(settings: Settings, follower: announce.Follower) -> None:
    """Train the head and write its weights, history and metrics."""
    runtime.setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning.core import history
    from transfer_learning.network import stored
    from transfer_learning.network.head import PROBE
    from transfer_learning.training import classifier, epochs, inputs, optimizers

    validation = stored.read(stored.FOLDER, "validation")
    examples = inputs.from_features(stored.FOLDER, "pooled")
    channels, phase = validation.pooled.shape[-1], settings.train_frozen
    model = classifier.head(channels, classes=examples.classes, dropout=settings.model.dropout, seed=settings.seed)
    if phase.start == "probe":
        classifier.start_from(model, weights.read(PROBE))
    optimizer = optimizers.build(
        phase,
        model.trainable_variables,
        learning_rate=phase.learning_rate,
        epochs=phase.epochs,
        photos=len(examples.labels),
    )
    epochs.compile_model(model, optimizer, classes=examples.classes)
    kept = kept_epochs.of("train_frozen", settings, runtime.devices()).beginning(phase.beginning())
    session = epochs.Session(settings.seed, follower.epoch, kept)
    numbers = range(1, phase.epochs + 1)
    trained = epochs.train(model, examples, session, phase=phase, epochs=numbers, evaluate_first=True)
    weights.write(OUTPUT, classifier.head_weights(model))
    history.write(trained, "train_frozen")
    metrics = epochs.metrics(trained, phase) | {"photos": len(validation.labels)}
    files.write_json(Path("reports/frozen/metrics.json"), metrics)


if __name__ == "__main__":
    process.run("train_frozen", main)
