"""What trainings leave in the lake beside the tables, and when no published night needs it any more."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.fs as pafs

from jobs.modelling import artifacts, model_selection
from lake import files, scratch, storage
from lake.lake import Lake
from schemas.tables import ItemEmbeddings, Models


@dataclass(frozen=True)
class Leftover:
    """A file, or a folder with all that is in it.

    Attributes:
        path: relative to LAKE.
        size: bytes of its files.
    """

    path: str
    size: int
    is_folder: bool


def leftovers(lake: Lake, before: datetime) -> dict[str, list[Leftover]]:
    """By the folder of LAKE in which it lies, what nobody needs and was last written before that moment.

    - A model is needed while `models` names it, or a night's `item_embeddings` were made by it.
    - A choice is needed while the model is that it led to.
    - What a search found is needed while a choice rests on it, and the newest of its kind for good: later nights take
      it over.
    - Checkpoints and scratch are needed by nobody but who writes them. A training that goes on writes its checkpoints
      again and again; one that was killed does not.
    """
    # What lies there is listed before the tables are read: what is named in between is then found needed.
    models, choices, scratches = (
        _old(lake, it, before) for it in (artifacts.FOLDER, model_selection.CHOICES, scratch.FOLDER)
    )
    searches = [
        one for kind in _listed(lake, model_selection.SEARCHES) for one in _superseded(lake, kind.base_name, before)
    ]
    used, led_to = _used_models(lake), _choices(lake)
    choices = [one for one in choices if led_to.get(one.path, {}).get("model") not in used]
    stay = led_to.keys() - {one.path for one in choices}
    found = {path for choice in stay for path in led_to[choice].get("found_in", ())}
    return {
        artifacts.FOLDER: [one for one in models if one.path not in used],
        model_selection.CHOICES: choices,
        model_selection.SEARCHES: [one for one in searches if one.path not in found],
        scratch.FOLDER: scratches,
    }


def remove(lake: Lake, unneeded: list[Leftover]) -> None:
    """Removes them from the lake."""
    filesystem, root = storage.filesystem(lake.uri)
    for one in unneeded:
        (filesystem.delete_dir if one.is_folder else filesystem.delete_file)(f"{root}/{one.path}")


def _used_models(lake: Lake) -> set[str]:
    """The folders of the models that are needed."""
    used = set(lake.read(Models, columns=["path"])["path"].to_pylist())
    for batch in lake.dataset(ItemEmbeddings).scanner(columns=["model_version"]).to_batches():
        used |= {f"{artifacts.FOLDER}/{version}" for version in batch["model_version"].unique().to_pylist()}
    return used


def _choices(lake: Lake) -> dict[str, dict[str, Any]]:
    """Every choice by its path."""
    paths = [
        f"{model_selection.CHOICES}/{name}"
        for name in files.names(lake, model_selection.CHOICES)
        if name.endswith(".json")
    ]
    return {path: files.read_json(lake, path) or {} for path in paths}


def _superseded(lake: Lake, kind: str, before: datetime) -> list[Leftover]:
    """What searches of one kind found, but for the newest night's."""
    folder = f"{model_selection.SEARCHES}/{kind}"
    newest = max((name for name in files.names(lake, folder) if name.endswith(".json")), default="")
    return [one for one in _old(lake, folder, before) if one.path != f"{folder}/{newest}"]


def _old(lake: Lake, folder: str, before: datetime) -> list[Leftover]:
    """The files and folders in a folder of the lake to which nothing was written since that moment."""
    filesystem, _ = storage.filesystem(lake.uri)
    old = []
    for child in _listed(lake, folder):
        is_folder = child.type == pafs.FileType.Directory
        inside = filesystem.get_file_info(pafs.FileSelector(child.path, recursive=True)) if is_folder else []
        times = [info.mtime for info in (child, *inside) if info.mtime is not None]
        if times and max(times) < before:
            size = sum(info.size or 0 for info in (child, *inside) if info.is_file)
            old.append(Leftover(f"{folder}/{child.base_name}", size, is_folder))
    return old


def _listed(lake: Lake, folder: str) -> list[pafs.FileInfo]:
    """What lies in a folder of the lake, by name; nothing where there is no such folder."""
    filesystem, root = storage.filesystem(lake.uri)
    found = filesystem.get_file_info(pafs.FileSelector(f"{root}/{folder}", allow_not_found=True))
    return sorted(found, key=lambda info: info.base_name)
