"""The composition of conf/ by Hydra, as `dvc exp run` does it."""

from __future__ import annotations

from pathlib import Path

from dvc.utils.hydra import compose_and_dump, get_hydra_sweeps
from hydra.errors import HydraException

from transfer_learning import files
from transfer_learning.errors import UserError


def compose(target: Path, overrides: list[str]) -> None:
    """Write the settings of conf/ with these overrides to `target`.

    Raises:
        UserError: Hydra does not take conf/ or an override.
    """
    conf, plugins = str(Path("conf").resolve()), str(Path("src").resolve())
    try:
        with files.written_aside(target) as aside:
            written = aside.with_suffix(".yaml")  # DVC chooses the format by the suffix
            compose_and_dump(str(written), conf, None, "config", plugins, overrides)
            written.replace(aside)
    except HydraException as error:
        raise UserError(" ".join(str(error).split())) from None


def combinations(overrides: list[str]) -> list[list[str]]:
    """Every combination of overrides with several values, such as `seed=1,2`, as `dvc exp run --queue` makes them."""
    try:
        return [one["params.yaml"] for one in get_hydra_sweeps({"params.yaml": overrides})]
    except HydraException as error:
        raise UserError(" ".join(str(error).split())) from None
