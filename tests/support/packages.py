"""Which installed distributions a module of ours imports."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

DISTRIBUTIONS = packages_distributions()
OURS = {"transfer_learning", "hydra_plugins"}


def distributions(path: Path) -> set[str]:
    """Names, in lower case, of the distributions that a file imports, at its top or inside functions."""
    roots: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(str(node.module).partition(".")[0])
    beside = {found.stem for found in path.parent.glob("*.py")}
    found = roots - set(sys.stdlib_module_names) - OURS - beside
    names = [DISTRIBUTIONS[root] for root in found]
    # several may share a package, as mlflow and mlflow-skinny do: the shortest name is that of the whole
    return {min(several, key=len).lower().replace("_", "-") for several in names}
