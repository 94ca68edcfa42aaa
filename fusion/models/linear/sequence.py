"""Model-level fusion over time: a user's vector is computed by attention over their last likes, from history and
content."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import PositiveFloat, PositiveInt, validate_call

from fusion.data.catalog import Catalog, History
from fusion.models.base import FitContext, Space
from fusion.models.linear.base import LinearModel
from fusion.models.linear.self_attention import RecentLikes, attend, recent_likes
from fusion.models.linear.vectors import LinearItems
from fusion.training.trainer import Weights

BATCH = 512
"""Number of users whose last likes are held at once."""
HEADS = 2
"""One that starts with equal attention to all places, and one that starts with more attention to later likes."""


class SequenceFusion(LinearModel):
    """score(u, i) = u · [q_i, b_i ; W_text x_i ; W_image x_i ; W_audio x_i ; W_video x_i], where u is computed from the
    user's last likes by self-attention, as in SASRec (Kang and McAuley 2018;
    `fusion.models.linear.self_attention.attend`).

    The features of a like are its item's closed-form history factors and projected modalities. Before training the
    heads are a plain mean and a mean that weighs recent likes more, q are the factors and W a whitening, so that
    training begins at a good model; everything is then trained together by softmax cross-entropy on what users liked
    next. In training, q and b of random items are hidden (dropout), so that the content columns learn to score items
    that nobody has liked yet.

    Args:
        length: number of last likes that are used, at most.
        rank: history factors.
        dims: columns that a modality's vectors are projected onto before learning.
        width: columns that a modality has in the item's vector, at most.
        key: columns of a head's queries and keys.
        hidden: units of the hidden layer above the heads' means.
        content_gain: weight of the similarity of content before training.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e in the second head, before training.
        training: see `fusion.training.config.TrainingConfig`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "sequence"
    space: ClassVar[Space] = {
        "rank": IntDistribution(32, 128, log=True),
        "content_gain": FloatDistribution(0.5, 10.0, log=True),
        "ridge": FloatDistribution(100.0, 3000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(1e-4, 3e-3, log=True),
    }

    @validate_call
    def __init__(
        self,
        *,
        length: PositiveInt = 50,
        rank: PositiveInt = 64,
        dims: PositiveInt = 64,
        width: PositiveInt = 32,
        key: PositiveInt = 16,
        hidden: PositiveInt = 64,
        content_gain: float = 3.0,
        ridge: PositiveFloat = 800.0,
        decay: PositiveFloat = 10.0,
        **training: Any,
    ) -> None:
        super().__init__(locals())
        self.length, self.key, self.hidden = length, key, hidden

    def _initialise(self, context: FitContext) -> "tuple[SequenceItems, Weights]":
        random = np.random.default_rng(context.seed)
        items, users = self._initial_weights(context, means=HEADS, content_mean=HEADS - 1, random=random)
        inputs, columns = users["kernel"].shape  # HP, D
        sources = inputs // HEADS  # P
        attention = {
            # queries of 0: attention depends on the places alone
            "query": np.zeros((sources, HEADS * self.key)),
            "key": random.normal(0, 1 / np.sqrt(max(1, sources)), (sources, HEADS * self.key)),
            "place": np.stack([np.zeros(self.length), -np.arange(self.length) / self.decay]),
            "hidden": random.normal(0, 1 / np.sqrt(max(1, inputs)), (inputs, self.hidden)),
            "hidden_bias": np.zeros(self.hidden),
            "out": np.zeros((self.hidden, columns)),
        }
        weights = items | users | attention
        return self._network(context.catalog), {name: array.astype(np.float32) for name, array in weights.items()}

    def _network(self, catalog: Catalog) -> "SequenceItems":
        return SequenceItems(**self._item_arguments(catalog), length=self.length)


@dataclass(frozen=True)
class SequenceItems(LinearItems):
    """Linear items, with users computed from their last likes by `fusion.models.linear.self_attention.attend`.

    Attributes:
        length: number of last likes that are used, at most.
    """

    length: int = 50

    @property
    def widths(self) -> list[int]:
        """Columns of each source: history, then the modalities."""
        return [self.factors.shape[1], *(x.shape[1] for x in self.content.values())]

    @cached_property
    def _sources(self) -> NDArray[np.float32]:
        return np.hstack([self.factors, *self.content.values()])

    @cached_property
    def _source_masks(self) -> NDArray[np.float32]:
        return self.masks.astype(np.float32)

    def profiles(self, likes: History) -> dict[str, NDArray[np.float32]]:
        """The arrays that `fusion.models.linear.self_attention.attend` takes, for all users of the history."""
        return self._profiles(recent_likes(likes, self.length, users=np.arange(len(likes.user_ids))))

    def vectors(
        self,
        weights: Mapping[str, Any],
        profiles: Mapping[str, Any],
        inputs: Mapping[str, Any],
        shown: Any,
        *,
        xp: Any,
    ) -> tuple[Any, Any]:
        return self._users(weights, profiles, xp=xp), self.columns(weights, inputs, shown, xp=xp)

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        vectors = np.empty((len(users), len(weights["bias"])), np.float32)
        for start in range(0, len(users), BATCH):
            profiles = self._profiles(recent_likes(likes, self.length, users=users[start : start + BATCH]))
            vectors[start : start + BATCH] = self._users(weights, profiles, xp=np)
        return vectors

    def _users(self, weights: Mapping[str, Any], profiles: Mapping[str, Any], *, xp: Any) -> Any:
        arrays = (profiles[name] for name in ("sources", "source_masks", "like_weights"))
        return attend(weights, *arrays, widths=self.widths, xp=xp)

    def _profiles(self, past: RecentLikes) -> dict[str, NDArray[np.float32]]:
        """The sources [B, n, P] and their masks [B, n, S] of likes, 0 where there is none; and the likes' weights."""
        if not len(self._sources):
            shape = past.items.shape
            sources = np.zeros((*shape, sum(self.widths)), np.float32)
            masks = np.zeros((*shape, len(self.widths)), np.float32)
        else:
            present = (past.weights > 0)[:, :, None]
            sources, masks = self._sources[past.items] * present, self._source_masks[past.items] * present
        return {"sources": sources, "source_masks": masks, "like_weights": past.weights}
