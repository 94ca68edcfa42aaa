"""The contract of an alignment: two modalities of an item brought into one space, where their cosine tells whether they
belong together."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.views import Views


class Alignment(ABC):
    """Learns from items that have two modalities or more. What becomes of a row depends on that row alone."""

    name: ClassVar[str]

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

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON can hold them."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """What was learnt, as named arrays without objects."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """The inverse of `state`."""


def agreement(alignment: Alignment, views: Views, first: str, second: str) -> NDArray[np.float32]:
    """float32 [N]: the cosine of the item's two modalities in their common space; 0 where it lacks one."""
    one, other = alignment.embed(views, first, second)
    return (one * other).sum(axis=1)
