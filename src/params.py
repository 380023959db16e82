"""Write params.yaml anew from conf/, as `dvc exp run` does; or, with a path, write it there."""

import sys
from pathlib import Path

from dvc.utils.hydra import compose_and_dump

from transfer_learning import stage


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "params.yaml")
    overrides = sys.argv[2:]
    compose_and_dump(str(target), str(Path("conf").resolve()), None, "config", str(Path(".dvc").resolve()), overrides)
    print(f"wrote {target}")


if __name__ == "__main__":
    stage.run("params", main)
