"""YAML that DVC and Hydra have written, read fast: of a thousand experiments in seconds."""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import lru_cache
from typing import Any

import yaml


class _Loader(yaml.CSafeLoader):
    """PyYAML's in C, a tenth of the time of OmegaConf's in Python, with the values that OmegaConf reads."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        if len(set(keys)) < len(keys):  # as two files are that git has merged
            raise yaml.constructor.ConstructorError(None, None, "a key is there twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(  # 1e-05, which PyYAML takes for text
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def load(text: str) -> Any:
    """The content of a YAML text.

    Raises:
        yaml.YAMLError: it is none.
    """
    return yaml.load(text, _Loader)


def load_by_part(text: str, key: str) -> Any:
    """What a YAML text has under its last key, part by part where it is laid out as DVC lays out a dvc.lock: the trials
    of a sweep share most parts, and each is read once. Nobody may change what is returned.

    Raises:
        yaml.YAMLError: it is no YAML.
        KeyError: the key is not there.
        TypeError: nor are any.
    """
    _, found, body = text.partition(f"\n{key}:\n")
    begin, *parts = re.split(r"^(?=  [^ ])", body, flags=re.MULTILINE)
    names = {part.partition("\n")[0] for part in parts}
    if not found or begin or len(names) < len(parts) or re.search(r"^[^ \n]", body, re.MULTILINE):
        return load(text)[key]
    whole: dict[str, Any] = {}
    for part in parts:
        whole |= _part(part)
    return whole


@lru_cache(maxsize=10_000)
def _part(text: str) -> dict[str, Any]:
    return {**load(text)}
