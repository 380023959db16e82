"""Write params.yaml anew from conf/, as `dvc exp run` does; or, with a path, write it there."""

import sys
from pathlib import Path

from transfer_learning import stage
from transfer_learning.compose import compose


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "params.yaml")
    compose(target, sys.argv[2:])
    print(f"wrote {target}")


if __name__ == "__main__":
    stage.run("params", main)
