"""Stage train_frozen: a new head learns on the pooled vectors of the frozen backbone (feature extraction)."""

from pathlib import Path

from transfer_learning import checkpoint, files, live, stage, weights
from transfer_learning.runtime import setup
from transfer_learning.schema import Settings
from transfer_learning.settings import load

OUTPUT = Path("models/frozen.weights.h5")


def main() -> None:
    settings = load("train_frozen")
    with live.followed("train_frozen") as follower:
        train(settings, follower)


def train(settings: Settings, follower: live.Follower) -> None:
    """Train the head and write its weights, history and metrics."""
    setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning import classifier, features, optimization, training

    folder = Path("data/features")
    stored = features.read(folder, "train")
    validation = features.read(folder, "validation")
    classes = stored.classes
    channels = stored.pooled.shape[-1]
    model = classifier.head(channels, classes=classes, dropout=settings.model.dropout, seed=settings.seed)
    phase = settings.train_frozen
    optimizer = optimization.build(
        phase,
        model.trainable_variables,
        learning_rate=phase.learning_rate,
        epochs=phase.epochs,
        photos=len(stored.labels),
    )
    training.compile_model(model, optimizer, classes=classes)
    with checkpoint.unfinished(OUTPUT, "train_frozen") as kept:
        history = training.train(
            model,
            training.from_array(stored.pooled),
            stored.labels,
            training.in_order(training.from_array(validation.pooled), validation.labels, classes=classes),
            phase=phase,
            classes=classes,
            epochs=range(1, phase.epochs + 1),
            views=stored.views,
            seed=settings.seed,
            on_epoch=follower.epoch,
            kept=kept,
            evaluate_first=True,
        )
        weights.write(OUTPUT, classifier.head_weights(model))
        training.write_history(history, Path("reports/frozen/history.csv"))
        metrics = training.metrics(history, phase) | {"photos": len(validation.labels)}
        files.write_json(Path("reports/frozen/metrics.json"), metrics)


if __name__ == "__main__":
    stage.run("train_frozen", main)
