"""A value of a YAML file is changed where it stands, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from transfer_learning.experiments import yaml_text

TEXT = """# of a person
defaults:
  - data: cats  # which photos
  - experiment: best

seed: 42  # why
train:
  #: what it is
  rate: 0.0001
  steps:
    - {at: 3}
    # the last
    - {at: 1}
  # below the steps

empty:
path:
  to: null
flow: { better: higher, tolerance: 0.015 }
name: 'it''s'
"""


@pytest.mark.parametrize(
    ("path", "new", "before", "after"),
    [
        (("seed",), 7, "seed: 42  # why", "seed: 7  # why"),
        (("defaults", 0, "data"), "folder", "- data: cats  #", "- data: folder  #"),
        (("train", "rate"), 1e-05, "rate: 0.0001", "rate: 0.00001"),
        (("train", "rate"), 1.0, "rate: 0.0001", "rate: 1.0"),
        (("train", "steps"), [], "steps:\n    - {at: 3}\n    # the last\n    - {at: 1}", "steps: []"),
        (("train", "ema"), 0.99, "  # below the steps", "  ema: 0.99\n  # below the steps"),
        (("flow", "tolerance"), 0.5, "0.015 }", "0.5 }"),
        (("flow", "more"), True, "0.015 }", "0.015, more: true }"),
        (("path", "to"), "/my photos/Blüten: #1", "to: null", 'to: "/my photos/Blüten: #1"'),
        (("path", "to"), "1e-05", "to: null", 'to: "1e-05"'),
        (("name",), None, "'it''s'", "null"),
        (("empty",), 3, "empty:", "empty: 3"),
        (("empty", "key"), 3, "empty:", "empty: {key: 3}"),
        (("new", "key"), [{"at": 1, "rate": 1e-4}], "'it''s'\n", "'it''s'\nnew: {key: [{at: 1, rate: 0.0001}]}\n"),
    ],
)
def test_a_value_is_set_and_the_rest_stays(path: tuple[str | int, ...], new: Any, before: str, after: str) -> None:
    assert TEXT.count(before) == 1
    changed = yaml_text.set_value(TEXT, path, new)
    assert changed.replace("'/my photos/Blüten: #1'", '"/my photos/Blüten: #1"') == TEXT.replace(before, after)
    assert yaml_text.value(changed, path) == new


def test_a_line_is_removed() -> None:
    assert yaml_text.remove(TEXT, ("defaults", 1)) == TEXT.replace("  - experiment: best\n", "")
    assert yaml_text.remove(TEXT, ("train", "rate")) == TEXT.replace("  rate: 0.0001\n", "")
    assert yaml_text.remove(TEXT, ("train", "no such")) == TEXT
