"""What a stage may read: nothing but the settings that dvc.yaml lists under its params."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class UndeclaredParamError(RuntimeError):
    """A stage reads a setting that dvc.yaml does not list under its params: DVC would not notice its change."""


class Declared:
    """The part of the settings that a stage declares; reading anything else raises UndeclaredParamError.

    Args:
        section: all settings, or a section of them.
        declared: keys and sections that dvc.yaml lists under the params of the stage.
        stage: its name.
        prefix: key of the section, with a dot at its end.
    """

    def __init__(self, section: BaseModel, declared: set[str], stage: str, prefix: str = "") -> None:
        self._parts = section, declared, stage, prefix

    @property
    def everything(self) -> tuple[BaseModel, set[str]]:
        """All settings of the section, and the keys and sections of them that are declared."""
        return self._parts[0], self._parts[1]

    def __getattr__(self, name: str) -> Any:
        section, declared, stage, prefix = self._parts
        path = prefix + name
        value = getattr(section, name)
        parents = {path[:i] for i, letter in enumerate(path) if letter == "."} | {path}
        if parents & declared:
            return value
        if any(entry.startswith(path + ".") for entry in declared):
            return Declared(value, declared, stage, path + ".")
        raise UndeclaredParamError(f"stage {stage} reads {path}, which dvc.yaml does not list under its params")
