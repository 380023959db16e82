"""Stage evaluate: the whole model, measured on the test photos themselves, and every figure."""

import sys
from pathlib import Path

from transfer_learning import announce
from transfer_learning.core import files, weights
from transfer_learning.evaluation import caveats, predictions
from transfer_learning.network.runtime import setup, slices
from transfer_learning.photos.parts import SPLIT, read_split
from transfer_learning.settings.params import load
from transfer_learning.settings.schema import Settings
from transfer_learning.stage import process


def main() -> None:
    settings = load("evaluate")
    with announce.recorded_after():
        evaluate(settings)
    for caveat in caveats.caveats(predictions.PATH.read_text()):
        print(f"warning: {caveat}", file=sys.stderr)


def evaluate(settings: Settings) -> None:
    """Write the whole model, what it makes of the test photos, and the figures."""
    setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning.evaluation import metrics as evaluation
    from transfer_learning.evaluation import whole_model
    from transfer_learning.figures import of_a_run
    from transfer_learning.network import backbone
    from transfer_learning.photos import inventory

    size, options = settings.images.size, settings.evaluate
    base = backbone.build(settings.model.name, size=size, alpha=settings.model.alpha)
    model = whole_model.whole(base, weights.read(Path("models/finetuned.weights.h5")))
    classes, parts = read_split(SPLIT)
    raw = inventory.root(Path("data/raw"))
    kinds = [parts[name] for name in ("test", "validation")]
    probabilities = whole_model.predict_parts(model, kinds, raw, size=size, threads=slices())  # (n, classes) each
    chosen = [evaluation.predict(said, threshold=options.threshold) for said in probabilities]  # (n,) each
    each = zip(kinds, probabilities, chosen, strict=True)
    found, validated = (predictions.Predictions(one.paths, one.labels, said, best, classes) for one, said, best in each)
    run = of_a_run.Run(settings, base, model, raw, parts["train"], found)
    whole_model.check_parts(base, settings.model.boundary, model, run.test_pixels(found.least_sure()))
    metrics = evaluation.measure(
        found.labels, found.probabilities,
        threshold=options.threshold, confidence=options.confidence, bins=options.calibration_bins,
    )  # fmt: skip
    whole_model.save(
        model, Path("models/model.keras"),
        classes=classes, threshold=options.threshold, max_megapixels=settings.images.max_megapixels,
    )  # fmt: skip
    files.write_json(Path("reports/test/metrics.json"), metrics)
    predictions.write(predictions.PATH, found, raw)
    predictions.write(predictions.VALIDATION, validated, raw)
    of_a_run.draw(run)
    print(evaluation.in_words(metrics, confidence=options.confidence))


if __name__ == "__main__":
    process.run("evaluate", main)
