"""Register the model of an experiment and make it the champion, if it is not worse than the present one.

    python src/promote.py              the workspace
    python src/promote.py NAME         a DVC experiment

Both are compared on the same test photos, pairwise; what counts as worse is in conf/config.yaml under gate. The exit
code is 0 for a new champion, 1 for a model that is worse, 2 where the two cannot be compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from transfer_learning import contents, gate, predictions, recording, results, revisions, schema, settings, stage, store
from transfer_learning.errors import UserError

ALIAS = "champion"
PREDICTIONS = "predictions/predictions.csv"  # of a run


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="promote", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a DVC experiment")
    parser.add_argument("--force", action="store_true", help="without a comparison, as for a new test set")
    arguments = parser.parse_args()
    limits = settings.check(settings.read_yaml(Path("params.yaml"))).gate
    with store.opened(recording.Recorder) as recorder, tempfile.TemporaryDirectory() as aside:
        found, _ = results.read(arguments.name, Path(aside))
        run, model = stored(recorder, found)
        with store.one_at_a_time():
            promoted = promote(recorder, found, run, model, limits, force=arguments.force)
    if not promoted:
        sys.exit(1)


def stored(recorder: recording.Recorder, found: contents.Contents) -> tuple[Any, Any]:
    """Run and logged model of an experiment in the store.

    Raises:
        UserError: the store lacks one of them.
    """
    run = recorder.find(found)
    model = recorder.model_of(run.info.experiment_id, run.info.run_id) if run else None
    if model is None:
        again = "make record" + (f" NAMES={found.name}" if found.name != revisions.WORKSPACE else "")
        raise UserError(f"the MLflow store lacks the {'model' if run else 'run'} of {found.name}: `{again}` adds it")
    return run, model


def promote(
    recorder: recording.Recorder, found: contents.Contents, run: Any, model: Any, limits: schema.Gate, *, force: bool
) -> bool:
    """Compare with the champion, then register and give the alias; whether the model is champion now."""
    registry = found.experiment
    champion = recorder.registered(registry, ALIAS)
    if champion and champion.run_id == run.info.run_id:
        print(f"{found.name} is the {ALIAS} of {registry} already: version {champion.version}")
        return True
    tags = {"dvc_experiment": found.name, "dvc_baseline": found.baseline}
    if champion is None:
        why = "the first of its name"
    elif force:
        why = f"not compared with version {champion.version}, by --force"
    else:
        paired = against(recorder, champion, found)
        reason = paired.worse(limits)
        if reason:
            print(f"{found.name} does not become {ALIAS} of {registry}: {reason}", file=sys.stderr)
            print(f"against version {champion.version}: {paired}")
            return False
        why = f"not worse than version {champion.version}: {paired}"
        tags |= {"compared_with": champion.version, "accuracy_change": f"{paired.change:.6f}"}
        tags |= {"lost": str(len(paired.lost)), "gained": str(len(paired.gained)), "p_value": f"{paired.p_value:.6f}"}
    version = recorder.register(registry, run.info.run_id, model.model_id, tags | {"promoted_because": why})
    recorder.client.set_registered_model_alias(registry, ALIAS, version)
    print(f"{found.name} is the {ALIAS} of {registry} now, version {version}: {why}")
    return True


def against(recorder: recording.Recorder, champion: Any, found: contents.Contents) -> gate.Paired:
    """Pair an experiment's predictions with the champion's.

    Raises:
        UserError: the champion's are gone, or not of the same classes and photos.
    """
    label = f"version {champion.version} of {champion.name}, the {ALIAS}"
    with tempfile.TemporaryDirectory() as aside:
        if not any(file.path == PREDICTIONS for file in recorder.client.list_artifacts(champion.run_id, "predictions")):
            raise UserError(f"{label}, has no {PREDICTIONS} in the store; --force promotes without a comparison")
        theirs = Path(recorder.client.download_artifacts(champion.run_id, PREDICTIONS, aside)).read_text()
    mine = (found.folder / predictions.PATH).read_text()
    try:
        return gate.pair(theirs, mine)
    except UserError as error:
        raise UserError(
            f"{found.name} cannot be compared with {label}: {error}; --force promotes all the same"
        ) from None


if __name__ == "__main__":
    stage.run("promote", main)
