"""The interface of a translator: an item's missing modality, predicted from those that it has."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.projected_items import ProjectedItems


class Translator(ABC):
    """Predicts any modality's projected vector from the item's others.

    The prediction for an item depends on that item alone, not on the others given, and is deterministic.
    """

    @abstractmethod
    def fit(self, items: ProjectedItems, *, seed: int) -> None:
        """Learns, for each modality, from the items that have it and another."""

    @abstractmethod
    def predict(self, items: ProjectedItems, modality: str) -> NDArray[np.float32]:
        """float32 [N, p_m] for every item, with or without the modality, from its other modalities alone; 0, which is
        the mean, for an item without any other.

        Raises:
            KeyError: no item of the fit had that modality.
        """
