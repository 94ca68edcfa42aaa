"""Fusion on graphs: item embeddings propagated over likes, and to items that are similar by each modality."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, validate_call

from fusion.data.catalog import Catalog, History, like_matrix, positions
from fusion.data.history_features import autoencoder_factors
from fusion.models.base import BLOCKS, FitContext, Space
from fusion.models.graph.learner import EmbeddingLearner, GraphStructure, LikeGraph, like_weights
from fusion.models.trained import Trained
from fusion.models.weight_search import search_weights
from fusion.ranking.nearest_neighbours import nearest
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.trainer import Weights

WEIGHTS = {"history": 1.0, "text": 0.5, "image": 0.25, "audio": 0.25, "video": 0.25, "attributes": 0.25}
"""w_m in training, and after it where validation data has chosen none."""
COMMONNESS = 0.25
"""An item's weight in a user's vector is its number of likes to minus this power. With LightGCN's 1/2 popular items
weigh too little: ndcg@10 .110 on MovieLens-small, against .113 with 1/4 and .112 with 0."""
SPREAD = 2.0
"""Standard deviation of the scores before training, so that they differ between items from the first step."""
SCORED = 1000
"""Number of users by whose scores the initial embeddings are scaled to that."""


class GraphFusion(Trained):
    """score(u, i) = u · z_i + sum over modalities of w_m u · (mean of z_j over the neighbours j of i by m).

    z are item embeddings propagated over the graph of likes, as in LightGCN (He et al. 2020), except that users have no
    embedding of their own: u is a weighted mean over the items that they like, recent ones weighing more. The second
    part is a frozen graph of items that are similar by one modality, as in FREEDOM (Zhou and Shen 2023): the
    `neighbours` nearest among the known items, weighted by cosine and normalised. What a modality's edges add is that
    modality's block, so that an item without a like is scored by its content neighbours alone, and what they add is
    exact.

    Embeddings start from closed-form factors and are trained by Bayesian personalised ranking against negatives drawn
    with a correction for popularity; the weights of the blocks are then chosen by ndcg@10 on validation data.

    Args:
        rank: columns of the embeddings.
        layers: propagation steps on the graph of likes.
        neighbours: content neighbours that an item has by each modality.
        dims: columns that a modality's vectors are projected onto before the search for neighbours.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e.
        negatives, flattening, penalty: `negatives`, `flattening` and `ridge` of
            `fusion.models.graph.learner.EmbeddingLearner`.
        training: see `fusion.training.config.TrainingConfig`.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "graph"
    space: ClassVar[Space] = {
        "rank": IntDistribution(32, 256, log=True),
        "layers": IntDistribution(0, 2),
        "neighbours": IntDistribution(5, 50, log=True),
        "ridge": FloatDistribution(50.0, 2000.0, log=True),
        "decay": FloatDistribution(3.0, 100.0, log=True),
        "learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
    }

    max_likes: ClassVar[int | None] = 300_000
    """Every step propagates over every like: a fit takes 18 s on 34,000, and in proportion."""

    defaults = TrainingConfig(untuned_epochs=4, patience=5, learning_rate=3e-3, steps_per_epoch=(20, 100))
    unused_settings = frozenset({"item_dropout", "modality_dropout", "items_per_step", "loss", "precision", "devices"})

    @validate_call
    def __init__(
        self,
        *,
        rank: PositiveInt = 128,
        layers: NonNegativeInt = 1,
        neighbours: PositiveInt = 20,
        dims: PositiveInt = 128,
        ridge: PositiveFloat = 300.0,
        decay: PositiveFloat = 10.0,
        negatives: PositiveInt = 256,
        flattening: NonNegativeFloat = 0.5,
        penalty: NonNegativeFloat = 1e-6,
        **training: Any,
    ) -> None:
        super().__init__(locals())
        self.rank, self.layers, self.neighbours, self.dims = rank, layers, neighbours, dims
        self.ridge, self.decay = ridge, decay
        self.negatives, self.flattening, self.penalty = negatives, flattening, penalty

    @property
    def neighbour_blocks(self) -> dict[str, slice]:
        return self.blocks

    @property
    def _widths(self) -> dict[str, int]:
        rank, present = self._weights["finals"].shape[1], ["history", *self._modalities]
        return {name: rank if name in present else 0 for name in BLOCKS}

    def _initialise(self, context: FitContext) -> "tuple[GraphNetwork, Weights]":
        catalog, likes = context.catalog, context.train.likes()
        matrix = like_matrix(likes, len(catalog))
        counts = np.asarray(matrix.sum(axis=0)).ravel()
        known = counts > 0
        chosen = context.tuned.choices if context.tuned else {}
        content = self._content(catalog, self._modalities)
        self._learnt = {
            "scale": (counts[known] ** -COMMONNESS).astype(np.float32),
            "shares": np.array([chosen.get(name, WEIGHTS[name]) for name in BLOCKS]),
            **{f"known/{m}": part[known] for m, part in content.items()},
        }
        items = self._network(catalog)
        graph = LikeGraph.of(matrix[:, known], layers=self.layers)
        neighbours = items.weighted_neighbours[known]
        structure = GraphStructure(graph=graph, neighbours=neighbours, scale=items.scale, decay=self.decay)
        network = GraphNetwork(items, structure, likes_of_nodes(likes, items.place))
        return network, {"embeddings": self._initial_embeddings(matrix[:, known], network, seed=context.seed)}

    def _network(self, catalog: Catalog) -> "GraphItems":
        place = positions(self._item_ids, catalog.item_ids)
        neighbours = self._neighbours(catalog, place)
        return GraphItems(neighbours, self._block_factors, place, self._learnt["scale"], self.decay)

    def _learner(self, context: FitContext, network: "GraphNetwork", initial: Weights) -> EmbeddingLearner:
        return EmbeddingLearner(
            initial,
            network.structure,
            network.likes,
            config=self._run_config(context),
            negatives=self.negatives,
            flattening=self.flattening,
            ridge=self.penalty,
            seed=context.seed,
        )

    def _set_weights(self, context: FitContext, network: "GraphNetwork", weights: Weights) -> None:
        self._weights = network.propagated(weights)

    def _extend_log(self, context: FitContext, network: "GraphNetwork", log: FitLog) -> FitLog:
        """Chooses the blocks' factors where there is validation data, and logs them."""
        if context.holdout and not context.tuned:
            # the search multiplies the blocks' scores by the factors itself
            items = replace(network.items, factors=dict.fromkeys(BLOCKS, 1.0))
            chosen, _ = search_weights(
                self._block_factors,
                context.holdout,
                users=items.user_vectors(self._weights, context.train.likes(), users=context.holdout.users),
                items=items.item_vectors(self._weights),
                blocks=self.blocks,
                combination=self.combination,
            )
            self._learnt = {**self._learnt, "shares": np.array([chosen[name] for name in BLOCKS])}
        return replace(log, choices=self._block_factors)

    @property
    def _block_factors(self) -> dict[str, float]:
        """Every name of `BLOCKS` → w of the block."""
        # a version that did not read attributes had fewer
        return dict.fromkeys(BLOCKS, 0.0) | dict(zip(BLOCKS, self._learnt["shares"].tolist(), strict=False))

    def _neighbours(self, catalog: Catalog, place: NDArray[np.int64]) -> dict[str, sp.csr_matrix]:
        """`GraphItems.neighbours`, given `GraphItems.place`."""
        known = np.flatnonzero(place >= 0)
        shape = (len(catalog), len(self._item_ids))
        neighbours = {"history": sp.csr_matrix((np.ones(len(known), np.float32), (known, place[known])), shape=shape)}
        for modality, part in self._content(catalog, self._modalities).items():
            found = nearest([part], [self._learnt[f"known/{modality}"]], k=self.neighbours, own=place)
            sums = np.asarray(found.sum(axis=1)).ravel()
            neighbours[modality] = (sp.diags(1 / np.where(sums > 0, sums, 1)) @ found).tocsr().astype(np.float32)
        return neighbours

    def _initial_embeddings(self, likes: sp.csr_matrix, network: "GraphNetwork", *, seed: int) -> NDArray[np.float32]:
        """float32 [K, r]: the closed-form factors of a linear autoencoder, scaled so that scores have the standard
        deviation `SPREAD`, given the likes of known items, CSR [U, K]."""
        structure = network.structure
        factors = autoencoder_factors(likes, rank=self.rank, ridge=self.ridge, seed=seed)
        users = structure.like_weights(network.likes)[:SCORED] @ structure.graph.messages(factors)
        items = structure.neighbours @ structure.graph.item_embeddings(factors)
        spread = np.std(users @ items.T) if users.size else 0.0
        # scores are quadratic in the embeddings, hence the root
        return (factors * np.sqrt(SPREAD / spread if spread > 0 else 1.0)).astype(np.float32)


