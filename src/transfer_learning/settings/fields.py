"""What the sections of the settings have in common: strictness, kinds of values, and words for what is allowed."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def in_words(words: str) -> dict[str, Any]:
    """What is allowed, for `allowed` to say where the schema alone would be hard to read."""
    return {"allowed": words}


Fraction = Annotated[float, Field(gt=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
NAME = "text without / : \\ ' \" `"
Name = Annotated[str, Field(pattern="^[^/:\\\\'\"`]+$", json_schema_extra=in_words(NAME))]  # as MLflow's names
HEX = Field(pattern="^[0-9a-f]{64}$", json_schema_extra=in_words("64 hexadecimal digits"))
Digest = Annotated[str, HEX] | None


def without_password(url: str | None) -> str | None:
    if url and urlsplit(url).username is not None:
        raise ValueError(
            "holds a user name or password, and params.yaml is in git: put the file into the mirror folder"
        )
    return url


def codec(name: str) -> str:
    """Refuse what Python has no codec of text for."""
    try:
        "a".encode(name)
    except (LookupError, UnicodeError):
        raise ValueError("is no encoding that Python knows, such as utf-8, gbk, cp932 or cp850") from None
    return name


Url = Annotated[str | None, AfterValidator(without_password)]


class Section(BaseModel):
    """Exact types (no "10" for 10), no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def allowed(setting: dict[str, Any]) -> str:
    """Say what a setting may be, from its JSON schema: errors, README and the comments in conf/ use these words."""
    if words := setting.get("allowed"):
        return str(words)
    if choices := setting.get("enum", [setting["const"]] if "const" in setting else []):
        return _or([str(choice) for choice in choices])
    if kinds := setting.get("anyOf"):
        return " or ".join(allowed(kind) for kind in kinds)
    kind = str(setting.get("type"))
    if kind == "string":
        return "text, not empty" if setting.get("minLength") else "text"
    plain = {"boolean": "true or false", "null": "null", "array": "a list", "object": "keys with values"}
    return plain.get(kind) or f"a {'whole ' * (kind == 'integer')}number{_range(setting, whole=kind == 'integer')}"


def _range(setting: dict[str, Any], *, whole: bool) -> str:
    low, above = setting.get("minimum"), setting.get("exclusiveMinimum")
    high, below = setting.get("maximum"), setting.get("exclusiveMaximum")
    if whole and below is not None:
        high = below - 1
    start = f" from {_plain(low)}" if low is not None else f" above {_plain(above)}" if above is not None else ""
    if high is not None:
        return f"{start}{' up' if above is not None else ''} to {_plain(high)}"
    if below is not None:
        return f"{start}{' and' if above is not None else ' to'} below {_plain(below)}"
    return f" of {_plain(low)} or more" if low is not None else start


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _or(choices: list[str]) -> str:
    return " or ".join([", ".join(choices[:-1]), choices[-1]] if choices[1:] else choices)
