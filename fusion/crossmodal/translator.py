"""The contract of a translator: an item's missing modality, told from those that it has."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from fusion.crossmodal.views import Views


class Translator(ABC):
    """Predicts any modality's projected vector from the item's others.

    What is predicted of an item depends on that item alone, not on those beside it, and is the same every time.
    """

    @abstractmethod
    def fit(self, views: Views, *, seed: int) -> None:
        """Learns, for each modality, from the items that have it and another."""

    @abstractmethod
    def predict(self, views: Views, modality: str) -> NDArray[np.float32]:
        """float32 [N, p_m] for every item, whether it has the modality or not, from its others alone; 0, which is the
        mean, for an item without any other.

        Raises:
            KeyError: the translator was fitted on items none of which had that modality.
        """
