"""The settings of photos: where they come from, one section for each kind, how they are divided, resized, augmented."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from transfer_learning.settings.fields import (
    Count,
    Digest,
    Fraction,
    Name,
    Section,
    Seed,
    Url,
    codec,
    in_words,
    without_password,
)

NAME = "Name of the MLflow experiment; other names keep other photos apart."
KIND = "archive: a zip or tar file. folder: photos of your own. drawn: pictures drawn on the spot."
DIGEST = (
    "sha256 over the `sha256sum` lines of all photos sorted by path, so it does not depend on how they were packed; "
    "fetch prints it. null accepts any photos."
)
UNPACKED = "Bound on the unpacked size of an archive in MB; a larger one is refused before anything is written."
LEAVE_OUT = (
    "Folders to leave out, by name or by the end of their path, such as unsorted or test/raw; what is left out is said."
)
ENCODING = (
    "Encoding of the names in an archive that do not say that they are UTF-8, by Python's name of it: gbk, cp932, "
    "cp850, ... null takes UTF-8 only."
)
Folders = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    Field(description=LEAVE_OUT, json_schema_extra=in_words("a list of folders")),
]
Encoding = Annotated[Annotated[str, AfterValidator(codec)] | None, Field(description=ENCODING)]
WATCH = "DVC looks at this file or folder for changes. Not to be set."


class ArchiveData(Section):
    name: Annotated[Name, Field(description=NAME)]
    kind: Annotated[Literal["archive"], Field(description=KIND)]
    archive: Annotated[
        str,
        Field(
            min_length=1,
            description="Looked for in the mirror folder (DATA_MIRROR, by default ../shared/data beside the "
            "repository).",
        ),
    ]
    url: Annotated[Url, Field(description="Where the archive is fetched from when the mirror folder lacks it.")]
    leave_out: Folders
    encoding: Encoding
    digest: Annotated[Digest, Field(description=DIGEST)]
    max_unpacked_mb: Annotated[Count, Field(description=UNPACKED)]
    watch: Annotated[str, Field(description=WATCH)]


class FolderData(Section):
    name: Annotated[Name, Field(description=NAME)]
    kind: Annotated[Literal["folder"], Field(description=KIND)]
    path: Annotated[
        str,
        Field(
            min_length=1,
            description="A folder, a zip or tar file, or the URL of one. In it class folders, or train and "
            "validation (and test) with class folders in them; whatever lies deeper belongs to its class.",
        ),
        AfterValidator(without_password),
    ]
    copy_photos: Annotated[
        bool,
        Field(
            description="true copies the photos of a folder into data/raw, so that DVC keeps them and `dvc push` "
            "shares them; else they are read where they are. Archives are always unpacked."
        ),
    ]
    skip_broken: Annotated[
        bool,
        Field(description="true leaves out the photos that cannot be read, and names them; else they are an error."),
    ]
    leave_out: Folders
    encoding: Encoding
    digest: Annotated[Digest, Field(description=DIGEST)]
    max_files: Annotated[
        int, Field(ge=1, le=10_000_000, description="Bound on the number of files in a folder or archive.")
    ]
    max_unpacked_mb: Annotated[Count, Field(description=UNPACKED)]
    watch: Annotated[str, Field(description=WATCH)]


class DrawnData(Section):
    name: Annotated[Name, Field(description=NAME)]
    kind: Annotated[Literal["drawn"], Field(description=KIND)]
    classes: Annotated[int, Field(ge=2, le=10, description="Kinds of shapes, one a class.")]
    photos_per_class: Annotated[
        int,
        Field(ge=4, le=100_000, description="Photos per class; half as many again are drawn for validation."),
    ]
    side: Annotated[int, Field(ge=16, le=1024, description="Side of the drawn pictures in pixels.")]
    seed: Annotated[
        Seed,
        Field(
            description="Seed of the drawing, apart from the experiment's own, so that several seeds compare on the "
            "same pictures."
        ),
    ]
    watch: Annotated[str, Field(description=WATCH)]


class Split(Section):
    corrections: Annotated[
        Annotated[str, Field(min_length=1)] | None,
        Field(
            description="A CSV file of labels that somebody has found wrong, as the page of `./tl labels` saves it: "
            "these photos get another class, or are left out. No other photo changes its part. null is none."
        ),
    ]
    watch: Annotated[str, Field(description=WATCH)]
    test_fraction: Annotated[
        Fraction,
        Field(
            description="Share of the validation photos that becomes the test set, where the photos come without one."
        ),
    ]
    validation_fraction: Annotated[
        Fraction,
        Field(
            description="Share held out for validation and test; used only where the photos come as class folders "
            "alone."
        ),
    ]
    fraction: Annotated[
        float,
        Field(gt=0, le=1, description="Share of every part that takes part at all; below 1 for a quick look."),
    ]


class Images(Section):
    size: Annotated[
        int,
        Field(ge=32, le=1024, description="Side in pixels of the square that every photo is resized to."),
    ]
    max_megapixels: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Photos with more pixels than this are refused before they are decoded: a file of a few kB "
            "can hold gigabytes. The model keeps this bound for the photos that it is to predict.",
        ),
    ]


class Augment(Section):
    flip: Annotated[bool, Field(description="Mirrored left to right with probability one half.")]
    vertical_flip: Annotated[bool, Field(description="Mirrored upside down with probability one half.")]
    rotation: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="Rotated by an angle drawn from [-rotation, rotation], as a fraction of a full turn (0.2 = "
            "72 degrees).",
        ),
    ]
    zoom: Annotated[
        float,
        Field(
            ge=0,
            le=0.9,
            description="Scaled about the centre: the side shown is drawn from [1 - zoom, 1 + zoom] times the photo's.",
        ),
    ]
    translation: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="Shifted right and down by shares of the side, each drawn from [-translation, translation].",
        ),
    ]
    crop: Annotated[
        float,
        Field(
            ge=0,
            le=0.95,
            description="A part with an area drawn from [1 - crop, 1] times the photo's, anywhere, resized to the "
            "whole. It is cut from the photo at images.size, so a small part is blurred.",
        ),
    ]
    crop_aspect: Annotated[
        float,
        Field(
            ge=1,
            le=2,
            description="Width to height of that part is drawn from [1 / crop_aspect, crop_aspect] as far as it "
            "fits; 1 keeps squares.",
        ),
    ]
    brightness: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Brightness: a share of the full range drawn from [-brightness, brightness] is added.",
        ),
    ]
    contrast: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Contrast: distances from the mean colour are multiplied by a factor from [1 - contrast, 1 +"
            " contrast].",
        ),
    ]
    saturation: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Saturation: distances from grey are multiplied by a factor from [1 - saturation, 1 + "
            "saturation].",
        ),
    ]
    hue: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="Hue: colours are turned by an angle drawn from [-hue, hue], as a fraction of a full turn.",
        ),
    ]
