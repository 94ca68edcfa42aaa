"""The contract of an alignment: two modalities of an item brought into one space, where their cosine tells whether they
belong together."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.views import Views


class Alignment(ABC):
    """Learns from items that have two modalities or more. What becomes of a row depends on that row alone."""

    @abstractmethod
    def fit(self, views: Views, *, seed: int) -> None:
        """Learns which rows of two modalities are of one item."""

    @abstractmethod
    def embed(self, views: Views, first: str, second: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """float32 [N, d] each: the items' two modalities in the space that these two share, rows of length 1; 0 where
        the item lacks the modality.

        Raises:
            KeyError: the alignment was fitted on items none of which had one of the modalities.
        """


def agreement(alignment: Alignment, views: Views, first: str, second: str) -> NDArray[np.float32]:
    """float32 [N]: the cosine of the item's two modalities in their common space; 0 where it lacks one."""
    one, other = alignment.embed(views, first, second)
    return (one * other).sum(axis=1)
