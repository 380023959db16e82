"""Texts that are written from the schema of the settings: README's table, the comments in conf/, a schema for editors.

A comment in conf/ that begins with `#:` is written here; every other one is a person's, and stays.
"""

from __future__ import annotations

import copy
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from transfer_learning.core.errors import UserError
from transfer_learning.settings import params
from transfer_learning.settings.backbones import BACKBONES
from transfer_learning.settings.fields import allowed
from transfer_learning.settings.schema import as_json, at

GROUPS = ("data", "augment", "model")
BEGIN, END = "<!-- settings: `make params` writes this table from the schema -->", "<!-- end of settings -->"
KEY = re.compile(r"^( *)([a-z_]+):(?= |$)")


def texts(folder: Path = Path()) -> dict[Path, str]:
    """Every file with text from the schema, by path, as it should be.

    Raises:
        UserError: README.md has lost the lines that the table stands between.
    """
    conf, readme = folder / "conf", folder / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise UserError(f"{readme} must have the lines {BEGIN} and {END}: the table of settings goes between them")
    wanted = {
        readme: f"{before}{BEGIN}\n\n{table(params.read_yaml(folder / 'params.yaml'))}\n{END}{after}",
        conf / "schema.json": json.dumps(for_editors(), indent=1, ensure_ascii=False) + "\n",
        conf / "config.yaml": commented(conf / "config.yaml", ()),
    }
    for group in GROUPS:
        for path in sorted((conf / group).glob("*.yaml")):
            of_all = path.read_text().startswith("# @package _global_")
            wanted[path] = commented(path, () if of_all else (group,))
    return wanted


def stale(folder: Path = Path()) -> list[Path]:
    """Files whose text from the schema is not what it should be."""
    return [path for path, text in texts(folder).items() if not path.exists() or path.read_text() != text]


def write(folder: Path = Path()) -> list[Path]:
    """Write such texts anew where they are stale; returns the files that have changed."""
    wanted, changed = texts(folder), stale(folder)
    for path in changed:
        path.write_text(wanted[path])
    return changed


def table(values: dict[str, Any]) -> str:
    """README's table of all settings but `data`, whose keys depend on its kind: key, default, what is allowed, text.

    Settings of the two phases of training that say the same are one row.
    """
    rows: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for section in as_json()["properties"]:
        for key in at([section]).get("properties", {"": None}) if section != "data" else ():
            path = [section, key] if key else [section]
            setting = at(path)
            value: Any = values[section][key] if key else values[section]
            shown = _default(value)
            rows.setdefault((allowed(setting), setting["description"]), []).append((".".join(path), shown))
    lines = ["| key | default | allowed | |", "|---|---|---|---|"]
    for (may_be, text), keys in rows.items():
        names = "<br>".join(f"`{key}`" for key, _ in keys)
        defaults = "<br>".join(default for _, default in keys)
        lines.append(f"| {names} | {defaults} | {_cell(may_be)} | {_cell(text)} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one['tolerance']}" for key, one in value.items())
    if isinstance(value, float) and value < 0.001:
        return f"{value:.6f}".rstrip("0") if value else "0"
    text = json.dumps(value).strip('"')
    return text if len(text) < 40 else "see conf/"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def for_editors() -> dict[str, Any]:
    """The JSON schema of the files in conf/: that of params.yaml where nothing has to be there, and `defaults`."""
    schema = copy.deepcopy(as_json())
    for section in [schema, *schema["$defs"].values()]:
        section.pop("required", None)
    schema["properties"]["data"]["anyOf"] = schema["properties"]["data"].pop("oneOf")  # a part of one fits several
    schema["properties"]["defaults"] = {"type": "array", "description": "Files that this one changes, for Hydra."}
    schema["description"] = "Files in conf/. `make params` writes this from src/transfer_learning."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def commented(path: Path, prefix: tuple[str, ...]) -> str:
    """The text of a file in conf/ with what the schema says above each key.

    A file of a group that changes another one (it has `defaults`) says only what is particular to its network. What
    two keys of a file share is said once.

    Args:
        prefix: section that the file's keys are in; empty for a file with sections.
    """
    values = params.read_yaml(path)
    changes = "defaults" in values and path.name != "config.yaml"
    kind = values.get("data", {}).get("kind")
    network = values.get("model", {}).get("name")
    lines: list[str] = []
    said: set[str] = set()
    inside: list[tuple[int, str]] = []  # how far a section is indented, and its name
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("#:"):
            continue
        if found := KEY.match(line):
            inside = [section for section in inside if section[0] < len(found[1])] + [(len(found[1]), found[2])]
            key = [*prefix, *(name for _, name in inside)]
            setting = at(key, kind)
            parts = [] if changes or "description" not in setting else [setting["description"], _allowed(setting)]
            if network and (own := _of_network(key, values)):
                parts = [*parts[:1], own]
            text = " ".join(filter(None, parts))
            if text and text not in said:
                said.add(text)
                lines += textwrap.wrap(
                    text, 120, initial_indent=f"{found[1]}#: ", subsequent_indent=f"{found[1]}#: ",
                    break_long_words=False, break_on_hyphens=False,
                )  # fmt: skip
        lines.append(line)
    return "\n".join(lines) + "\n"


def _allowed(setting: dict[str, Any]) -> str:
    return "" if allowed(setting) == "text" else f"Allowed: {allowed(setting)}."


def _of_network(path: list[str], values: dict[str, Any]) -> str | None:
    """What a setting may be with this network; None where there is no choice, or it is no matter of the network."""
    backbone = BACKBONES[values["model"]["name"]]
    if path == ["finetune", "fine_tune_at"]:
        return f"Allowed: 0 to {backbone.layers}."
    if path == ["model", "boundary"]:
        return f"Allowed: {', '.join(f'{name} (layer {index})' for name, index in backbone.boundaries.items())}."
    if len(path) != 2 or path[0] != "model" or path[1] not in ("alpha", "pretrained_resolution"):
        return None
    alpha = values["model"]["alpha"]
    choices = backbone.allowed(path[1], alpha)
    others: dict[str, list[str]] = {}
    for other, resolutions in backbone.resolutions.items() if path[1] != "alpha" else ():
        if resolutions != backbone.resolutions[alpha]:
            others.setdefault(", ".join(map(str, resolutions)), []).append(str(other))
    more = "".join(f" (with alpha {' or '.join(alphas)}: {other})" for other, alphas in others.items())
    return f"Allowed: {', '.join(map(str, choices))}{more}." if choices[1:] else None
