"""Stage evaluate: the whole model, measured on the test photos themselves, and every figure."""

import sys
from pathlib import Path
from typing import Any

from transfer_learning import caveats, files, live, predictions, stage, weights
from transfer_learning.parts import SPLIT, read_split
from transfer_learning.runtime import setup, slices
from transfer_learning.schema import Settings
from transfer_learning.settings import load


def main() -> None:
    settings = load("evaluate")
    with live.recorded_after():
        metrics = evaluate(settings)
    for caveat in caveats.caveats(predictions.PATH.read_text()):
        print(f"warning: {caveat}", file=sys.stderr)
    print(
        f"test accuracy {metrics['accuracy']:.1%}: {metrics['correct']} of {metrics['photos']} photos, "
        f"{settings.evaluate.confidence:.0%} interval {metrics['accuracy_low']:.1%} to {metrics['accuracy_high']:.1%}"
    )


def evaluate(settings: Settings) -> dict[str, Any]:
    """Write the whole model, what it makes of the test photos, and the figures; returns the test metrics."""
    setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning import backbone, chunks, evaluation, of_a_run, photos, whole_model

    size, options = settings.images.size, settings.evaluate
    base = backbone.build(settings.model.name, size=size, alpha=settings.model.alpha)
    model = whole_model.whole(base, weights.read(Path("models/finetuned.weights.h5")))
    classes, parts = read_split(SPLIT)
    test, raw = parts["test"], photos.root(Path("data/raw"))
    decoded = (chunk for _, chunk in chunks.chunks([raw / path for path in test.paths], size=size))
    probabilities = whole_model.predict(model, decoded, threads=slices())  # (n, classes)
    predicted = evaluation.predict(probabilities, threshold=options.threshold)  # (n,)
    found = predictions.Predictions(test.paths, test.labels, probabilities, predicted, classes)
    run = of_a_run.Run(settings, base, model, raw, parts["train"], found)
    whole_model.check_parts(base, settings.model.boundary, model, run.test_pixels(found.least_sure()))
    metrics = evaluation.measure(
        test.labels, probabilities,
        threshold=options.threshold, confidence=options.confidence, bins=options.calibration_bins,
    )  # fmt: skip
    whole_model.save(
        model, Path("models/model.keras"),
        classes=classes, threshold=options.threshold, max_megapixels=settings.images.max_megapixels,
    )  # fmt: skip
    files.write_json(Path("reports/test/metrics.json"), metrics)
    predictions.write(predictions.PATH, found, raw)
    of_a_run.draw(run)
    return metrics


if __name__ == "__main__":
    stage.run("evaluate", main)
