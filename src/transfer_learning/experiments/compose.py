"""The composition of conf/ by Hydra, as `dvc exp run` does it."""

from __future__ import annotations

from pathlib import Path

from hydra.errors import HydraException

from transfer_learning.core import files
from transfer_learning.core.errors import UserError
from transfer_learning.experiments import dvc_inside
from transfer_learning.settings import params


def compose(target: Path, overrides: list[str], where: str = "settings", conf: Path = Path("conf")) -> None:
    """Write the settings of conf/ with these overrides to `target`.

    Args:
        where: whose settings these are, for errors.
        conf: the folder that is composed.

    Raises:
        UserError: Hydra does not take conf/ or an override, or a setting is wrong; `target` is as it was.
    """
    try:
        with files.written_aside(target) as aside:
            written = aside.with_suffix(".yaml")  # DVC chooses the format by the suffix
            dvc_inside.compose(written, overrides, conf)
            params.check(params.read_yaml(written), where)
            written.replace(aside)
    except HydraException as error:
        raise UserError(" ".join(str(error).split())) from None


def combinations(overrides: list[str]) -> list[list[str]]:
    """Every combination of overrides with several values, such as `seed=1,2`, as `dvc exp run --queue` makes them."""
    try:
        return dvc_inside.combinations(overrides)
    except HydraException as error:
        raise UserError(" ".join(str(error).split())) from None
