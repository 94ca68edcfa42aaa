"""Parts of the test likes that are judged on their own."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.protocol import Judgements


def popularity_thirds(likes: NDArray[np.int64]) -> NDArray[np.int8]:
    """Which third of all likes an item belongs to: 0 the head, 1 the middle, 2 the tail, -1 for an item without a like.

    Items stand in order of likes, falling, ties by index. An item is of the head where those before it have less than a
    third of all likes, of the middle where they have less than two thirds, and else of the tail.

    Args:
        likes: int [N], how many users like each item.
    """
    order = np.lexsort((np.arange(len(likes)), -likes))
    before = np.cumsum(likes[order]) - likes[order]
    third = np.empty(len(likes), np.int8)
    third[order] = np.minimum(3 * before // max(1, likes.sum()), 2)
    return np.where(likes > 0, third, -1).astype(np.int8)


def rows_of(
    judgements: Judgements,
    *,
    segments: Sequence[str] | None,
    masks: Mapping[str, NDArray[np.bool_]] | None,
) -> dict[str, NDArray[np.bool_]]:
    """Segment → which of the test likes it asks for, bool [n]; `fusion.evaluation.evaluate.evaluate` says what each is.

    Args:
        segments: those wanted, None for all that there are.
        masks: modality → bool [N], True where the item has it; None leaves out `with_text` and its like.

    Raises:
        ValueError: an unknown segment, or a mask of the wrong length.
    """
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
