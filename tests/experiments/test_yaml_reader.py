"""The fast reader gives what OmegaConf, which reads our settings, gives; by part what it gives of the whole."""

from __future__ import annotations

import pytest
import yaml
from omegaconf import OmegaConf
from support.clone import ROOT

from transfer_learning.experiments import yaml_reader

ODD = """
small: [1e-05, -1E5, +1.e-3, 1_0e2, .5, 1., 1.5, 0.0001, .inf, -1e-05]
text: [e5, 1e, 1e-, 1e5x, 0x1e5x, 2026-11-25, 12e03:1, '1e-05', "yes"]
others: {yes: on, no: ~, 0o17: 017, 0x1F: 1_000, true: null}
"""


@pytest.mark.parametrize(
    "text", [ODD, *((ROOT / name).read_text() for name in ("params.yaml", "dvc.lock", "dvc.yaml"))]
)
def test_values_are_those_of_omegaconf(text: str) -> None:
    text = text.replace("${", "$ {")  # DVC's, which OmegaConf would take for its own
    found = yaml_reader.load(text)
    wanted = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    assert found == wanted
    assert repr(found) == repr(wanted)  # 1 and 1.0 and True are equal


def test_a_lock_by_its_stages_is_the_whole_one() -> None:
    text = (ROOT / "dvc.lock").read_text()
    assert yaml_reader.load_by_part(text, "stages") == yaml_reader.load(text)["stages"]
    other = "stages: {b: 1}\nschema: '2.0'\n"
    assert yaml_reader.load_by_part(other, "stages") == {"b": 1}
    after = "schema: '2.0'\nstages:\n  b:\n    c: 1\nmore: 2\n"
    assert yaml_reader.load_by_part(after, "stages") == {"b": {"c": 1}}


@pytest.mark.parametrize("twice", ["  b:\n    c: 1\n  b:\n    c: 2\n", "  b:\n    c: 1\n    c: 2\n"])
def test_what_is_there_twice_is_refused_as_by_omegaconf(twice: str) -> None:
    with pytest.raises(yaml.YAMLError, match="twice"):
        yaml_reader.load_by_part(f"schema: '2.0'\nstages:\n{twice}", "stages")
    with pytest.raises(yaml.YAMLError, match="duplicate key"):
        OmegaConf.create(f"stages:\n{twice}")
