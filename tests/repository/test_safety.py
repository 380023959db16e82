"""Safe by default: nothing listens to the network, nothing is unpickled, no password is shown, hashes are enforced."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import psutil
import pytest
from support.clone import ROOT, Clone

from transfer_learning.core.errors import UserError
from transfer_learning.settings import params

PASSWORD = "s3cret-word"


def test_ui_answers_in_twenty_seconds_and_on_this_machine_only(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path / "clone", store=True)
    with clone.serving(["python", "src/cli.py", "ui"], "/health", within=20) as address:
        port = int(address.rsplit(":", 1)[1])
        listening = [one.laddr.ip for one in psutil.net_connections("inet") if one.laddr.port == port and not one.raddr]
    assert set(listening) == {"127.0.0.1"}


@pytest.mark.parametrize("key", ["data", "model"])
def test_a_password_in_params_yaml_is_refused(key: str) -> None:
    values = params.read_yaml(ROOT / "params.yaml")
    values[key]["url"] = f"https://me:{PASSWORD}@example.org/a.zip"
    with pytest.raises(
        UserError, match=rf"{key}\.url holds a user name or password, and params\.yaml is in git"
    ) as error:
        params.check(values)
    assert PASSWORD not in str(error.value)


def test_nothing_of_ours_unpickles(demo_clone: Clone) -> None:
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert not {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"} & set(names), path
            if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "safe_mode"):
                assert isinstance(node.value, ast.Constant)
                assert node.value.value is (node.arg == "safe_mode"), path
    models = list((demo_clone.folder / "mlartifacts").rglob("MLmodel"))
    assert models
    assert not [file for model in models for file in model.parent.rglob("*.pkl")]


def test_every_package_is_installed_with_its_hash() -> None:
    assert "--require-hashes -r requirements.lock" in (ROOT / "Makefile").read_text()
    lock = (ROOT / "requirements.lock").read_text()
    packages = re.split(r"\n(?=[a-z0-9])", lock.strip())
    assert len(packages) > 100
    assert all("==" in one and "--hash=sha256:" in one for one in packages)
