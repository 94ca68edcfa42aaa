"""Write a night's data as the tools of others read it.

MMRec (github.com/enoche/MMRec) is a collection of the research field's models. It numbers users and items by what
`NAME.inter` holds and takes row i of a matrix for item i, so what bears no like has no place in its data.
"""

import csv
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import yaml
from numpy.typing import NDArray

from fusion.data.catalog import Catalog, History, Split
from fusion.data.splits import split_as
from jobs.landing.writing import not_free
from jobs.modelling.dataset import Dataset, load
from jobs.runtime.night import Night, UserError
from schemas.table import MEDIA, Medium
from schemas.tables import Ledger

COLUMNS = ("userID", "itemID", "rating", "timestamp", "x_label")
READ_BY_NIGHT = ("clean_items", "clean_interactions", *(f"extract_{modality}" for modality in MEDIA))
"""The steps of a night whose rows an export reads."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        parts: how many likes are in train, valid and test.
        filled: modality → how many items have no vector of their own; a modality without vectors is not there.
        left_out: what the night has and the export lacks, counted by what it is and why.
    """

    directory: Path
    users: int
    items: int
    parts: Sequence[int]
    filled: Mapping[Medium, int]
    left_out: Mapping[str, int]

    def __str__(self) -> str:
        train, valid, test = self.parts
        vectors = [
            f"{modality} vectors: {self.items - count:,} items have one, {count:,} are filled with the mean of these"
            for modality, count in self.filled.items()
        ]
        left_out = [f"  {count:,} {name}" for name, count in self.left_out.items() if count]
        name = self.directory.resolve().name
        return "\n".join(
            [
                f"{self.items:,} items, {self.users:,} users, likes: {train:,} train, {valid:,} valid, {test:,} test",
                *vectors,
                *(["left out:", *left_out] if left_out else []),
                f"{self.directory}: move the folder to MMRec's data/{name}, {name}.yaml to src/configs/dataset/",
            ]
        )


def export_mmrec(night: Night, directory: Path) -> Exported:
    """Write what a night's models learn from, split as configured.

    Args:
        directory: new or empty.

    Raises:
        UserError: the lake does not have the night, or as `write_mmrec`.
    """
    _check_free(directory)
    _check_night(night)
    (dataset,) = load(night)
    return write_mmrec(
        dataset, split_as(dataset.history, night.config.fusion, item_ids=dataset.catalog.item_ids), directory
    )


def write_mmrec(dataset: Dataset, parts: Split, directory: Path) -> Exported:
    """Write a dataset into a folder in MMRec's layout, all of it or nothing.

    | file | |
    | --- | --- |
    | `NAME.inter` | a like a row: `userID`, `itemID`, `rating`, `timestamp`, `x_label` |
    | `MODALITY_feat.npy` | float32 [items, d], row i is of item i, or the mean of the others where that has no vector |
    | `MODALITY_mask.npy` | bool [items], True where the row is the item's own |
    | `i_id_mapping.csv`, `u_id_mapping.csv` | original identifier, number |
    | `NAME.yaml` | the data set's configuration for MMRec |

    NAME is the folder's name. Ratings are empty where there are none, timestamps are seconds since 1970, `x_label` is 0
    for train, 1 for valid, 2 for test. Items and users that bear a like are numbered from 0, ascending by identifier.
    The same data gives the same bytes.

    Args:
        parts: of the dataset's history.
        directory: new or empty.

    Raises:
        UserError: the folder is not empty, or the dataset has no likes, or no vectors of liked items.
    """
    _check_free(directory)
    likes = dataset.history.likes()
    if not len(likes):
        raise UserError("the night has no likes to export; give a later --date")
    items, users = np.unique(likes.item), np.unique(likes.user)
    catalog = dataset.catalog.where(items)
    known = [modality for modality in MEDIA if catalog.masks[modality].any()]
    if not known:
        names = ", ".join(block.name for blocks in dataset.encoders.values() for block in blocks)
        raise UserError(
            f"no liked item has a vector of the configured encoders ({names}); give the "
            "--config that the night ran with"
        )
    split = [part.likes() for part in (parts.train, parts.valid, parts.test)]
    with _replacing(directory) as made:
        name = directory.resolve().name
        _write_likes(made / f"{name}.inter", split, items=items, users=users)
        _write_ids(made / "i_id_mapping.csv", ("item_id", "itemID"), catalog.item_ids)
        _write_ids(made / "u_id_mapping.csv", ("user_id", "userID"), likes.user_ids[users])
        for modality in known:
            _write_vectors(made, modality, catalog)
        (made / f"{name}.yaml").write_text(_configuration(name), "utf-8")
    return Exported(
        directory,
        users=len(users),
        items=len(items),
        parts=[len(part) for part in split],
        filled={modality: int((~catalog.masks[modality]).sum()) for modality in known},
        left_out={
            "pairs of user and item that are no likes": len(dataset.history) - len(likes),
            "users without a like": len(likes.user_ids) - len(users),
            "items without a like, which MMRec has no numbers for": len(dataset.catalog) - len(items),
            **{f"modality that no liked item has: {modality}": int(modality not in known) for modality in MEDIA},
        },
    )


