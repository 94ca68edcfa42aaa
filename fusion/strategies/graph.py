"""Fusion on graphs: embeddings spread over who likes what, and to items that are alike by each modality."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution

from fusion.baselines import like_matrix
from fusion.data import Catalog, History
from fusion.decision.search import search
from fusion.factors import autoencoder_factors
from fusion.graph.propagation import Graph, Matrix
from fusion.graph.training import Wiring, read_weights
from fusion.graph.training import train as train_embeddings
from fusion.lookup import places
from fusion.nearest import nearest
from fusion.preprocess import fit_projections, projections_from, projections_state, speaks
from fusion.strategies.base import BLOCKS, FitLog, Space, Strategy
from fusion.training import Recipe
from fusion.validation import Holdout
from schemas.table import MODALITIES

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


class GraphFusion(Strategy):
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
        negatives, flattening, penalty: `negatives`, `flattening` and `ridge` of `fusion.graph.training.train`.
        epochs, patience, batch_size, learning_rate, steps_per_epoch: see `fusion.training.Recipe`.
        untuned_epochs: how many there are when `fit` is given neither validation data nor what it once chose.

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

    def __init__(
        self,
        *,
        rank: int = 128,
        layers: int = 1,
        neighbours: int = 20,
        dims: int = 128,
        ridge: float = 300.0,
        decay: float = 10.0,
        negatives: int = 256,
        flattening: float = 0.5,
        penalty: float = 1e-6,
        epochs: int = 30,
        untuned_epochs: int = 4,
        patience: int = 5,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        steps_per_epoch: Sequence[int] = (20, 100),
    ) -> None:
        self._parameters = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        _check(self._parameters)
        self.rank, self.layers, self.neighbours, self.dims = rank, layers, neighbours, dims
        self.ridge, self.decay, self.untuned_epochs = ridge, decay, untuned_epochs
        self.negatives, self.flattening, self.penalty = negatives, flattening, penalty
        self.recipe = Recipe(
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            learning_rate=learning_rate,
            item_dropout=0.0,
            items_per_step=negatives,
            steps_per_epoch=(steps_per_epoch[0], steps_per_epoch[1]),
        )

    def parameters(self) -> dict[str, Any]:
        return dict(self._parameters)

    def fit(
        self,
        catalog: Catalog,
        train: History,
        valid: History | None = None,
        *,
        seed: int,
        tuned: FitLog | None = None,
        progress: bool = False,
    ) -> FitLog:
        started = time.monotonic()
        likes, n_items = train.likes(), len(catalog)
        matrix = like_matrix(likes, n_items)
        counts = np.asarray(matrix.sum(axis=0)).ravel()
        known = counts > 0
        self._item_ids, self._scale = catalog.item_ids[known], (counts[known] ** -COMMONNESS).astype(np.float32)
        self._projections = fit_projections(catalog, dims=self.dims)
        self._content = {m: part[known] for m, part in self._projected(catalog).items()}
        self._weights = {name: (tuned.choices if tuned else {}).get(name, WEIGHTS[name]) for name in BLOCKS}
        near = self._near(catalog)
        wiring = Wiring(
            graph=Graph.of(matrix[:, known], layers=self.layers),
            near=self._reach(near)[known],
            scale=self._scale,
            decay=self.decay,
        )
        own = self._of_known(likes, catalog)
        embeddings = self._start(matrix[:, known], own, wiring, seed=seed)
        if not len(likes):
            self._keep(embeddings, own, wiring)
            return FitLog()
        holdout = None if valid is None else Holdout(train, valid, n_items=n_items, seed=seed)
        users = holdout.users if holdout else np.zeros(0, np.int64)
        validate: Callable[[Matrix], float] | None = None
        if holdout and len(users):
            readers, reach = wiring.readers(own)[users], self._reach(near)

            def validate(embeddings: Matrix) -> float:
                read, finals = wiring.graph.read_out(embeddings), wiring.graph.items(embeddings)
                return holdout.ndcg(readers @ read, reach @ finals)

        epochs = tuned.best_epoch if tuned else self.recipe.epochs if validate else self.untuned_epochs
        embeddings, log = train_embeddings(
            embeddings,
            wiring,
            own,
            recipe=replace(self.recipe, epochs=epochs),
            negatives=self.negatives,
            flattening=self.flattening,
            ridge=self.penalty,
            seed=seed,
            validate=validate,
            progress=progress,
        )
        self._keep(embeddings, own, wiring)
        if holdout and len(users) and not tuned:
            self._weights, _ = search(
                self._weights,
                holdout,
                users=np.tile(self._tastes(own)[users], len(self._spoken())),
                items=self._spread(catalog, near),
                blocks=self.blocks,
                combination=self.combination,
            )
        return replace(log, seconds=time.monotonic() - started, choices=dict(self._weights))

    @property
    def blocks(self) -> dict[str, slice]:
        blocks, start = {}, 0
        for name in BLOCKS:
            stop = start + (self._finals.shape[1] if name in self._spoken() else 0)
            blocks[name] = slice(start, stop)
            start = stop
        return blocks

    def masks(self, catalog: Catalog) -> dict[str, NDArray[np.bool_]]:
        return {"history": places(self._item_ids, catalog) >= 0, **speaks(catalog, self._projections)}

    def item_vectors(self, catalog: Catalog) -> NDArray[np.float32]:
        return self._spread(catalog, self._near(catalog))

    def user_vectors(self, catalog: Catalog, history: History) -> NDArray[np.float32]:
        tastes = self._tastes(self._of_known(history.likes(), catalog))
        return np.hstack([np.float32(self._weights[name]) * tastes for name in self._spoken()])

    def state(self) -> dict[str, NDArray[Any]]:
        learnt = {"item_ids": self._item_ids, "finals": self._finals, "read": self._read, "scale": self._scale}
        learnt |= {"prior": self._prior, "weights": np.array([self._weights[name] for name in BLOCKS])}
        return learnt | projections_state(self._projections) | {f"{m}/known": x for m, x in self._content.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._item_ids, self._finals, self._read = (state[name] for name in ("item_ids", "finals", "read"))
        self._scale, self._prior = state["scale"], state["prior"]
        self._weights = dict(zip(BLOCKS, state["weights"].tolist(), strict=True))
        self._projections = projections_from(state)
        self._content = {m: state[f"{m}/known"] for m in MODALITIES}

    def _spoken(self) -> list[str]:
        """The blocks that have columns: history, and the modalities of which something was learnt."""
        return ["history", *(m for m in MODALITIES if self._projections[m].dims)]

    def _projected(self, catalog: Catalog) -> dict[str, NDArray[np.float32]]:
        return {m: self._projections[m](catalog.vectors[m], catalog.masks[m]) for m in MODALITIES}

    def _of_known(self, likes: History, catalog: Catalog) -> History:
        """The likes of items that the model knows, by their place in `_item_ids`."""
        place = places(self._item_ids, catalog)[likes.item]
        kept = likes.where(place >= 0)
        return replace(kept, item=place[place >= 0].astype(np.int32))

    def _near(self, catalog: Catalog) -> dict[str, sp.csr_matrix]:
        """Block → CSR float32 [N, K]: itself for the history, for a modality the item's neighbours, whose weights sum
        to 1."""
        own, k = places(self._item_ids, catalog), len(self._item_ids)
        known = np.flatnonzero(own >= 0)
        shape = (len(catalog), k)
        near = {"history": sp.csr_matrix((np.ones(len(known), np.float32), (known, own[known])), shape=shape)}
        for modality, part in self._projected(catalog).items():
            if modality in self._spoken():
                found = nearest(part, self._content[modality], k=self.neighbours, own=own)
                sums = np.asarray(found.sum(axis=1)).ravel()
                near[modality] = (sp.diags(1 / np.where(sums > 0, sums, 1)) @ found).tocsr().astype(np.float32)
        return near

    def _reach(self, near: Mapping[str, sp.csr_matrix]) -> sp.csr_matrix:
        """CSR float32 [N, K]: the blocks together, by weight."""
        return sum(np.float32(self._weights[name]) * part for name, part in near.items()).tocsr()

    def _spread(self, catalog: Catalog, near: Mapping[str, sp.csr_matrix]) -> NDArray[np.float32]:
        return np.hstack([near[name] @ self._finals for name in self._spoken()])

    def _start(self, matrix: sp.csr_matrix, own: History, wiring: Wiring, *, seed: int) -> Matrix:
        """The closed-form factors of a linear autoencoder, as large as makes scores of a set spread."""
        factors = autoencoder_factors(matrix, rank=self.rank, ridge=self.ridge, seed=seed)
        some = wiring.readers(own)[:SCORED] @ wiring.graph.read_out(factors)
        spread = np.std(some @ (wiring.near @ wiring.graph.items(factors)).T) if some.size else 0.0
        return (factors * np.sqrt(SPREAD / spread if spread > 0 else 1.0)).astype(np.float32)

    def _keep(self, embeddings: Matrix, likes: History, wiring: Wiring) -> None:
        """Sets what scoring needs: item and read-out embeddings, and the mean user's vector."""
        self._finals = wiring.graph.items(embeddings).astype(np.float32)
        self._read = wiring.graph.read_out(embeddings).astype(np.float32)
        readers = wiring.readers(likes)
        tastes = readers[np.diff(readers.indptr) > 0] @ self._read
        self._prior = tastes.mean(axis=0) if len(tastes) else np.zeros(self._read.shape[1], np.float32)

    def _tastes(self, likes: History) -> NDArray[np.float32]:
        """float32 [U, r]."""
        readers = read_weights(likes, self._scale, decay=self.decay)
        return np.where(np.diff(readers.indptr)[:, None] > 0, readers @ self._read, self._prior).astype(np.float32)


def _check(parameters: Mapping[str, Any]) -> None:
    """Raises ValueError where an argument is out of its range."""
    for name in ("rank", "neighbours", "dims", "negatives", "batch_size", "patience"):
        if parameters[name] < 1:
            raise ValueError(f"{name} {parameters[name]}: expected 1 or more")
    for name in ("ridge", "decay", "learning_rate"):
        if not parameters[name] > 0:
            raise ValueError(f"{name} {parameters[name]}: expected more than 0")
    for name in ("layers", "flattening", "penalty", "epochs", "untuned_epochs"):
        if parameters[name] < 0:
            raise ValueError(f"{name} {parameters[name]}: expected 0 or more")
    least, most = parameters["steps_per_epoch"]
    if not 1 <= least <= most:
        raise ValueError(f"steps_per_epoch {[least, most]}: expected the least and the most, each 1 or more")
