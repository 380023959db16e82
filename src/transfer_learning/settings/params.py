"""Settings: params.yaml checked as a whole, then handed to a stage as far as dvc.yaml lets it see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from pydantic import ValidationError

from transfer_learning.core.errors import UserError
from transfer_learning.settings.declared import Declared
from transfer_learning.settings.fields import allowed
from transfer_learning.settings.schema import Settings, as_json, at

WITHOUT_EFFECT = "runtime"  # a section that no stage declares: how something is computed, which moves no byte of it


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings the way Hydra does: `1e-05` is a number, not text as for PyYAML."""
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: `make params` writes it from conf/") from None
    except Exception as error:  # any YAML or OmegaConf complaint: the file is not readable settings
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no settings")
    return cast(dict[str, Any], content)


def check(values: dict[str, Any], where: str = "params.yaml") -> Settings:
    """Check all settings together.

    Raises:
        UserError: names every wrong key with its value and what is allowed, on one line.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = [_describe(dict(problem), values) for problem in error.errors(include_url=False)]
        raise UserError(f"{where}: " + "; ".join(problems)) from None


def _describe(problem: dict[str, Any], values: dict[str, Any]) -> str:
    path = [str(part) for part in problem["loc"]]
    kind = values["data"].get("kind") if isinstance(values.get("data"), dict) else None
    if path and path[0] == "data":
        del path[1:2]  # Pydantic puts the chosen kind of a union into the path
    key = ".".join(path)
    if problem["type"] == "value_error":
        joint = "." if isinstance(problem["input"], dict) else " "  # of a section it names the key
        return f"{key}{joint}{problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "extra_forbidden":
        return unknown(path, kind)
    if problem["type"] == "union_tag_invalid":
        context = problem["ctx"]
        tag = context["discriminator"].strip("'")
        return f"{key}.{tag} = {context['tag']!r}: allowed are {context['expected_tags']}"
    must = problem["msg"] if problem["type"] == "not_allowed" else f"must be {allowed(at(path, kind))}"
    return f"{key} = {problem['input']!r}: {must}"


def unknown(path: Sequence[str], kind: str | None = None) -> str:
    """Say of a key that there is none, with the nearest or with all that there are.

    Args:
        path: names of sections and the key; a section may be what there is none of.
        kind: that of `data`, whose keys depend on it; None: those of every kind count.
    """
    *sections, name = path
    kinds = [kind] if kind else list(as_json()["properties"]["data"]["discriminator"]["mapping"])
    if sections and not any(at(sections, one) for one in kinds):
        return unknown(sections, kind)
    known = list(dict.fromkeys(key for one in kinds for key in at(sections, one).get("properties", {})))
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(known)}"
    return f"{'.'.join(path)} is not a setting" + (f": {hint}" if known else "")


def load(stage: str, folder: Path = Path()) -> Settings:
    """Check all of params.yaml and return what `stage` declares in dvc.yaml, and `runtime`.

    Raises:
        UserError: a setting is unknown, missing, of a wrong type or out of range.
        UndeclaredParamError: later, when the stage reads a setting it does not declare.
    """
    declared = {*read_yaml(folder / "dvc.yaml")["stages"][stage]["params"], WITHOUT_EFFECT}
    return cast(Settings, Declared(check(read_yaml(folder / "params.yaml")), declared, stage))


def loaded(settings: Settings) -> dict[str, Any]:
    """What a stage declares of the settings that `load` has given it, flat; params.yaml may have changed since."""
    values, declared = cast(Declared, settings).everything
    return part(flatten(values.model_dump()), declared - {WITHOUT_EFFECT})


def outputs(stage: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a stage of dvc.yaml puts out: path, and DVC's options for it."""
    found: dict[str, dict[str, Any]] = {}
    for entry in (entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])):
        found |= entry if isinstance(entry, dict) else {entry: {}}
    return found


def flat(folder: Path = Path()) -> dict[str, Any]:
    """All settings of a folder as `section.key: value`, for records that are no DVC output."""
    return flatten(read_yaml(folder / "params.yaml"))


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `section.key: value`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def part(flat: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Of flat settings those that are named, each by itself or by a section that it is in."""
    sections = set(names)
    return {key: value for key, value in flat.items() if any(f"{key}.".startswith(f"{name}.") for name in sections)}
