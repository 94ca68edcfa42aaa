"""How many items have lost a modality since the last night: with every step green, extraction or its configuration may
have gone wrong."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.runtime.night import Night, NightError
from lake.lake import Lake
from schemas.table import MODALITIES
from schemas.tables import ItemEmbeddings

log = logging.getLogger("nightweave.coverage")


@dataclass(frozen=True, eq=False)
class Coverage:
    """Which items have which modality as of a night.

    Attributes:
        item_ids: [N], the catalog.
        masks: modality → bool [N].
    """

    night: date
    item_ids: pa.Array
    masks: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Loss:
    """Of the items that had a modality on the night `since` and are still in the catalog, how many lack it now."""

    modality: str
    since: date
    had: int
    lost: int

    @property
    def share(self) -> float:
        return self.lost / self.had if self.had else 0.0

    def __str__(self) -> str:
        return (
            f"{self.lost} of the {self.had} items with {self.modality} on {self.since} lack it now ({self.share:.0%})"
        )


def coverage(lake: Lake, *, until: date) -> Coverage | None:
    """Return the coverage of the newest night up to `until` that `item_embeddings` has; None where it has none."""
    nights = pc.unique(lake.files(ItemEmbeddings)["partition.date"]).to_pylist()
    night = max((day for day in nights if day <= until), default=None)
    if night is None:
        return None
    rows = lake.read(ItemEmbeddings, where=pc.field("date") == night, columns=["item_id", "modalities"])
    modalities = rows["modalities"].combine_chunks()
    owner, name = pc.list_parent_indices(modalities).to_numpy(), pc.list_flatten(modalities)
    masks: dict[str, NDArray[np.bool_]] = {modality: np.zeros(len(rows), np.bool_) for modality in MODALITIES}
    for modality, mask in masks.items():
        mask[owner[pc.equal(name, modality).to_numpy(zero_copy_only=False)]] = True
    return Coverage(night, rows["item_id"].combine_chunks(), masks)


def losses(before: Coverage, now: Coverage) -> list[Loss]:
    """Return for every modality how many items have lost it between two nights.

    >>> before = Coverage(date(2026, 11, 1), pa.array(["a", "b", "gone"]), {"text": np.array([True, True, True])})
    >>> now = Coverage(date(2026, 11, 2), pa.array(["b", "a", "new"]), {"text": np.array([True, False, False])})
    >>> [str(loss) for loss in losses(before, now)]
    ['1 of the 2 items with text on 2026-11-01 lack it now (50%)']
    """
    found = []
    for modality, mask in before.masks.items():
        had = before.item_ids.filter(pa.array(mask))
        places = pc.index_in(had, value_set=now.item_ids).drop_null().to_numpy()
        lost = int((~now.masks[modality][places]).sum())
        found.append(Loss(modality, before.night, len(places), lost))
    return found


def check_coverage(night: Night, now: Coverage, *, allow_shrinking: bool = False) -> None:
    """Warn of modalities that more than the share `evaluate.warn_lost_share` of their items have lost since the last
    night, which is this one where it is run again. One item never is too many.

    Args:
        allow_shrinking: only warn.

    Raises:
        NightError: one was lost by more than `evaluate.max_lost_share`; nothing may be published.
    """
    before, settings = coverage(night.lake, until=night.date), night.config.evaluate
    found = losses(before, now) if before else []
    for loss in found:
        if loss.share > settings.warn_lost_share:
            log.warning("%s", loss)
    stopping = [loss for loss in found if loss.lost > max(1, settings.max_lost_share * loss.had)]
    if stopping and not allow_shrinking:
        raise NightError(
            f"night {night.ds}: {'; '.join(map(str, stopping))}; above the set share of {settings.max_lost_share:.0%} "
            "(evaluate.max_lost_share), and nothing was published. See that RAW/media is mounted and that the encoders "
            "are those of the nights before. If it is to be so, run the night with --allow-shrinking, or the DAG's "
            "parameter allow_shrinking",
            law=5,
            partition=f"date={night.ds}",
        )
