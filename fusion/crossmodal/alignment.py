"""The interface of an alignment: two modalities mapped into one space, where their cosine measures whether they belong
to one item."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems


class Alignment(ABC):
    """Learns from items that have two modalities or more. The embedding of a row depends on that row alone."""

    @abstractmethod
    def fit(self, items: ProjectedItems, *, seed: int) -> None:
        """Learns from rows of two modalities that belong to one item."""

    @abstractmethod
    def embed(self, items: ProjectedItems, first: str, second: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """float32 [N, d] each: the items' two modalities in the space common to these two, rows of length 1; zeros
        where the item lacks the modality.

        Raises:
            KeyError: no item of the fit had one of the modalities.
        """


def agreement(alignment: Alignment, items: ProjectedItems, first: str, second: str) -> NDArray[np.float32]:
    """float32 [N]: the cosine of the item's two modalities in their common space; 0 where it lacks one."""
    one, other = alignment.embed(items, first, second)
    return (one * other).sum(axis=1)
