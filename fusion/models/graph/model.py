"""Fusion on graphs: embeddings spread over who likes what, and to items that are alike by each modality."""

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
from fusion.models.graph.learner import Embeddings, Graph, Wiring, read_weights
from fusion.models.trained import Trained
from fusion.models.weight_search import search
from fusion.ranking.nearest_neighbours import nearest
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.trainer import Weights

WEIGHTS = {"history": 1.0, "text": 0.5, "image": 0.25, "audio": 0.25, "video": 0.25}
"""How much of an item's neighbours by each modality there is in training, and after it where validation data has not
said."""
COMMONNESS = 0.25
"""An item counts in a user's vector by its likes to minus this power. LightGCN's 1/2 read too little off popular items:
ndcg@10 .113 against .110 on MovieLens-small, where 0 reached .112."""
SPREAD = 2.0
"""Standard deviation of scores before training, so that they tell items apart from the start."""
SCORED = 1000
"""Users whose scores say how large embeddings must be for that."""


class GraphFusion(Trained):
    """score(u, i) = u · z_i + sum over modalities of w_m u · (mean of z_j over the neighbours j of i by m).

    z are item embeddings spread over the graph of who likes what, in the manner of LightGCN (He et al. 2020), with
    users that have no embedding of their own: theirs is read off the items that they like, recent ones weighing more.
    The second part is a frozen graph of items that are alike by one modality, in the manner of FREEDOM (Zhou and Shen
    2023): the `neighbours` nearest among the items that somebody likes, weighted by cosine and normalised. What comes
    over a modality's edges stands in that modality's block, so an item that nobody has liked is known by its content
    neighbours alone, and what they add is exact.

    Embeddings begin at closed-form factors and are trained by Bayesian personalised ranking against negatives drawn
    with popularity corrected for; the weights of the blocks are then chosen by ndcg@10 on validation data.

    Args:
        rank: columns of the embeddings.
        layers: steps on the graph of likes.
        neighbours: content neighbours that an item has by each modality.
        dims: columns that a modality's vectors are projected onto before neighbours are looked for.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e.
        negatives, flattening, penalty: `negatives`, `flattening` and `ridge` of
            `fusion.models.graph.learner.Embeddings`.
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
    """Every step walks over every like: 18 s on 34,000, and in proportion."""

    defaults = TrainingConfig(untuned_epochs=4, patience=5, learning_rate=3e-3, steps_per_epoch=(20, 100))
    idle = frozenset({"item_dropout", "modality_dropout", "items_per_step", "loss", "precision", "devices"})

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
        rank, spoken = self._weights["finals"].shape[1], ["history", *self._modalities]
        return {name: rank if name in spoken else 0 for name in BLOCKS}

    def _begin(self, context: FitContext) -> "tuple[Wired, Weights]":
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
        graph = Graph.of(matrix[:, known], layers=self.layers)
        wiring = Wiring(graph=graph, near=items.reach[known], scale=items.scale, decay=self.decay)
        network = Wired(items, wiring, of_known(likes, items.place))
        return network, {"embeddings": self._start(matrix[:, known], network, seed=context.seed)}

    def _network(self, catalog: Catalog) -> "GraphItems":
        place = positions(self._item_ids, catalog.item_ids)
        return GraphItems(self._near(catalog, place), self._shares, place, self._learnt["scale"], self.decay)

    def _learner(self, context: FitContext, network: "Wired", start: Weights) -> Embeddings:
        return Embeddings(
            start,
            network.wiring,
            network.likes,
            config=self._config(context),
            negatives=self.negatives,
            flattening=self.flattening,
            ridge=self.penalty,
            seed=context.seed,
        )

    def _keep(self, context: FitContext, network: "Wired", weights: Weights) -> None:
        self._weights = network.learnt(weights)

    def _told(self, context: FitContext, network: "Wired", log: FitLog) -> FitLog:
        """Chooses how much each block counts, where validation data may say."""
        if context.holdout and not context.tuned:
            items = replace(network.items, shares=dict.fromkeys(BLOCKS, 1.0))
            chosen, _ = search(
                self._shares,
                context.holdout,
                users=items.user_vectors(self._weights, context.train.likes(), users=context.holdout.users),
                items=items.item_vectors(self._weights),
                blocks=self.blocks,
                combination=self.combination,
            )
            self._learnt = {**self._learnt, "shares": np.array([chosen[name] for name in BLOCKS])}
        return replace(log, choices=self._shares)

    @property
    def _shares(self) -> dict[str, float]:
        """Block → how much it counts."""
        return dict(zip(BLOCKS, self._learnt["shares"].tolist(), strict=True))

    def _near(self, catalog: Catalog, place: NDArray[np.int64]) -> dict[str, sp.csr_matrix]:
        """As `GraphItems` asks for it."""
        known = np.flatnonzero(place >= 0)
        shape = (len(catalog), len(self._item_ids))
        near = {"history": sp.csr_matrix((np.ones(len(known), np.float32), (known, place[known])), shape=shape)}
        for modality, part in self._content(catalog, self._modalities).items():
            found = nearest([part], [self._learnt[f"known/{modality}"]], k=self.neighbours, own=place)
            sums = np.asarray(found.sum(axis=1)).ravel()
            near[modality] = (sp.diags(1 / np.where(sums > 0, sums, 1)) @ found).tocsr().astype(np.float32)
        return near

    def _start(self, matrix: sp.csr_matrix, network: "Wired", *, seed: int) -> NDArray[np.float32]:
        """The closed-form factors of a linear autoencoder, as large as makes scores of a set spread."""
        wiring = network.wiring
        factors = autoencoder_factors(matrix, rank=self.rank, ridge=self.ridge, seed=seed)
        some = wiring.readers(network.likes)[:SCORED] @ wiring.graph.read_out(factors)
        spread = np.std(some @ (wiring.near @ wiring.graph.items(factors)).T) if some.size else 0.0
        return (factors * np.sqrt(SPREAD / spread if spread > 0 else 1.0)).astype(np.float32)


def of_known(likes: History, place: NDArray[np.int64]) -> History:
    """The likes of items that are nodes, by their place among them, int64 [N], -1 where an item is none."""
    node = place[likes.item]
    kept = likes.where(node >= 0)
    return replace(kept, item=node[node >= 0].astype(np.int32))


@dataclass(frozen=True)
class GraphItems:
    """A catalog's items and what leads from them to the K nodes. The weights are `finals` and `read`, float32 [K, r],
    what a node is and what it gives to who likes it, and `prior` [r], the user without a like.

    Attributes:
        near: block → CSR float32 [N, K]: itself for the history, for a modality the item's neighbours, whose weights
            sum to 1; only blocks that have columns.
        shares: block → how much its columns count.
        place: int64 [N], which node the item is; -1 where it is none.
        scale: float32 [K], how much each node counts in the vector of a user who likes it.
        decay: likes after which a like weighs 1/e.
    """

    near: Mapping[str, sp.csr_matrix]
    shares: Mapping[str, float]
    place: NDArray[np.int64]
    scale: NDArray[np.float32]
    decay: float

    @property
    def reach(self) -> sp.csr_matrix:
        """CSR float32 [N, K]: the blocks together, as much as each counts."""
        return sum(np.float32(self.shares[name]) * part for name, part in self.near.items()).tocsr()

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        return np.hstack([part @ weights["finals"] for part in self.near.values()])

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D]: a user's taste for every block, as much as it counts."""
        readers = read_weights(of_known(likes, self.place), self.scale, decay=self.decay)[users]
        liked = np.diff(readers.indptr)[:, None] > 0
        tastes = np.where(liked, readers @ weights["read"], weights["prior"]).astype(np.float32)
        return np.hstack([np.float32(self.shares[name]) * tastes for name in self.near])


@dataclass(frozen=True)
class Wired:
    """GraphItems while their embeddings are learnt: the weights are `embeddings`, float32 [K, r], and an item's vector
    is the sum of its blocks.

    Attributes:
        likes: what the graph was made of, by places of nodes.
    """

    items: GraphItems
    wiring: Wiring
    likes: History

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        """float32 [N, r]."""
        return self.items.reach @ self.wiring.graph.items(weights["embeddings"])

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), r]."""
        readers = self.wiring.readers(of_known(likes, self.items.place))
        return readers[users] @ self.wiring.graph.read_out(weights["embeddings"])

    def learnt(self, weights: Weights) -> dict[str, NDArray[np.float32]]:
        """The weights of `GraphItems`; the prior is the mean user's."""
        read = self.wiring.graph.read_out(weights["embeddings"]).astype(np.float32)
        readers = self.wiring.readers(self.likes)
        tastes = readers[np.diff(readers.indptr) > 0] @ read
        prior = tastes.mean(axis=0) if len(tastes) else np.zeros(read.shape[1], np.float32)
        finals = self.wiring.graph.items(weights["embeddings"]).astype(np.float32)
        return {"finals": finals, "read": read, "prior": prior}
