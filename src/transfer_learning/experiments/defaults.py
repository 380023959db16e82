"""conf/ is edited so that it composes to given settings: the nearest option of each group, then what still differs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import yaml_text
from transfer_learning.experiments.compose import compose
from transfer_learning.settings import params

CONFIG = Path("config.yaml")
DERIVED = "${"  # such a value follows from others when Hydra composes
Flat = dict[str, Any]  # `section.key: value`


@dataclass(frozen=True)
class Option:
    """A file of a group of conf/, or conf/config.yaml itself.

    Attributes:
        path: relative to conf/.
        text: of the file.
        prefix: sections that its keys are in, each with a dot.
    """

    path: Path
    text: str
    prefix: str = ""

    @classmethod
    def read(cls, conf: Path, path: Path) -> Option:
        text = (conf / path).read_text()
        of_all = path == CONFIG or text.startswith("# @package _global_")
        return cls(path, text, "" if of_all else f"{path.parent.as_posix()}.")

    @cached_property
    def own(self) -> Flat:
        """What the file itself sets."""
        values = {key: value for key, value in (yaml_text.value(self.text, ()) or {}).items() if key != "defaults"}
        return params.flatten(values, self.prefix)

    def all(self, conf: Path) -> Flat:
        """The same with what the options that it builds on set."""
        found: Flat = {}
        for entry in yaml_text.value(self.text, ("defaults",)) or []:
            if isinstance(entry, str) and entry != "_self_":
                found |= Option.read(conf, self.path.with_name(f"{entry}.yaml")).all(conf)
        return found | self.own

    def key(self, name: str) -> tuple[str, ...]:
        """Where a setting stands in the file."""
        return tuple(name.removeprefix(self.prefix).split("."))


def write(conf: Path, wanted: dict[str, Any], composed: Path) -> None:
    """Edit a folder of options so that it composes to these settings, and compose it.

    Args:
        conf: changed in place; a copy of conf/.
        wanted: all settings, nested.
        composed: the file that the composition is written to.

    Raises:
        UserError: it cannot be made to.
    """
    flat = params.flatten(wanted)
    groups = _choose(conf, flat)
    for name in [name for name in _set(conf, groups) if name not in flat]:
        _edit(conf, groups, name, None, remove=True)
    for name, value in flat.items():
        now = _set(conf, groups).get(name)
        if now != value and DERIVED not in str(now):
            _edit(conf, groups, name, value)
    compose(composed, [], conf=conf)
    if differing := _differing(composed, flat):
        for name in differing:
            if name == "data.watch":
                raise UserError(f"data.watch = {flat[name]}: the photos are not where the experiment found them")
            if name not in flat:
                raise UserError(f"{name} cannot be taken out of conf/: edit it by hand")
            _edit(conf, groups, name, flat[name])
        compose(composed, [], conf=conf)
        if differing := _differing(composed, flat):
            raise UserError(f"{differing[0]} = {flat.get(differing[0])} cannot be written into conf/: edit it by hand")


def _differing(composed: Path, flat: Flat) -> list[str]:
    found = params.flatten(params.read_yaml(composed))
    return sorted(name for name in found.keys() | flat.keys() if found.get(name) != flat.get(name))


def _choose(conf: Path, flat: Flat) -> list[Option]:
    """Put the option of each group that is nearest to the settings into the defaults, and take presets out: what they
    set is set by config.yaml and the groups from now on. The chosen options."""
    text = (conf / CONFIG).read_text()
    chosen = []
    for number, entry in reversed(list(enumerate(yaml_text.value(text, ("defaults",)) or []))):
        if not isinstance(entry, dict):
            continue
        group, now = next(iter(entry.items()))
        if group.removeprefix("override /") in ("experiment", "recipe"):
            text = yaml_text.remove(text, ("defaults", number))
            continue
        section = f"{group}."
        distances = {}
        for path in sorted((conf / group).glob("*.yaml")):
            option = Option.read(conf, path.relative_to(conf))
            sets = option.all(conf)
            names = sets.keys() | {name for name in flat if name.startswith(section)}
            unequal = sum(sets.get(name) != flat.get(name) for name in names if DERIVED not in str(sets.get(name)))
            distances[path.stem] = (unequal, path.stem != now, path.stem)
        best = min(distances, key=lambda name: distances[name])
        text = yaml_text.set_value(text, ("defaults", number, group), best)
        chosen.append(Path(group) / f"{best}.yaml")
    (conf / CONFIG).write_text(text)
    return [Option.read(conf, path) for path in chosen]


def _set(conf: Path, groups: list[Option]) -> Flat:
    """What the chosen options and config.yaml set, in the order in which Hydra takes them: config.yaml is the last."""
    found: Flat = {}
    for group in groups:
        found |= Option.read(conf, group.path).all(conf)
    return found | Option.read(conf, CONFIG).own


def _edit(conf: Path, groups: list[Option], name: str, value: Any, *, remove: bool = False) -> None:
    """Set a value where it is set: in config.yaml, else in the chosen option that has it, itself or from the one that
    it builds on; else in that of its section."""
    config = Option.read(conf, CONFIG)
    fresh = [Option.read(conf, group.path) for group in groups]
    option = next(
        (one for one in (config, *fresh) if name in one.own),
        next((one for one in fresh if name in one.all(conf)), None)
        or next((one for one in fresh if name.startswith(f"{one.path.parent.as_posix()}.")), config),
    )
    change = yaml_text.remove(option.text, option.key(name)) if remove else None
    text = change if change is not None else yaml_text.set_value(option.text, option.key(name), value)
    (conf / option.path).write_text(text)
