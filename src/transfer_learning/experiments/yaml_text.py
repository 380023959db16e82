"""One value of a YAML file is changed where it stands: comments, order and spelling of all else stay, byte for byte."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import Any

import yaml
from omegaconf import OmegaConf

Keys = tuple[str | int, ...]  # keys, and positions in lists


def value(text: str, path: Keys) -> Any:
    """The value there; None too where there is none."""
    found = _parsed(text)
    for part in path:
        if isinstance(found, list):
            found = dict(enumerate(found))
        found = found.get(part) if isinstance(found, dict) else None
    return found


@lru_cache(maxsize=64)  # a file is asked for each of its settings; to parse config.yaml takes tens of milliseconds
def _parsed(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.create(text or "{}"), resolve=False)


def set_value(text: str, path: Keys, new: Any) -> str:
    """Let a value be another one; sections and keys that are not there come at the end of what they belong to.

    Args:
        new: a number, text, truth value, None, or a list or mapping of them.
    """
    node, depth = _root(text), 0
    while depth < len(path):
        pair = _pair(node, path[depth])
        if pair is None:
            return _added(text, node, path[:depth], path[depth:], new)
        key, node = pair
        depth += 1
    end = _end(node)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:  # it begins on a line of its own
        return f"{text[: key.end_mark.index]}: {dumped(new)}{text[end:]}"
    space = "" if node.start_mark.index < end else " "  # after `key:` with no value
    return f"{text[: node.start_mark.index]}{space}{dumped(new)}{text[end:]}"


def remove(text: str, path: Keys) -> str:
    """Take the line of a key, or of an entry of a list, away; its value must end on that line."""
    node = _root(text)
    for part in path:
        pair = _pair(node, part)
        if pair is None:
            return text
        key, node = pair
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    end = text.find("\n", _end(node))
    return text[:start] + (text[end + 1 :] if end >= 0 else "")


def dumped(value: Any) -> str:
    """A value on one line, such that Hydra reads the same: without exponents, and text in quotes where it must be."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dumped(key)}: {dumped(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dumped, value)) + "]"
    if isinstance(value, float):
        plain = format(Decimal(repr(value)), "f")
        return plain if "." in plain else f"{plain}.0"
    if not isinstance(value, str):
        return json.dumps(value)
    text = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=True)[1:-2]
    same = OmegaConf.to_container(OmegaConf.create(f"key: {text}"), resolve=False) == {"key": value}
    return text if same else json.dumps(value, ensure_ascii=False)


def _root(text: str) -> yaml.Node:
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return node or yaml.MappingNode("tag:yaml.org,2002:map", [])


def _pair(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, inner) for key, inner in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _end(node: yaml.Node) -> int:
    """Where a value ends, without the comments behind a block."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _added(text: str, node: yaml.Node, above: Keys, path: Keys, new: Any) -> str:
    for part in reversed(path[1:]):
        new = {part: new}
    if isinstance(node, yaml.MappingNode) and node.flow_style:
        before = text[: node.end_mark.index - 1].rstrip()
        comma = ", " if node.value else ""
        return f"{before}{comma}{dumped(path[0])}: {dumped(new)}{text[len(before) :]}"
    if not isinstance(node, yaml.MappingNode):  # `section:` with nothing in it
        return set_value(text, above, {path[0]: new})
    if not node.value:
        return f"{text.rstrip()}\n{dumped(path[0])}: {dumped(new)}\n".lstrip("\n")
    column = node.value[0][0].start_mark.column
    end = text.find("\n", _end(node))
    head, rest = (text, "") if end < 0 else (text[:end], text[end + 1 :])
    return f"{head.rstrip()}\n{' ' * column}{dumped(path[0])}: {dumped(new)}\n{rest}"
