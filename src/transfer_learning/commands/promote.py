"""Register the model of an experiment and make it the champion, if it is not worse than the present one and the best.

    ./tl promote        the workspace
    ./tl promote NAME   a DVC experiment

They are compared on the same test photos, pairwise; what counts as worse is in conf/config.yaml under gate. The best is
the champion with the highest accuracy so far, so that a row of champions, each not worse than the one before, does not
sink. The exit code is 0 for a new champion, 1 for a model that is worse, 2 where they cannot be compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import revisions

if TYPE_CHECKING:
    from transfer_learning.reporting import gate
    from transfer_learning.settings import schema
    from transfer_learning.tracking import contents
    from transfer_learning.tracking import recorder as recording

ALIAS = "champion"
BEST = "best"  # alias of the champion with the highest accuracy; it moves up only, or by --force
PREDICTIONS = "predictions/predictions.csv"  # of a run


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="a DVC experiment")
    parser.add_argument("--force", action="store_true", help="without a comparison, as for a new test set")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments import results
    from transfer_learning.settings import params
    from transfer_learning.tracking import contents, store
    from transfer_learning.tracking import recorder as recording

    limits = params.check(params.read_yaml(Path("params.yaml"))).gate
    recorder = recording.Recorder()
    with tempfile.TemporaryDirectory() as aside:
        found = contents.of(results.read(arguments.name, Path(aside))[0])
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
        again = "./tl record" + (f" {found.name}" if found.name != revisions.WORKSPACE else "")
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
    best, better = (champion and recorder.registered(registry, BEST)) or champion, True
    if champion is None:
        why = "the first of its name"
    elif force:
        why = f"not compared with version {champion.version}, by --force"
    else:
        for version in {one.version: one for one in (champion, best)}.values():
            paired = against(recorder, version, found)
            if reason := paired.worse(limits):
                print(f"{found.name} does not become {ALIAS} of {registry}: {reason}", file=sys.stderr)
                print(f"against version {version.version}: {paired}")
                return False
        better = paired.change > 0
        why = f"not worse than version {best.version}: {paired}"
        tags |= {"compared_with": best.version, "accuracy_change": f"{paired.change:.6f}"}
        tags |= {"lost": str(len(paired.lost)), "gained": str(len(paired.gained)), "p_value": f"{paired.p_value:.6f}"}
    number = recorder.register(registry, run.info.run_id, model.model_id, tags | {"promoted_because": why})
    mark = number if better else best.version
    recorder.client.set_registered_model_alias(
        registry, BEST, mark
    )  # first: a kill here leaves a rule that is stricter
    recorder.client.set_registered_model_alias(registry, ALIAS, number)
    print(f"{found.name} is the {ALIAS} of {registry} now, version {number}: {why}")
    return True


def against(recorder: recording.Recorder, version: Any, found: contents.Contents) -> gate.Paired:
    """Pair an experiment's predictions with those of a registered version.

    Raises:
        UserError: the version's are gone, or not of the same classes and photos.
    """
    from transfer_learning.evaluation import predictions
    from transfer_learning.reporting import gate

    label = f"version {version.version} of {version.name}, {' and '.join(f'the {alias}' for alias in version.aliases)}"
    with tempfile.TemporaryDirectory() as aside:
        if not any(file.path == PREDICTIONS for file in recorder.client.list_artifacts(version.run_id, "predictions")):
            raise UserError(f"{label}, has no {PREDICTIONS} in the store; --force promotes without a comparison")
        theirs = Path(recorder.client.download_artifacts(version.run_id, PREDICTIONS, aside)).read_text()
    mine = (found.folder / predictions.PATH).read_text()
    try:
        return gate.pair(theirs, mine)
    except UserError as error:
        raise UserError(
            f"{found.name} cannot be compared with {label}: {error}; --force promotes all the same"
        ) from None
