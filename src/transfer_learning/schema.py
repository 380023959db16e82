"""The settings as a schema: every section of params.yaml, with types, ranges, and what must fit what."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from transfer_learning.backbones import BACKBONES
from transfer_learning.section import (
    Count,
    Digest,
    Fraction,
    Name,
    Section,
    Seed,
    Url,
    codec,
    without_password,
)
from transfer_learning.training_schema import Finetune, TrainFrozen


class ArchiveData(Section):
    name: Name
    kind: Literal["archive"]
    archive: Annotated[str, Field(min_length=1)]
    url: Url
    digest: Digest
    max_unpacked_mb: Count
    watch: str


class FolderData(Section):
    name: Name
    kind: Literal["folder"]
    path: Annotated[str, Field(min_length=1), AfterValidator(without_password)]
    copy_photos: bool
    skip_broken: bool
    leave_out: list[Annotated[str, Field(min_length=1)]]
    encoding: Annotated[str, AfterValidator(codec)] | None
    digest: Digest
    max_files: Annotated[int, Field(ge=1, le=10_000_000)]
    max_unpacked_mb: Count
    watch: str


class DrawnData(Section):
    name: Name
    kind: Literal["drawn"]
    classes: Annotated[int, Field(ge=2, le=10)]
    photos_per_class: Annotated[int, Field(ge=4, le=100_000)]
    side: Annotated[int, Field(ge=16, le=1024)]
    seed: Seed
    watch: str


class Augment(Section):
    flip: bool
    vertical_flip: bool
    rotation: Annotated[float, Field(ge=0, le=0.5)]
    zoom: Annotated[float, Field(ge=0, le=0.9)]
    translation: Annotated[float, Field(ge=0, le=0.5)]
    crop: Annotated[float, Field(ge=0, le=0.95)]
    crop_aspect: Annotated[float, Field(ge=1, le=2)]
    brightness: Annotated[float, Field(ge=0, le=1)]
    contrast: Annotated[float, Field(ge=0, le=1)]
    saturation: Annotated[float, Field(ge=0, le=1)]
    hue: Annotated[float, Field(ge=0, le=0.5)]


class Model(Section):
    name: str
    alpha: float
    weights: str
    pretrained_resolution: int | None
    url: Url
    weights_digest: Annotated[str, Field(pattern="^(published|[0-9a-f]{64})$")] | None
    boundary: str
    dropout: Annotated[float, Field(ge=0, lt=1)]

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BACKBONES:
            raise PydanticCustomError("not_allowed", "allowed are " + ", ".join(map(repr, BACKBONES)))
        return name

    @field_validator("alpha", "weights", "pretrained_resolution", "boundary")
    @classmethod
    def _of_this_backbone(cls, value: Any, info: ValidationInfo) -> Any:
        key, given = str(info.field_name), info.data | {str(info.field_name): value}
        if "name" not in given or "alpha" not in given:
            return value  # the one that is missing is what is wrong
        name, alpha = given["name"], given["alpha"]
        allowed = BACKBONES[name].allowed(key, alpha)
        if value not in allowed:
            of = f"{name} with alpha {alpha}" if key == "pretrained_resolution" else name
            choices = ", ".join("null" if choice is None else str(choice) for choice in allowed)
            raise PydanticCustomError("not_allowed", f"allowed for {of} are {choices}")
        return value


class Images(Section):
    size: Annotated[int, Field(ge=32, le=1024)]
    max_megapixels: Annotated[int, Field(ge=1, le=1000)]


class Split(Section):
    test_fraction: Fraction
    validation_fraction: Fraction
    fraction: Annotated[float, Field(gt=0, le=1)]


class Features(Section):
    views: Annotated[int, Field(ge=1, le=1000)]


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
    data: Annotated[ArchiveData | FolderData | DrawnData, Field(discriminator="kind")]
    augment: Augment
    model: Model
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
        steps = {f"steps.{number}.": step.fine_tune_at for number, step in enumerate(self.finetune.steps)}
        for place, at in {"": self.finetune.fine_tune_at, **steps}.items():
            if at > backbone.layers:
                raise ValueError(
                    f"finetune.{place}fine_tune_at = {at}: allowed are 0 to {backbone.layers}, "
                    f"the layers of {self.model.name}"
                )
        if self.finetune.layer_decay != 1 and self.finetune.plan[-1].fine_tune_at == backbone.layers:
            raise ValueError(
                f"finetune.layer_decay = {self.finetune.layer_decay}: allowed is 1 where the head alone is trained"
            )
        return self
