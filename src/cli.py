"""People's door: `./tl COMMAND ...`; `./tl --help` lists the commands.

A command is a module of transfer_learning/commands, imported when it is called. The list of commands needs no package:
it can be read before there is an environment.
"""

from __future__ import annotations

import argparse
import gc
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

COMMANDS = {
    "new-data": "look at photos of your own and propose settings for them",
    "labels": "find photos whose label looks wrong, on a page to tick them",
    "sweep": "run a recipe of conf/sweep through DVC's queue",
    "summary": "print the results of the workspace or of an experiment",
    "leaderboard": "compare experiments, in a table and a figure",
    "report": "write everything about an experiment into one HTML file",
    "ui": "show every experiment in MLflow's UI on 127.0.0.1",
    "predict": "predict the classes of photos",
    "promote": "make a model the champion of MLflow's registry, if not worse",
    "adopt": "make an experiment the default: its settings in conf/",
    "restore": "go back to what is committed, and keep what is here",
    "record": "add to the MLflow store what DVC has and it lacks",
    "disk": "show where the gigabytes are, and what is safe to delete",
    "tidy": "remove experiments that are not worth their disk",
    "push": "push data, models and every earlier run to DVC's remote",
    "params": "write params.yaml anew from conf/",
    "check": "whether params.yaml, dvc.lock and reports/ fit each other",
    "compare": "compare with a git revision; fails on a regression",
    "lockdiff": "name the first stage that two dvc.lock files differ in",
    "follow": "",  # not listed: the training stages start it
}


def main(words: list[str]) -> None:
    """Run a command line.

    Args:
        words: what was typed behind the program's name.
    """
    gc.set_threshold(
        50_000
    )  # what MLflow and the like allocate stays: looking through it is a fifth of a command's time
    parser = argparse.ArgumentParser(prog="./tl", epilog="`./tl COMMAND --help` says more; `make help` lists the rest.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    called = next((word for word in words if not word.startswith("-")), "")
    if called and called not in COMMANDS:
        near = get_close_matches(called, COMMANDS, n=1)
        _fail(f"no command is called {called}" + (f": {near[0]}?" if near else ": `./tl --help` lists them"))
    module: ModuleType | None = None
    for name, line in COMMANDS.items():
        command = commands.add_parser(name, help=line) if line else commands.add_parser(name)
        if name == called:
            module = _imported(f"transfer_learning.commands.{name.replace('-', '_')}", called)
            command.description, command.formatter_class = module.__doc__, argparse.RawDescriptionHelpFormatter
            module.configure(command)
    arguments = parser.parse_args(words or ["--help"])
    assert module  # argparse wants a command
    _imported("transfer_learning.stage.process", called).run(called, lambda: module.run(arguments))


def _imported(module: str, command: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("transfer_learning"):
            raise
        _fail(f"{sys.executable} has no {error.name}: `./tl {command} ...` takes the Python of the environment")


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out
    import_module("transfer_learning.core.surroundings").shut_out()
    main(sys.argv[1:])
