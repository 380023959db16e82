"""Write params.yaml anew from conf/, as `dvc exp run` does; or, with a path, write it there."""

import sys
from pathlib import Path

from dvc.utils.hydra import compose_and_dump
from hydra.errors import HydraException

from transfer_learning import stage
from transfer_learning.errors import UserError


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "params.yaml")
    overrides = sys.argv[2:]
    conf, plugins = str(Path("conf").resolve()), str(Path(".dvc").resolve())
    try:
        with stage.written_aside(target) as aside:
            written = aside.with_suffix(".yaml")  # DVC chooses the format by the suffix
            compose_and_dump(str(written), conf, None, "config", plugins, overrides)
            written.replace(aside)
    except HydraException as error:
        raise UserError(" ".join(str(error).split())) from None
    print(f"wrote {target}")


if __name__ == "__main__":
    stage.run("params", main)
