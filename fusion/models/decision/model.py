"""Decision-level fusion: history and every modality score alone, and their scores or rankings are combined."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution

from fusion.data.catalog import Catalog, History, like_matrix, positions, rows_at
from fusion.data.history_features import autoencoder_factors, recency_matrix
from fusion.data.projection import fit_projections, modality_masks, projections_from, projections_state
from fusion.models.base import FitContext, Space, Strategy, Validation, block_slices
from fusion.models.decision.scorers import LinearScorer
from fusion.models.weight_search import search_weights
from fusion.ranking.rank_aggregation import COMBINATIONS, SUM
from fusion.training.config import FitLog
from schemas.table import OF_EVENTS, PARTS

AVERAGE = "average"
WEIGHTS = {"history": 1.0, "text": 0.5, "image": 0.125, "audio": 0.125, "video": 0.125, "attributes": 0.125}
"""The weights where validation data has chosen none."""


class Decision(Strategy):
    """score(u, i) = sum over blocks b of w_b score_b(u, i), or the same sum of each block's ranking points; the blocks
    are history and the modalities, each with a scorer fitted alone in closed form.

    History scores by the factors of a linear autoencoder (`fusion.data.history_features.autoencoder_factors`); a
    modality by ridge regression of the user's likes on its projected features. Recent likes weigh more. Every scorer's
    scores are standardised per user (`fusion.models.decision.scorers.LinearScorer`).

    The weights of the scorers are chosen by ndcg@10 on validation data. An item that lacks a block gets exactly 0 from
    its scorer: the mean of the standardised scores and of the symmetric Borda count.

    Args:
        combination: `average`, the weighted sum of standardised scores; or of each scorer's ranking `borda`, its
            symmetric Borda count, `reciprocal_rank`, reciprocal rank fusion, or `vote`, a vote for its first items with
            ties decided by the average (`fusion.ranking.rank_aggregation`).
        rank: history factors.
        dims: columns that a modality's vectors are projected onto.
        ridge: of the history factors.
        content_ridge: of the regressions on content.
        decay: likes after which a like weighs 1/e.
        weights: block → weight, where validation data has not chosen; one left out has that of `WEIGHTS`.

    Raises:
        ValueError: there is no such combination or block, a weight is negative, or a number is out of its range.
    """

    name = "decision"
    space: ClassVar[Space] = {
        "rank": IntDistribution(32, 512, log=True),
        "ridge": FloatDistribution(50.0, 5000.0, log=True),
        "content_ridge": FloatDistribution(50.0, 20_000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
    }

    def __init__(
        self,
        *,
        combination: str = AVERAGE,
        rank: int = 128,
        dims: int = 128,
        ridge: float = 600.0,
        content_ridge: float = 1000.0,
        decay: float = 10.0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._parameters = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        _check(self._parameters)
        self.rank, self.dims, self.ridge, self.content_ridge, self.decay = rank, dims, ridge, content_ridge, decay
        self._combination = combination
        self._initial_weights = {**WEIGHTS, **(weights or {})}

    def parameters(self) -> dict[str, Any]:
        return dict(self._parameters)

    def _fit(self, context: FitContext) -> FitLog:
        """Fits the scorers, then chooses their weights."""
        started = time.monotonic()
        catalog, likes, tuned = context.catalog, context.train.likes(), context.tuned
        self._projections = fit_projections(catalog, dims=self.dims)
        matrix = like_matrix(likes, len(catalog))
        known = np.asarray(matrix.sum(axis=0)).ravel() > 0
        self._item_ids = catalog.item_ids[known]
        self._factors = autoencoder_factors(matrix, rank=self.rank, ridge=self.ridge, seed=context.seed)[known]
        weighted, masks = recency_matrix(likes, len(catalog), decay=self.decay), self.masks(catalog)
        self._scorers = {
            name: LinearScorer.fit(
                features, masks[name], weighted, ridge=None if name == "history" else self.content_ridge
            )
            for name, features in self._features(catalog).items()
        }
        choices = tuned.choices if tuned else {}
        self._weights = {name: choices.get(name, self._initial_weights[name]) for name in WEIGHTS}
        figures = []
        if not tuned and len(likes) and context.holdout:
            figures = [self._choose_weights(catalog, context.train, context.holdout)]
        return FitLog(seconds=time.monotonic() - started, valid_ndcg=figures, choices=dict(self._weights))

    def _choose_weights(self, catalog: Catalog, train: History, holdout: Validation) -> float:
        """Sets the weights; returns the validation ndcg@10 that they reach."""
        users = np.hstack(list(self._block_users(catalog, train, users=holdout.users).values()))
        self._weights, reached = search_weights(
            self._weights,
            holdout,
            users=users,
            items=self.item_vectors(catalog),
            blocks=self.blocks,
            combination=self.combination,
        )
        return reached

    @property
    def combination(self) -> str:
        return SUM if self._combination == AVERAGE else self._combination

    @property
    def block_weights(self) -> dict[str, float]:
        """1 for averages, whose weights are in the users' vectors."""
        return super().block_weights if self.combination == SUM else dict(self._weights)

    @property
    def blocks(self) -> dict[str, slice]:
        return block_slices({b: len(self._scorers[b].mean) if b in self._scorers else 0 for b in PARTS})

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        has_history = positions(self._item_ids, catalog.item_ids) >= 0
        return dict.fromkeys(OF_EVENTS, has_history) | modality_masks(catalog, self._projections)

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        masks = self.masks(catalog)
        return np.hstack([self._scorers[b].items(v, masks[b]) for b, v in self._features(catalog).items()])

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        blocks = self._block_users(catalog, history, users=np.arange(len(history.user_ids)))
        if self.combination != SUM:
            return np.hstack(list(blocks.values()))
        return np.hstack([np.float32(self._weights[name]) * users for name, users in blocks.items()])

    def state(self) -> dict[str, NDArray[Any]]:
        arrays = projections_state(self._projections) | {"item_ids": self._item_ids, "factors": self._factors}
        for name, scorer in self._scorers.items():
            arrays |= scorer.state(f"scorer/{name}")
        return arrays | {"weights": np.array([self._weights[name] for name in WEIGHTS])}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._projections = projections_from(state)
        self._item_ids, self._factors = state["item_ids"], state["factors"]
        names = ("history", *self._projections)  # a version that did not read attributes had fewer
        self._scorers = {name: LinearScorer.from_state(f"scorer/{name}", state) for name in names}
        self._weights = dict.fromkeys(WEIGHTS, 0.0) | dict(zip(names, state["weights"].tolist(), strict=True))

    def _features(self, catalog: Catalog) -> dict[str, NDArray[np.float32]]:
        """Block → float32 [N, p]."""
        features = {"history": rows_at(self._factors, positions(self._item_ids, catalog.item_ids))}
        return features | {m: p(catalog.vectors[m], catalog.masks[m]) for m, p in self._projections.items()}

    def _block_users(
        self, catalog: Catalog, history: History, *, users: NDArray[np.integer]
    ) -> dict[str, NDArray[np.float32]]:
        """Block → float32 [len(users), p], standardised, not weighted."""
        likes, masks = recency_matrix(history.likes(), len(catalog), decay=self.decay)[users], self.masks(catalog)
        return {b: self._scorers[b].users(v, masks[b], likes) for b, v in self._features(catalog).items()}


def _check(parameters: Mapping[str, Any]) -> None:
    """Raises ValueError where an argument is out of its range."""
    choices = (AVERAGE, *(name for name in COMBINATIONS if name != SUM))
    if parameters["combination"] not in choices:
        raise ValueError(f"combination {parameters['combination']!r}: expected one of {', '.join(choices)}")
    weights = parameters["weights"] or {}
    if set(weights) - set(WEIGHTS) or any(not weight >= 0 for weight in weights.values()):
        raise ValueError(f"weights {dict(weights)}: expected 0 or more for any of {list(WEIGHTS)}")
    for name in ("rank", "dims"):
        if parameters[name] < 1:
            raise ValueError(f"{name} {parameters[name]}: expected 1 or more")
    for name in ("ridge", "content_ridge", "decay"):
        if not parameters[name] > 0:
            raise ValueError(f"{name} {parameters[name]}: expected more than 0")
