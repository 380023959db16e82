"""Stage evaluate: the whole model, measured on the test photos themselves, and every figure."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out
from transfer_learning.core import packages, surroundings

surroundings.shut_out()
packages.say_what_is_missing()
from transfer_learning import announce
from transfer_learning.core import files, weights
from transfer_learning.evaluation import baseline, caveats, predictions
from transfer_learning.network.runtime import at_once, setup
from transfer_learning.photos.parts import SPLIT, read_split
from transfer_learning.settings.params import load
from transfer_learning.settings.schema import Settings
from transfer_learning.stage import process


def main() -> None:
    settings = load("evaluate")
    with announce.recorded_after():
        evaluate(settings)
    for caveat in caveats.of_run(lambda path: Path(path).read_text()):
        print(f"warning: {caveat}", file=sys.stderr)


def evaluate(settings: Settings) -> None:
    """Write the whole model, what it makes of the test photos, and the figures."""
    setup(seed=settings.seed, threads=settings.runtime.threads)
    from transfer_learning.evaluation import calibration, whole_model
    from transfer_learning.evaluation import metrics as evaluation
    from transfer_learning.figures import of_a_run
    from transfer_learning.network import backbone
    from transfer_learning.photos import inventory

    size, options, photos = settings.images.size, settings.evaluate, inventory.read(Path("data/raw"))
    base = backbone.build(settings.model.name, size=size, alpha=settings.model.alpha)
    model = whole_model.whole(base, weights.read(Path("models/finetuned.weights.h5")))
    classes, parts = read_split(SPLIT)
    kinds, bound, largest = [parts["test"], parts["validation"]], options.threshold, settings.images.max_megapixels
    logits = whole_model.logits_of_parts(model, kinds, photos, size=size, threads=at_once())
    temperature = calibration.fit(kinds[1].labels, logits[1]) if options.temperature_scaling else 1.0
    found, validated = (
        predictions.Predictions(part.paths, part.labels, said, evaluation.predict(said, threshold=bound), classes)
        for part, said in zip(kinds, [calibration.probabilities(one, temperature) for one in logits], strict=True)
    )
    run = of_a_run.Run(settings, base, model, photos, parts["train"], found)
    whole_model.check_parts(base, settings.model.boundary, model, run.test_pixels(found.least_sure()))
    whole_model.divide_logits(model, temperature)
    metrics = evaluation.of_test(found, calibration.probabilities(logits[0]), temperature, options)
    kept = {"threshold": bound, "reject_below": options.reject_below}
    whole_model.save(model, Path("models/model.keras"), classes=classes, max_megapixels=largest, **kept)
    files.write_json(Path("reports/test/metrics.json"), metrics)
    predictions.write(predictions.PATH, found, photos)
    predictions.write(predictions.VALIDATION, validated, photos)
    against = baseline.write(found, validated, photos, threshold=bound)
    of_a_run.draw(run)
    print(evaluation.in_words(metrics, confidence=options.confidence), against, sep="\n")


if __name__ == "__main__":
    process.run("evaluate", main)
