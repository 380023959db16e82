"""What conf/data/folder.yaml derives from `data.path` when Hydra composes the settings, before DVC looks at a photo.

Hydra loads this file by itself (hydra.plugins_path in .dvc/config). It runs inside `dvc`, so a mistake ends the command
here, with one line and exit code 2: DVC would first hash whatever lies in a folder of a million files.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from omegaconf import OmegaConf

NOTHING_TO_WATCH = "conf/data/folder.yaml"


def watched(path: str | None, max_files: int) -> str:
    """What DVC watches for changes: the absolute path of the folder or archive; this option's own file for a URL."""
    if not path:
        _refuse("data.path is not set: -S data=folder -S data.path=/folder/of/photos (a folder, an archive or a URL)")
    if _is_url(path):
        return NOTHING_TO_WATCH
    found = Path(path).expanduser().resolve()
    if not found.exists() and (recorded := _recorded(path)):
        return recorded
    if not found.exists():
        _refuse(f"data.path = {path!r}: there is no such folder or file ({found})")
    if not (found.is_dir() or found.is_file()):
        _refuse(f"data.path = {path!r} is a pipe or device; allowed are a folder, an archive or a URL")
    if found.is_dir():
        if Path.cwd().resolve().is_relative_to(found):
            _refuse(f"data.path = {path!r} holds this repository; name the folder that holds the class folders")
        _count(found, max_files)
    return str(found)


def name(path: str | None) -> str:
    """What the photos are called in MLflow: the name of the folder, archive or URL, without endings."""
    last = str(path or "photos").rstrip("/").split("?")[0].replace("\\", "/").split("/")[-1]
    for ending in (".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar"):
        last = last.removesuffix(ending)
    for letter in "'\"`:\\":  # which MLflow does not take in the name of a registered model
        last = last.replace(letter, " ")
    return " ".join(last.strip(".").split()) or "photos"


def _recorded(path: str) -> str | None:
    """What params.yaml watches for this path: in a clone without the photos, as in CI, what is committed composes."""
    params = Path("params.yaml")
    content = OmegaConf.to_container(OmegaConf.load(params)) if params.exists() else {}
    data = content.get("data", {}) if isinstance(content, dict) else {}
    return str(data["watch"]) if data.get("kind") == "folder" and data.get("path") == path else None


def _is_url(path: str) -> bool:
    return path.lower().startswith(("http://", "https://"))


def _count(folder: Path, max_files: int) -> None:
    files, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    files += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif not (entry.is_file() or entry.is_dir()) and os.path.exists(entry.path):
                        _refuse(
                            f"data.path = {str(folder)!r}: {entry.path} is a pipe, socket or device, which nobody can "
                            "read to its end; remove it"
                        )
                    if files > max_files:
                        _refuse(
                            f"data.path = {str(folder)!r} holds more than {max_files:,} files and folders, the bound "
                            "of data.max_files; is it the folder that holds the class folders?"
                        )
        except OSError as error:
            _refuse(f"data.path = {str(folder)!r}: {error.filename} cannot be read ({error.strerror})")


def _refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


OmegaConf.register_new_resolver("data_path.watched", watched, replace=True)
OmegaConf.register_new_resolver("data_path.name", name, replace=True)
