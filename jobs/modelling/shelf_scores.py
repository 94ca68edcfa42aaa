"""The catalog as a night's shelves are made from it: what may stand on a shelf, and how it scores there.

Spark's workers import this.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fusion.ranking.rank_aggregation import SUM, Points, nonzero_items, points
from fusion.ranking.sigmoid import Sigmoid
from jobs.runtime.night import Night
from schemas.table import MODALITIES
from schemas.tables import NEWCOMER, ItemEmbeddings, UserEmbeddings


@dataclass(frozen=True)
class Shelves:
    """The catalog as the night's model sees it; row i of every array of items belongs to `item_ids[i]`, ascending.

    Attributes:
        common_history: float32 [N], what the history of users with likes adds to an item's score on average.
        newcomer: the vector of users without a like, [D], or [0] where the night has none.
        calibration: population → what makes scores probabilities.
    """

    item_ids: np.ndarray
    vectors: np.ndarray
    masks: dict[str, np.ndarray]
    is_new: np.ndarray
    blocks: dict[str, slice]
    neighbour_blocks: dict[str, slice]
    combination: str
    weights: dict[str, float]
    nonzero: dict[str, np.ndarray]
    common_history: np.ndarray
    newcomer: np.ndarray
    calibration: dict[str, Sigmoid]

    @classmethod
    def of(cls, night: Night) -> "Shelves":
        """The night's `item_embeddings`."""
        rows = night.lake.read(ItemEmbeddings, where=pc.field("date") == night.date).sort_by("item_id")
        present = [set(modalities) for modalities in rows["modalities"].to_pylist()]
        masks: dict[str, np.ndarray] = {m: np.array([m in has for has in present], np.bool_) for m in MODALITIES}
        ids = np.asarray(rows["item_id"].to_pylist(), np.str_)
        vectors, is_new = matrix(rows["vector"]), rows["is_new"].to_numpy()
        if not len(rows):
            none = np.zeros(0, np.float32)
            return cls(ids, vectors, masks, is_new, {}, {}, SUM, {}, {}, none, none, {})
        first = rows.slice(0, 1).to_pylist()[0]
        blocks, alike = _slices(first["blocks"]), _slices(first["neighbour_blocks"])
        nonzero = nonzero_items(vectors, blocks)
        nobody = (pc.field("date") == night.date) & (pc.field("user_id") == NEWCOMER)
        newcomer = matrix(night.lake.read(UserEmbeddings, where=nobody, columns=["vector"])["vector"]).reshape(-1)
        return cls(
            ids,
            vectors,
            masks,
            is_new,
            blocks,
            alike,
            first["combination"] or SUM,
            dict(first["weights"] or ()),
            nonzero,
            rows["common_history"].fill_null(0).to_numpy(),
            newcomer,
            {population: Sigmoid(*pair) for population, pair in first["calibration"] or ()},
        )

    def nonempty_blocks(self) -> dict[str, slice]:
        """The blocks that have columns."""
        return {name: columns for name, columns in self.blocks.items() if columns.stop > columns.start}

    @cached_property
    def new_items(self) -> "Shelves":
        """The items that nobody has had."""
        new = self.is_new
        return replace(
            self,
            item_ids=self.item_ids[new],
            vectors=self.vectors[new],
            masks={modality: mask[new] for modality, mask in self.masks.items()},
            is_new=new[new],
            common_history=self.common_history[new],
            nonzero={block: mask[new] for block, mask in self.nonzero.items()},
        )

    def scored(self, shelf: str, users: np.ndarray, *, seen: np.ndarray) -> tuple["Shelves", Points, np.ndarray | None]:
        """What may stand on a shelf of some users, and how it scores.

        Args:
            users: float32 [B, D], as `vectors`.
            seen: bool [B, N], what each of them has had, which `for_you` leaves out; nobody has had new items.

        Returns:
            the shelf's n items; block → float32 [B, n], its points for each; bool [B, n], whether it may be ranked,
            None where all may.
        """
        items, candidates = (self.new_items, None) if shelf == "new_items" else (self, ~seen)
        given = points(
            users,
            items.vectors,
            items.nonempty_blocks(),
            combination=items.combination,
            weights=items.weights,
            candidates=candidates,
            nonzero=items.nonzero,
        )
        return items, given, candidates

    def places(self, item_ids: list[str]) -> np.ndarray:
        """Rows of those of `item_ids` that the catalog has."""
        wanted = np.asarray(item_ids, dtype=self.item_ids.dtype if len(self.item_ids) else np.str_)
        place = np.searchsorted(self.item_ids, wanted)
        inside = place < len(self.item_ids)
        return place[inside][self.item_ids[place[inside]] == wanted[inside]]


def matrix(vectors: pa.ChunkedArray) -> np.ndarray:
    """A column of vectors of one width as float32 [n, d]."""
    flat = vectors.combine_chunks().flatten().to_numpy()
    return flat.reshape(len(vectors), -1) if len(vectors) else np.zeros((0, 0), np.float32)


def _slices(blocks: list[tuple[str, list[int]]]) -> dict[str, slice]:
    return {name: slice(start, stop) for name, (start, stop) in blocks}
