"""Stage train_frozen: a new head learns on the pooled vectors of the frozen backbone (feature extraction)."""

from pathlib import Path

from transfer_learning import stage, weights
from transfer_learning.runtime import setup
from transfer_learning.settings import load


def main() -> None:
    settings = load("train_frozen")
    setup(seed=settings.seed, threads=settings.runtime.threads)
    import keras

    from transfer_learning import classifier, features, tracking, training

    folder = Path("data/features")
    train = features.read(folder, "train")
    validation = features.read(folder, "validation")
    model = classifier.head(train.pooled.shape[-1], dropout=settings.model.dropout, seed=settings.seed)
    training.compile_model(model, keras.optimizers.Adam(settings.train_frozen.learning_rate))
    with tracking.run("train_frozen") as record:
        history = training.train(
            model,
            training.from_array(train.pooled),
            train.labels,
            training.in_order(training.from_array(validation.pooled), validation.labels),
            epochs=range(1, settings.train_frozen.epochs + 1),
            views=train.views,
            batch_size=settings.train_frozen.batch_size,
            seed=settings.seed,
            on_epoch=record.epoch,
            evaluate_first=True,
        )
        weights.write(Path("models/frozen.weights.h5"), classifier.head_weights(model))
        training.write_history(history, Path("reports/frozen/history.csv"))
        metrics = training.last_metrics(history) | {"photos": len(validation.labels)}
        stage.write_json(Path("reports/frozen/metrics.json"), metrics)
        record.tags(frozen_weights_md5=tracking.md5(Path("models/frozen.weights.h5")))


if __name__ == "__main__":
    stage.run("train_frozen", main)
