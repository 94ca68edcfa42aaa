"""The items as nodes of the graph, or beside nodes: vectors of them and of users, in training and in use."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fusion.data.catalog import History
from fusion.models.graph.learner import Wiring, read_weights
from fusion.training.trainer import Weights


def of_known(likes: History, place: NDArray[np.int64]) -> History:
    """The likes of items that are nodes, by their place among them, int64 [N], -1 where an item is none."""
    node = place[likes.item]
    kept = likes.where(node >= 0)
    return replace(kept, item=node[node >= 0].astype(np.int32))


@dataclass(frozen=True)
class Items:
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
    """Items while their embeddings are learnt: the weights are `embeddings`, float32 [K, r], and an item's vector is
    the sum of its blocks.

    Attributes:
        likes: what the graph was made of, by places of nodes.
    """

    items: Items
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
        """The weights of `Items`; the prior is the mean user's."""
        read = self.wiring.graph.read_out(weights["embeddings"]).astype(np.float32)
        readers = self.wiring.readers(self.likes)
        tastes = readers[np.diff(readers.indptr) > 0] @ read
        prior = tastes.mean(axis=0) if len(tastes) else np.zeros(read.shape[1], np.float32)
        finals = self.wiring.graph.items(weights["embeddings"]).astype(np.float32)
        return {"finals": finals, "read": read, "prior": prior}
