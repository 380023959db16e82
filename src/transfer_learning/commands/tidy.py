"""Remove the experiments that are not worth their disk: from DVC, its cache and MLflow's store.

    ./tl tidy                        what would go, and what it would free; changes nothing
    ./tl tidy --yes                  do it
    ./tl tidy 'mine-*' --best 3      keep these too, and three of each set of photos by accuracy on validation

The workspace, branches and tags, models in MLflow's registry and what `./tl restore` has kept always stay. Underneath
are `dvc gc` and `mlflow gc`. These also take what nobody wants any more, the models and experiments in MLflow's trash,
and DVC's run cache: settings that ran before train again, where they would have been restored. DVC's remote keeps what
it has.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transfer_learning.experiments import tidy
    from transfer_learning.experiments.revisions import Experiment


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="an experiment that stays, or a pattern such as 'mine-*'"
    )
    best = "so many stay of each set of photos, by accuracy on validation (default: %(default)s)"
    parser.add_argument("--best", type=int, default=10, metavar="N", help=best)
    parser.add_argument("--yes", action="store_true", help="do it")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.commands.disk import gigabytes
    from transfer_learning.core.errors import UserError, printable
    from transfer_learning.experiments import disk, dvc_inside, tidy
    from transfer_learning.experiments.kept import name_a_few
    from transfer_learning.stage import at_work
    from transfer_learning.tracking import removal

    if arguments.best < 0:
        raise UserError(f"--best {arguments.best}: must be a whole number of 0 or more")
    at_work.refuse_beside_others()
    if busy := [name for name, state in dvc_inside.queue_states().items() if state in ("Queued", "Running")]:
        raise UserError(f"DVC's queue has {name_a_few(busy)}: wait until they have ended, or `dvc queue remove --all`")
    store = removal.Removal()
    registered = store.with_registered_models()
    found = tidy.plan(arguments.names, arguments.best, lambda one: (one.name, one.baseline) in registered)
    for why, stay in found.stays.items():
        if stay:
            print(printable(f"stays, {why}: {name_a_few([one.name for one in stay])}"))
    runs = store.runs_of(found.gone)
    before, staying = disk.cache([*found.gone, *_all(found)]), disk.cache(_all(found))
    freed = staying.nobody, sum(disk.size(folder, set()) for folder in store.folders(runs))
    whose = printable(", ".join(one.name for one in found.gone) or "no experiment")
    unclaimed = f", {gigabytes(before.nobody)} of it of nobody" if before.nobody else ""
    print(f"goes: {whose}")
    print(
        f"frees {gigabytes(freed[0])} of DVC's cache{unclaimed}, and {gigabytes(freed[1])} of MLflow's {len(runs)} runs"
    )
    if not arguments.yes:
        print("nothing is removed yet: `./tl tidy --yes` with the same words does it")
        return
    store.remove(runs)  # first: what is stopped here goes on when it is asked again
    tidy.remove(found.gone)
    disk.collect()
    print("removed")


def _all(found: tidy.Plan) -> list[Experiment]:
    return [one for stay in found.stays.values() for one in stay]