def _check_free(directory: Path) -> None:
    """See that a folder is new or empty.

    Raises:
        UserError: it is not.
    """
    if wrong := not_free(directory):
        raise UserError(wrong)


@contextmanager
def _replacing(directory: Path) -> Iterator[Path]:
    """A new folder, which becomes `directory` in one rename at the end; nothing is left of it after an error."""
    place = directory.resolve()
    made = place.with_name(f".{place.name}.{uuid.uuid4().hex}.partial")
    made.mkdir(parents=True)
    try:
        yield made
        os.rename(made, place)  # an empty folder may be there
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _check_night(night: Night) -> None:
    """See that all that is read of the night is in the lake.

    Raises:
        UserError: it is not.
    """
    done = night.lake.read(Ledger, columns=["date", "step"])
    steps = set(done.filter(pc.equal(done["date"], night.date))["step"].to_pylist())
    if lacking := [step for step in READ_BY_NIGHT if step not in steps]:
        nights = sorted({str(day) for day in done["date"].to_pylist()})
        there = f"nights {nights[0]} to {nights[-1]} are" if nights else "no night is"
        raise UserError(
            f"the lake {night.lake.uri} lacks {', '.join(lacking)} of the night {night.ds} ({there} there); run it: "
            f"nightweave night --date {night.ds}"
        )


def _write_likes(
    path: Path, parts: Sequence[History], *, items: NDArray[np.integer], users: NDArray[np.integer]
) -> None:
    """Write the likes of train, valid and test, ascending by user, timestamp and item.

    Args:
        items, users: places in the catalog and in `user_ids` of those that are exported, ascending.
    """
    label = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    user, item, timestamp, rating = (
        np.concatenate([getattr(part, column) for part in parts]) for column in ("user", "item", "timestamp", "rating")
    )
    order = np.lexsort((item, timestamp, user))
    columns = (np.searchsorted(users, user), np.searchsorted(items, item), rating, timestamp, label)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for u, i, value, time, part in zip(*(column[order].tolist() for column in columns), strict=True):
            writer.writerow((u, i, "" if np.isnan(value) else value, _seconds(time), part))


def _seconds(microseconds: int) -> str:
    """Seconds, with as many decimals as there are.

    >>> _seconds(1793527200000000), _seconds(1793527200250000)
    ('1793527200', '1793527200.25')
    """
    whole, rest = divmod(microseconds, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def _write_ids(path: Path, header: Sequence[str], ids: NDArray[np.str_]) -> None:
    """Write an identifier and its number a row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows((name, number) for number, name in enumerate(ids.tolist()))


def _write_vectors(folder: Path, modality: str, catalog: Catalog) -> None:
    """Write a modality's matrix, in which an item without a vector has the mean of the others, and its mask."""
    mask = catalog.masks[modality]
    mean = catalog.vectors[modality][mask].mean(axis=0, dtype=np.float64)
    filled = np.where(mask[:, None], catalog.vectors[modality], mean.astype(np.float32))
    for what, array in (("feat", filled.astype(np.float32)), ("mask", mask)):
        np.save(folder / f"{modality}_{what}.npy", np.ascontiguousarray(array), allow_pickle=False)


def _configuration(name: str) -> str:
    """The data set's configuration, YAML. MMRec reads two modalities, and looks whether their files are there."""
    settings = {
        "USER_ID_FIELD": "userID",
        "ITEM_ID_FIELD": "itemID",
        "RATING_FIELD": "rating",
        "TIME_FIELD": "timestamp",
        "inter_splitting_label": "x_label",
        "filter_out_cod_start_users": True,
        "inter_file_name": f"{name}.inter",
        "vision_feature_file": "image_feat.npy",
        "text_feature_file": "text_feat.npy",
        "field_separator": "\t",
    }
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