def likes_of_nodes(likes: History, place: NDArray[np.int64]) -> History:
    """The likes of items that are nodes, with `item` the item's node, given the node of each item, int64 [N], or -1."""
    node = place[likes.item]
    kept = likes.where(node >= 0)
    return replace(kept, item=node[node >= 0].astype(np.int32))


@dataclass(frozen=True)
class GraphItems:
    """The trained network over a catalog's items; its K nodes are the known items. The weights are `finals`, float32
    [K, r], the nodes' final embeddings, `read` [K, r], their messages to the users who like them, and `prior` [r], the
    vector of a user without a like.

    Attributes:
        neighbours: block → CSR float32 [N, K]: for the history the item itself, for a modality the item's neighbours,
            whose weights sum to 1; only blocks that have columns.
        factors: block → w of the block.
        place: int64 [N], the item's node; -1 where it is none.
        scale: float32 [K], weight of each node in the vector of a user who likes it.
        decay: likes after which a like weighs 1/e.
    """

    neighbours: Mapping[str, sp.csr_matrix]
    factors: Mapping[str, float]
    place: NDArray[np.int64]
    scale: NDArray[np.float32]
    decay: float

    @property
    def weighted_neighbours(self) -> sp.csr_matrix:
        """CSR float32 [N, K]: the sum over blocks, each times its w."""
        return sum(np.float32(self.factors[name]) * part for name, part in self.neighbours.items()).tocsr()

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        """float32 [N, D]: in each block the mean final embedding of the item's neighbours."""
        return np.hstack([part @ weights["finals"] for part in self.neighbours.values()])

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D]: in each block u times the block's w."""
        rows = like_weights(likes_of_nodes(likes, self.place), self.scale, decay=self.decay)[users]
        liked = np.diff(rows.indptr)[:, None] > 0
        vectors = np.where(liked, rows @ weights["read"], weights["prior"]).astype(np.float32)
        return np.hstack([np.float32(self.factors[name]) * vectors for name in self.neighbours])


@dataclass(frozen=True)
class GraphNetwork:
    """The network in training: its weights are `embeddings`, float32 [K, r], and an item's vector is the sum of its
    blocks.

    Attributes:
        likes: the likes that the graph was made of, by node.
    """

    items: GraphItems
    structure: GraphStructure
    likes: History

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        """float32 [N, r]."""
        return self.items.weighted_neighbours @ self.structure.graph.item_embeddings(weights["embeddings"])

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), r]."""
        rows = self.structure.like_weights(likes_of_nodes(likes, self.items.place))
        return rows[users] @ self.structure.graph.messages(weights["embeddings"])

    def propagated(self, weights: Weights) -> dict[str, NDArray[np.float32]]:
        """The weights of `GraphItems`; the prior is the mean vector of the users with a like."""
        messages = self.structure.graph.messages(weights["embeddings"]).astype(np.float32)
        rows = self.structure.like_weights(self.likes)
        users = rows[np.diff(rows.indptr) > 0] @ messages
        prior = users.mean(axis=0) if len(users) else np.zeros(messages.shape[1], np.float32)
        finals = self.structure.graph.item_embeddings(weights["embeddings"]).astype(np.float32)
        return {"finals": finals, "read": messages, "prior": prior}
