"""Write params.yaml anew from conf/, as `dvc exp run` does, and from the schema the texts on settings.

    ./tl params
    ./tl params --out other.yaml +experiment=demo seed=1

Overrides are those of `dvc exp run -S`: what an experiment with them would run with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from transfer_learning.core.errors import UserError

PARAMS = Path("params.yaml")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="key=value, of a setting or a group")
    parser.add_argument("--out", type=Path, default=PARAMS, metavar="FILE", help=f"default: {PARAMS}")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments.compose import compose
    from transfer_learning.reporting import described
    from transfer_learning.stage import at_work

    for word in arguments.overrides:
        if "=" not in word and not word.startswith("~"):  # ~key takes one away
            raise UserError(f"{word!r} is no override key=value; a file to write is named with --out")
    if arguments.out == PARAMS:
        at_work.refuse_beside_others()
    compose(arguments.out, arguments.overrides)
    plain = arguments.out == PARAMS and not arguments.overrides
    changed = described.write() if plain else []
    print(f"wrote {', '.join(map(str, [arguments.out, *changed]))}")
