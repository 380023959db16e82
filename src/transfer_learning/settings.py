"""Settings: params.yaml checked as a whole, then handed to a stage as far as dvc.yaml lets it see."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from omegaconf import OmegaConf
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from transfer_learning.backbones import BACKBONES
from transfer_learning.declared import Declared
from transfer_learning.errors import UserError

Fraction = Annotated[float, Field(gt=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None


def _without_password(url: str | None) -> str | None:
    if url and urlsplit(url).username is not None:
        raise ValueError(
            "holds a user name or password, and params.yaml is in git: put the file into the mirror folder"
        )
    return url


Url = Annotated[str | None, AfterValidator(_without_password)]


class Section(BaseModel):
    """Exact types (no "10" for 10), no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ArchiveData(Section):
    name: str
    kind: Literal["archive"]
    archive: Annotated[str, Field(min_length=1)]
    url: Url
    digest: Digest
    max_unpacked_mb: Count


class DrawnData(Section):
    name: str
    kind: Literal["drawn"]
    classes: Annotated[int, Field(ge=2, le=10)]
    photos_per_class: Annotated[int, Field(ge=4, le=100_000)]
    size: Annotated[int, Field(ge=16, le=1024)]
    seed: Seed


class Augment(Section):
    flip: bool
    rotation: Annotated[float, Field(ge=0, le=0.5)]


class MobileNetV2(Section):
    name: Literal["mobilenet_v2"]
    pretrained_resolution: Literal[96, 128, 160, 192, 224]
    url: Url
    weights_digest: Digest
    boundary: str
    dropout: Annotated[float, Field(ge=0, lt=1)]


class SmallCNN(Section):
    name: Literal["small_cnn"]
    pretrained_resolution: None
    url: None
    weights_digest: None
    boundary: str
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Images(Section):
    size: Annotated[int, Field(ge=32, le=1024)]
    max_megapixels: Annotated[int, Field(ge=1, le=1000)]


class Split(Section):
    test_fraction: Fraction
    validation_fraction: Fraction
    fraction: Annotated[float, Field(gt=0, le=1)]


class Features(Section):
    views: Annotated[int, Field(ge=1, le=1000)]


class TrainFrozen(Section):
    learning_rate: LearningRate
    epochs: Epochs
    batch_size: Count


class Finetune(Section):
    fine_tune_at: Annotated[int, Field(ge=0)]
    learning_rate: LearningRate
    epochs: Epochs
    batch_size: Count


class Evaluate(Section):
    threshold: Fraction
    confidence: Fraction
    calibration_bins: Annotated[int, Field(ge=2, le=100)]


class Guarded(Section):
    better: Literal["higher", "lower"]
    tolerance: Annotated[float, Field(ge=0)]


class Gate(Section):
    accuracy_tolerance: Annotated[float, Field(ge=0, lt=1)]
    significance: Fraction
    metrics: dict[Annotated[str, Field(pattern="^(frozen|finetune|test)/[a-z0-9_]+$")], Guarded]


class Runtime(Section):
    threads: Annotated[int, Field(ge=0, le=1024)]


class Settings(Section):
    """The whole of params.yaml; conf/ explains each key."""

    seed: Seed
    data: Annotated[ArchiveData | DrawnData, Field(discriminator="kind")]
    augment: Augment
    model: Annotated[MobileNetV2 | SmallCNN, Field(discriminator="name")]
    images: Images
    split: Split
    features: Features
    train_frozen: TrainFrozen
    finetune: Finetune
    evaluate: Evaluate
    gate: Gate
    runtime: Runtime

    @model_validator(mode="after")
    def _fit_each_other(self) -> Settings:
        backbone = BACKBONES[self.model.name]
        if self.finetune.fine_tune_at > backbone.layers:
            raise ValueError(
                f"finetune.fine_tune_at = {self.finetune.fine_tune_at}: allowed are 0 to {backbone.layers}, "
                f"the layers of {self.model.name}"
            )
        if self.model.boundary not in backbone.boundaries:
            raise ValueError(
                f"model.boundary = {self.model.boundary!r}: allowed for {self.model.name} are "
                + ", ".join(backbone.boundaries)
            )
        if self.data.kind == "drawn" and self.data.classes != 2:
            raise ValueError(f"data.classes = {self.data.classes}: the head tells two classes apart, allowed is 2")
        return self


UNIONS = {"data": "kind", "model": "name"}  # sections of several kinds, and the key that tells which


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
    if path and path[0] in UNIONS:
        del path[1:2]  # Pydantic puts the chosen kind of a union into the path
    key = ".".join(path)
    if problem["type"] == "value_error":
        return f"{key} {problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(tuple(path[:-1]), values)
        close = difflib.get_close_matches(path[-1], known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(known)}"
        return f"{key} is not a setting: {hint}"
    if problem["type"] == "union_tag_invalid":
        context = problem["ctx"]
        tag = context["discriminator"].strip("'")
        return f"{key}.{tag} = {context['tag']!r}: allowed are {context['expected_tags']}"
    message = problem["msg"].replace("Input should be ", "must be ")
    return f"{key} = {problem['input']!r}: {message}"


def _known_keys(path: tuple[str, ...], values: dict[str, Any]) -> list[str]:
    if len(path) != 1:
        return list(Guarded.model_fields if path else Settings.model_fields)
    kinds: dict[str, type[Section]] = {
        "archive": ArchiveData, "drawn": DrawnData, "mobilenet_v2": MobileNetV2, "small_cnn": SmallCNN
    }  # fmt: skip
    section = values[path[0]]
    kind = section.get(UNIONS.get(path[0], ""))
    model = kinds.get(kind) or cast(type[Section], Settings.model_fields[path[0]].annotation)
    return list(model.model_fields)


def load(stage: str, folder: Path = Path()) -> Settings:
    """Check all of params.yaml and return what `stage` declares in dvc.yaml.

    Raises:
        UserError: a setting is unknown, missing, of a wrong type or out of range.
        UndeclaredParamError: later, when the stage reads a setting it does not declare.
    """
    declared = set(read_yaml(folder / "dvc.yaml")["stages"][stage]["params"])
    return cast(Settings, Declared(check(read_yaml(folder / "params.yaml")), declared, stage))


def flat(folder: Path = Path()) -> dict[str, Any]:
    """All settings of a folder as `section.key: value`, for records that are no DVC output."""
    return flatten(read_yaml(folder / "params.yaml"))


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `section.key: value`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
