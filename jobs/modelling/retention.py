"""Files and folders beside the tables that no published night needs any more: models, choices, searches, scratch."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import pyarrow.fs as pafs

from jobs.modelling import artifacts, model_selection
from lake import files, scratch, staging, storage
from lake.lake import Lake
from schemas.tables import ItemEmbeddings, Models


@dataclass(frozen=True)
class Unused:
    """A file, or a folder with its contents, that is no longer needed.

    Attributes:
        path: relative to LAKE.
        size: bytes, of all its files.
    """

    path: str
    size: int
    is_folder: bool


def unused_artifacts(lake: Lake, before: datetime) -> dict[str, list[Unused]]:
    """Return, by their folder of LAKE, the files and folders that are unused and were last written before that moment.

    - A model is used while `models` names it, published or staged, or one that has its scorers and another's weights,
      or a night's `item_embeddings` were made by it.
    - A choice is used while its model is.
    - The result of a search is used while a choice that is used depends on it. The newest of each search is kept for
      good, since later nights use it.
    - Checkpoints and scratch are used by the running step alone. A training that goes on keeps writing its checkpoints,
      a killed one does not.
    """
    # Folders are listed before the tables are read, so that what is used from then on is not among the unused.
    models, choices, scratches = (
        _old(lake, folder, before) for folder in (artifacts.FOLDER, model_selection.CHOICES, scratch.FOLDER)
    )
    searches = [
        one for each in _listed(lake, model_selection.SEARCHES) for one in _superseded(lake, each.base_name, before)
    ]
    used_models, stored = _used_models(lake), _choices(lake)
    choices = [one for one in choices if stored.get(one.path, {}).get("model") not in used_models]
    kept = stored.keys() - {one.path for one in choices}
    used_searches = {path for choice in kept for path in stored[choice].get("found_in", ())}
    return {
        artifacts.FOLDER: [one for one in models if one.path not in used_models],
        model_selection.CHOICES: choices,
        model_selection.SEARCHES: [one for one in searches if one.path not in used_searches],
        scratch.FOLDER: scratches,
    }


def remove(lake: Lake, unused: list[Unused]) -> None:
    """Delete them from the lake; of a model first what says that it is complete, as the process may die on the way."""
    filesystem, root = storage.filesystem(lake.uri)
    for one in unused:
        manifest = f"{root}/{one.path}/{artifacts.MANIFEST}"
        if one.is_folder and filesystem.get_file_info(manifest).type == pafs.FileType.File:
            filesystem.delete_file(manifest)
        (filesystem.delete_dir if one.is_folder else filesystem.delete_file)(f"{root}/{one.path}")


def _used_models(lake: Lake) -> set[str]:
    """The folders, relative to LAKE, of the models that are used."""
    trained = [field.name for field in fields(artifacts.Identity) if field.name != "weights_from"]
    used = set()
    # What is staged is read first: what is published in between is then found in the tables.
    for here in (*(staging.as_of(lake, night) for night in staging.nights(lake)), lake):
        for row in here.read(Models, columns=["path", *trained]).to_pylist():
            used |= {row.pop("path"), artifacts.Identity(**row).path}
        for batch in here.batches(ItemEmbeddings, columns=["model_version"]):
            used |= {f"{artifacts.FOLDER}/{version}" for version in batch["model_version"].unique().to_pylist()}
    return used


def _choices(lake: Lake) -> dict[str, dict[str, Any]]:
    """The content of every stored choice, by its path relative to LAKE."""
    folder = model_selection.CHOICES
    paths = [f"{folder}/{name}" for name in model_selection.json_files(lake, folder)]
    return {path: files.read_json(lake, path) or {} for path in paths}


def _superseded(lake: Lake, settings: str, before: datetime) -> list[Unused]:
    """Results of the searches with one group of settings, but for the newest night's."""
    folder = f"{model_selection.SEARCHES}/{settings}"
    newest = max(model_selection.json_files(lake, folder), default="")
    return [one for one in _old(lake, folder, before) if one.path != f"{folder}/{newest}"]


def _old(lake: Lake, folder: str, before: datetime) -> list[Unused]:
    """The files and folders in a folder of the lake that were last written before that moment."""
    filesystem, _ = storage.filesystem(lake.uri)
    old = []
    for child in _listed(lake, folder):
        is_folder = child.type == pafs.FileType.Directory
        inside = filesystem.get_file_info(pafs.FileSelector(child.path, recursive=True)) if is_folder else []
        times = [info.mtime for info in (child, *inside) if info.mtime is not None]
        if times and max(times) < before:
            size = sum(info.size or 0 for info in (child, *inside) if info.is_file)
            old.append(Unused(f"{folder}/{child.base_name}", size, is_folder))
    return old


def _listed(lake: Lake, folder: str) -> list[pafs.FileInfo]:
    """The entries of a folder of the lake, by name; none where there is no such folder."""
    filesystem, root = storage.filesystem(lake.uri)
    found = filesystem.get_file_info(pafs.FileSelector(f"{root}/{folder}", allow_not_found=True))
    return sorted(found, key=lambda info: info.base_name)
