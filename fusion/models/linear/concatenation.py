"""Feature-level fusion by concatenation: an item is its history factors beside its projected modalities."""

from typing import Any, ClassVar

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import PositiveFloat, PositiveInt, validate_call

from fusion.data.catalog import Catalog
from fusion.models.base import FitContext, Space
from fusion.models.linear.base import LinearModel
from fusion.models.linear.vectors import ConcatenatedItems
from fusion.training.trainer import Weights


class Concatenation(LinearModel):
    """score(u, i) = u · F_i with F_i = [q_i, b_i ; W_text x_i ; W_image x_i ; W_audio x_i ; W_video x_i] and u linear
    in the user's profile: the means, over the items they like, of closed-form history factors and projected modalities,
    once with equal weights and once with recent likes weighing more.

    q starts from a linear autoencoder's factors and W from a whitening, so that training begins at a good collaborative
    model plus the similarity of content; everything is then trained together by softmax cross-entropy on what users
    liked next. In training, q and b of random items are hidden (dropout), so that the content columns learn to score
    items that nobody has liked yet.

    Args:
        rank: history factors.
        dims: columns that a modality's vectors are projected onto before learning.
        width: columns that a modality has in the item's vector, at most.
        content_gain: weight of the similarity of content before training.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e in the recent part of the profile.
        training: see `fusion.training.config.TrainingConfig`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "concatenation"
    space: ClassVar[Space] = {
        "rank": IntDistribution(32, 128, log=True),
        "width": IntDistribution(16, 64, log=True),
        "content_gain": FloatDistribution(0.5, 10.0, log=True),
        "ridge": FloatDistribution(100.0, 3000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(1e-4, 3e-3, log=True),
        "item_dropout": FloatDistribution(0.0, 0.3),
    }

    @validate_call
    def __init__(
        self,
        *,
        rank: PositiveInt = 64,
        dims: PositiveInt = 128,
        width: PositiveInt = 32,
        content_gain: float = 3.0,
        ridge: PositiveFloat = 800.0,
        decay: PositiveFloat = 10.0,
        **training: Any,
    ) -> None:
        super().__init__(locals())

    def _initialise(self, context: FitContext) -> tuple[ConcatenatedItems, Weights]:
        random = np.random.default_rng(context.seed)
        # two means, as in `_network`: with equal weights, then with recent likes weighing more
        items, users = self._initial_weights(context, means=2, content_mean=0, random=random)
        weights = items | {"user": users["kernel"], "user_bias": users["bias"]}
        return self._network(context.catalog), {name: array.astype(np.float32) for name, array in weights.items()}

    def _network(self, catalog: Catalog) -> ConcatenatedItems:
        return ConcatenatedItems(**self._item_arguments(catalog), decays=(None, self.decay))
