"""Settings are stated once: what README, conf/ and editors say of them is the schema's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from jsonschema import Draft202012Validator

from transfer_learning.core.errors import UserError
from transfer_learning.reporting import described
from transfer_learning.settings import params as settings
from transfer_learning.settings.fields import allowed
from transfer_learning.settings.schema import as_json, at


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for name in ("README.md", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_committed_texts_are_those_of_the_schema() -> None:
    assert described.stale(ROOT) == []


def test_every_setting_is_described_in_a_sentence() -> None:
    for section in as_json()["$defs"].values():
        for key, setting in section["properties"].items():
            assert setting.get("description", "").endswith("."), (section["title"], key)


def test_values_and_comments_of_people_stay_and_those_of_the_schema_come_back(copy: Path) -> None:
    config = copy / "conf" / "config.yaml"
    text = config.read_text()
    edited = text.replace("  size: 160", "  # as our cameras\n  size: 192  # pixels")
    config.write_text(edited.replace("#: Side in pixels", "#: Length in miles"))
    assert described.stale(copy) == [config]
    assert described.write(copy) == [config]
    assert "from 32 to 1024.\n  size: 192  # pixels\n" in config.read_text()
    assert sorted(config.read_text().splitlines()) == sorted(edited.splitlines())


def test_the_table_shows_the_defaults(copy: Path) -> None:
    params = copy / "params.yaml"
    params.write_text(params.read_text().replace("  size: 160", "  size: 192"))
    assert described.write(copy) == [copy / "README.md"]
    assert "| `images.size` | 192 | a whole number from 32 to 1024 | Side" in (copy / "README.md").read_text()


def test_a_readme_without_the_place_of_the_table_is_refused(copy: Path) -> None:
    (copy / "README.md").write_text("# Ours\n")
    with pytest.raises(UserError, match=r"README\.md must have the lines <!-- settings"):
        described.write(copy)


def test_a_network_says_what_it_has_and_not_what_all_share() -> None:
    text = (ROOT / "conf" / "model" / "densenet121.yaml").read_text()
    assert "  #: Allowed: 0 to 427.\n  fine_tune_at: 253" in text
    assert "#: Allowed: pool2_pool (layer 52), pool3_pool (layer 140)" in text
    assert text.count("#: ") == 3  # the second takes two lines
    assert "(with alpha 1.3 or 1.4: 224).\n" in (ROOT / "conf" / "model" / "mobilenet_v2.yaml").read_text()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 10_000}, "a whole number from 1 to 10000"),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 8}, "a whole number from 0 to 7"),
        ({"type": "integer", "minimum": 0}, "a whole number of 0 or more"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "a number above 0 up to 1"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1.5}, "a number from 0 to below 1.5"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "a number above 0 and below 1"),
        ({"type": "number"}, "a number"),
        ({"enum": ["a", "b", "c"]}, "a, b or c"),
        ({"const": "a"}, "a"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text or null"),
        ({"type": "string", "pattern": "^x$", "allowed": "an x"}, "an x"),
    ],
)
def test_what_is_allowed_in_words(setting: dict[str, Any], words: str) -> None:
    assert allowed(setting) == words


@pytest.mark.parametrize("key", ["seed", "split.fraction", "finetune.balance", "runtime.threads", "data.digest"])
def test_an_error_the_table_and_the_comment_say_the_same(key: str) -> None:
    section, _, name = key.rpartition(".")
    values = settings.read_yaml(ROOT / "params.yaml")
    (values[section] if section else values)[name] = "nonsense"
    words = allowed(at(key.split("."), "archive"))
    with pytest.raises(UserError, match=f"= 'nonsense': must be {words}$"):
        settings.check(values)
    file = "data/cats_and_dogs" if section == "data" else "config"
    comment = (ROOT / "conf" / f"{file}.yaml").read_text().split(f"\n{'  ' * bool(section)}{name}: ")[0]
    assert " ".join(comment.replace("#:", "").split()).endswith(f"Allowed: {words}.")
    readme = (ROOT / "README.md").read_text()
    assert section == "data" or f"| {words} |" in next(line for line in readme.splitlines() if f"`{key}` |" in line)


def test_editors_take_the_files_of_conf_and_mark_a_mistake() -> None:
    schema = json.loads((ROOT / "conf" / "schema.json").read_text())
    checked = Draft202012Validator(schema)
    named = [path for path in (ROOT / "conf").rglob("*.yaml") if "yaml-language-server: $schema=" in path.read_text()]
    assert len(named) > 15
    for path in named:
        relative = path.read_text().split("$schema=")[1].split("\n")[0]
        assert (path.parent / relative).resolve() == ROOT / "conf" / "schema.json"
        checked.validate(settings.read_yaml(path))
    for wrong in ({"finetune": {"epochs": 0}}, {"finetune": {"epoch": 1}}, {"model": {"name": "resnet"}}):
        assert not checked.is_valid(wrong)
