"""Two dvc.lock files side by side: the first stage with other bytes, and what may explain them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transfer_learning.workspace import STAGES

Lock = dict[str, Any]  # the stages of a dvc.lock by name
Facts = dict[str, dict[str, str]]  # of reports/environment.json: by stage, by name


@dataclass
class Difference:
    """The first stage of the DAG with other outputs; where there is none, the first that differs in anything.

    Attributes:
        outputs: paths whose content differs, or that only one side has.
        inputs: the same of dependencies.
        settings: name, value there, value here.
        facts: of the environment, the same; None where one side has recorded none.
    """

    stage: str
    outputs: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    settings: list[tuple[str, Any, Any]] = field(default_factory=list)
    facts: list[tuple[str, str, str]] | None = None

    @property
    def is_explained(self) -> bool:
        """Whether something that the outputs follow from differs too."""
        return bool(self.inputs or self.settings or self.facts)


def first_difference(there: Lock, here: Lock, facts_there: Facts, facts_here: Facts) -> Difference | None:
    """Find the first stage, in the order of the DAG, that differs; None where all are the same."""
    found = differences(there, here, facts_there, facts_here)
    return next((one for one in found if one.outputs), found[0] if found else None)


def differences(there: Lock, here: Lock, facts_there: Facts, facts_here: Facts) -> list[Difference]:
    """All stages that differ, in the order of the DAG."""
    found = []
    for stage in STAGES:
        one, other = there.get(stage, {}), here.get(stage, {})
        if one == other:
            continue
        difference = Difference(
            stage,
            outputs=_changed(one.get("outs", []), other.get("outs", [])),
            inputs=_changed(one.get("deps", []), other.get("deps", [])),
            settings=unequal({"cmd": one.get("cmd")} | _params(one), {"cmd": other.get("cmd")} | _params(other)),
        )
        if stage in facts_there and stage in facts_here:
            difference.facts = unequal(facts_there[stage], facts_here[stage])
        found.append(difference)
    return found


def _changed(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[str]:
    first, second = ({entry["path"]: entry.get("md5") for entry in entries} for entries in (one, other))
    return sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path))


def _params(entry: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in entry.get("params", {}).get("params.yaml", {}).items():
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def unequal(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys whose values differ, sorted, with both values; None where a side lacks one."""
    keys = sorted(one.keys() | other.keys())
    return [(key, one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)]
