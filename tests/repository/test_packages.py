"""pyproject.toml declares what the code imports, and nothing that only others bring."""

from __future__ import annotations

import re
import tomllib

from support.clone import ROOT
from support.packages import distributions


def test_every_package_that_is_imported_is_declared_and_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[<>=]", entry)[0] for entry in project["dependencies"]}
    imported = {name: path for path in sorted((ROOT / "src").rglob("*.py")) for name in distributions(path)}
    assert imported.keys() - declared == set()
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert declared <= locked
