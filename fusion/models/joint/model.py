"""Model-level fusion: a joint embedding of history and all modalities, which attend to each other."""

from typing import Any, ClassVar

from optuna.distributions import CategoricalDistribution, FloatDistribution

from fusion.data.arguments import above_0, at_least
from fusion.data.catalog import Catalog, like_matrix, places, rows_at
from fusion.data.history_factors import scaled_factors
from fusion.models.base import Lesson, Space
from fusion.models.joint.initial_weights import SOURCE_SIZE, start
from fusion.models.joint.vectors import Items
from fusion.models.trained import Trained
from fusion.training.config import Recipe
from fusion.training.gru import learn_scales, scaled
from fusion.training.trainer import Weights
from schemas.table import MODALITIES


class Joint(Trained):
    """score(u, i) = u · z_i + b_i, where z_i is the sum over the item's tokens of t_k + s_k: t_k is its history q_i or
    a projected modality, with a learnt embedding that says which, and s_k the token's share of what multi-head
    self-attention among the tokens that the item has puts out (see `fusion.models.joint.network`). u is linear in the
    user's profile: the means, over the items they like, of closed-form history factors and projected modalities, once
    over all likes alike and once with recent ones weighing more.

    What a token adds depends on the others, by the attention, but the parts t_k + s_k stand side by side in an item's
    vector, and u is repeated for each: the sum over blocks is the score. Sounds and films are read step by step where
    the catalog has their sequences, beside their mean vectors. Hiding the history and the modalities of random items in
    training teaches the tokens that remain to speak for them.

    Args:
        width: of the joint space.
        heads: of the attention; they share the width.
        units: of the recurrent layers.
        dims: columns that a modality's vectors are projected onto before learning.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e in the recent part of the profile.
        training: see `fusion.training.config.Recipe`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "joint"
    space: ClassVar[Space] = {
        "width": CategoricalDistribution((32, 64, 128)),
        "ridge": FloatDistribution(100.0, 3000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(1e-4, 3e-3, log=True),
        "item_dropout": FloatDistribution(0.0, 0.3),
        "modality_dropout": FloatDistribution(0.0, 0.3),
    }
    sequences = True
    defaults = Recipe(loss="bpr", untuned_epochs=16, modality_dropout=0.1, items_per_step=2048)

    def __init__(
        self,
        *,
        width: int = 64,
        heads: int = 4,
        units: int = 32,
        dims: int = 128,
        ridge: float = 800.0,
        decay: float = 10.0,
        **training: Any,
    ) -> None:
        super().__init__(locals())
        at_least(1, width=width, heads=heads, units=units, dims=dims)
        above_0(ridge=ridge, decay=decay)
        if width % heads:
            raise ValueError(f"width {width}: expected a multiple of heads, {heads}")
        self.width, self.heads, self.units, self.dims = width, heads, units, dims
        self.ridge, self.decay = ridge, decay

    @property
    def _widths(self) -> dict[str, int]:
        learnt = self._modalities
        return {"history": self.width + 1, **{m: self.width if m in learnt else 0 for m in MODALITIES}}

    def _begin(self, lesson: Lesson) -> tuple[Items, Weights]:
        likes, n_items = lesson.train.likes(), len(lesson.catalog)
        matrix = like_matrix(likes, n_items)
        factors = scaled_factors(matrix, rank=self.width, ridge=self.ridge, seed=lesson.seed, size=SOURCE_SIZE)
        scales = learn_scales(lesson.catalog, self._modalities)
        self._learnt = {"factors": factors[matrix.getnnz(axis=0) > 0], **scales}
        items = self._network(lesson.catalog)
        return items, start(items, likes, width=self.width, units=self.units, seed=lesson.seed)

    def _network(self, catalog: Catalog) -> Items:
        place = places(self._item_ids, catalog)
        return Items(
            content=self._content(catalog, self._modalities),
            sequences=scaled(catalog, self._learnt),
            masks=self._shown(catalog, self._modalities),
            place=place,
            factors=rows_at(self._learnt["factors"], place),
            decays=(None, self.decay),
            heads=self.heads,
        )
