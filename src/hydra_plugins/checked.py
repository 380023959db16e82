"""Every setting is checked when `dvc exp run` has composed it and has written nothing: no result is lost to a typo.

Hydra loads this file by itself, as data_path.py. It works inside `dvc`, with --temp and --queue too, which write the
workspace's params.yaml for a moment: a mistake ends the command here, with one line and exit code 2.
"""

from __future__ import annotations

import re
import sys
from functools import wraps
from typing import Any

from hydra._internal.hydra import Hydra  # compose() calls it, and has no hook of its own
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import dvc_inside
from transfer_learning.settings import params
from transfer_learning.stage import at_work

UNCHECKED = Hydra.compose_config
UNKNOWN = re.compile(r"Could not override '([\w.]+)'\.\nTo append to your config use ")


@wraps(UNCHECKED)
def compose_config(*args: Any, **options: Any) -> DictConfig:
    """Compose as Hydra does; ends `dvc` where settings are wrong, or where they would change below a running one."""
    if dvc_inside.COMPOSES.get():  # ours, which says it in its own way
        return UNCHECKED(*args, **options)
    try:
        at_work.refuse_beside_others()
        composed = _composed(*args, **options)
        with open_dict(composed):
            composed.pop("hydra", None)
        OmegaConf.resolve(composed)
        values: Any = OmegaConf.to_container(composed)
        params.check(values, where="settings")
        return composed
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)


def _composed(*args: Any, **options: Any) -> DictConfig:
    try:
        return UNCHECKED(*args, **options)
    except ValueError as error:  # Hydra's for a group that is set to null, a number or a section
        raise UserError(str(error)) from None


def one_line(error: Exception) -> str:
    """What is wrong; of a misspelt key not Hydra's advice, which would add it."""
    unknown = UNKNOWN.match(str(error))
    return f"settings: {params.unknown(unknown[1].split('.'))}" if unknown else " ".join(str(error).split())


Hydra.compose_config = compose_config  # type: ignore[method-assign]
