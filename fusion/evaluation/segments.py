"""Segments of the test likes that are evaluated separately, by user, by popularity and by modality."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.protocol import Judgements


def popularity_thirds(likes: NDArray[np.int64]) -> NDArray[np.int8]:
    """int8 [N]: which third of all likes an item belongs to: 0 the head, 1 the middle, 2 the tail, -1 without a like.

    Items are in descending order of likes, ties by index. An item is in the head if those before it have less than a
    third of all likes, in the middle if they have less than two thirds, and in the tail otherwise.

    Args:
        likes: int [N], how many users like each item.

    >>> popularity_thirds(np.array([1, 6, 0, 3, 2])).tolist()  # before them: 11, 0, -, 6 and 9 of 12 likes
    [2, 0, -1, 1, 2]
    """
    # Likes of all items before an item, in descending order, then written back to the order of the items.
    order = np.lexsort((np.arange(len(likes)), -likes))
    before = np.cumsum(likes[order]) - likes[order]
    third = np.empty(len(likes), np.int8)
    third[order] = np.minimum(3 * before // max(1, likes.sum()), 2)
    return np.where(likes > 0, third, -1).astype(np.int8)


def segment_rows(
    judgements: Judgements,
    *,
    segments: Sequence[str] | None,
    masks: Mapping[str, NDArray[np.bool_]] | None,
) -> dict[str, NDArray[np.bool_]]:
    """Segment → bool [n], which of the test likes belong to it; `fusion.evaluation.evaluate.evaluate` lists them.

    Args:
        segments: the names wanted, None for all.
        masks: modality → bool [N], True where the item has it; None leaves out `with_text` and so on.

    Raises:
        ValueError: an unknown segment, or a mask of the wrong length.
    """
    # Every array [n] has one entry a test like: a property of its item [N] or its user [U], indexed by them.
    item = judgements.test.item
    warm_user = judgements.warm[judgements.test.user]
    third = popularity_thirds(judgements.popularity)[item]
    rows = {
        "all": np.ones(len(item), np.bool_),
        "warm_users": warm_user,
        "cold_users": ~warm_user,
        "warm_items": third >= 0,
        "cold_items": third < 0,
        "head_items": third == 0,
        "middle_items": third == 1,
        "tail_items": third == 2,
    }
    for modality, mask in (masks or {}).items():
        if mask.shape != (judgements.n_items,):
            raise ValueError(f"mask of {modality} has shape {mask.shape}, expected ({judgements.n_items},)")
        rows |= {f"with_{modality}": mask[item], f"without_{modality}": ~mask[item]}
    unknown = sorted(set(segments or ()) - set(rows))
    if unknown:
        raise ValueError(f"segments {unknown}: expected some of {', '.join(rows)}")
    return {segment: rows[segment] for segment in (rows if segments is None else segments)}
