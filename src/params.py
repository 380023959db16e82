"""Write params.yaml anew from conf/, as `dvc exp run` does, and the texts of the schema; or, with a path, it there."""

import sys
from pathlib import Path

from transfer_learning import described, stage
from transfer_learning.compose import compose


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "params.yaml")
    compose(target, sys.argv[2:])
    changed = [] if sys.argv[1:] else described.write()
    print(f"wrote {', '.join(map(str, [target, *changed]))}")


if __name__ == "__main__":
    stage.run("params", main)
