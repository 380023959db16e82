"""What the sections of the settings have in common: strictness, and kinds of values that several of them hold."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern="^[^/:\\\\'\"`]+$")]  # of an experiment and a registered model in MLflow
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None


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
