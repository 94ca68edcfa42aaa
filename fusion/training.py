"""Training on what users liked next: examples, candidates, epochs; and the linear two-tower model."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from tqdm import tqdm

from fusion.checkpoint import Checkpoint, Progress, identity
from fusion.data import History
from fusion.losses import LOSSES
from fusion.profiles import joined_profiles, mapped_profiles
from fusion.strategies.base import FitLog
from fusion.trainer import OPTIMIZERS, PRECISIONS, Network, Trainer, Weights
from fusion.weighting import EVEN, Weighting

HORIZON = 0.25
"""A training example's targets are the next so much of the user's likes after a random moment, at least one."""


@dataclass(frozen=True)
class Towers:
    """The weights. With r history columns (the last is the item's bias) and c_m content columns, D = r + sum of c_m.

    Attributes:
        user_kernel: float32 [P, D], profile → user vector.
        user_bias: float32 [D], the vector of a user without a like.
        item_history: float32 [N, r]; a row counts only where `known`.
        item_content: float32 [p_m, c_m] a modality.
        weighting: what the weighting of the modalities has to learn, by name.
    """

    user_kernel: NDArray[np.float32]
    user_bias: NDArray[np.float32]
    item_history: NDArray[np.float32]
    item_content: tuple[NDArray[np.float32], ...]
    weighting: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def named(self) -> dict[str, NDArray[np.float32]]:
        """All of them, each under a name of its own."""
        content = {f"item/{place}": kernel for place, kernel in enumerate(self.item_content)}
        towers = {"user": self.user_kernel, "user_bias": self.user_bias, "history": self.item_history}
        return {**towers, **content, **self.weighting}

    def with_named(self, weights: Weights) -> "Towers":
        """Others of the same shapes, from what `named` gives."""
        content = tuple(weights[f"item/{place}"] for place in range(len(self.item_content)))
        weighting = {name: weights[name] for name in self.weighting}
        return Towers(weights["user"], weights["user_bias"], weights["history"], content, weighting)


@dataclass(frozen=True)
class Items:
    """What is given of every item: its projected modalities, whether its likes speak, and what a like of it tells.

    Attributes:
        content: float32 [N, p_m] a modality, 0 where missing.
        known: bool [N].
        sources: float32 [N, d_s] a source of the user profile, with `source_masks` bool [N] each.
        decays: the recency decays under which the profile repeats the sources.
        content_masks: bool [N] a modality; all that the weighting needs to know of what is missing.
        weighting: how much each modality counts in an item.
    """

    content: tuple[NDArray[np.float32], ...]
    known: NDArray[np.bool_]
    sources: tuple[NDArray[np.float32], ...]
    source_masks: tuple[NDArray[np.bool_], ...]
    decays: tuple[float | None, ...]
    content_masks: tuple[NDArray[np.bool_], ...]
    weighting: Weighting = EVEN

    def user_vectors(self, likes: History, towers: Towers, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D], computed in bounded blocks of users."""
        return mapped_profiles(
            likes,
            self.sources,
            self.source_masks,
            decays=self.decays,
            kernel=towers.user_kernel,
            bias=towers.user_bias,
            users=users,
        )

    def item_vectors(self, towers: Towers) -> NDArray[np.float32]:
        """float32 [N, D], the history columns 0 where the item is not known."""
        network = LinearTowers(self)
        shown = network.masks.astype(np.float32)
        columns = network.columns(towers.named(), towers.item_history, self.content, shown, xp=np)
        return columns.astype(np.float32)


class LinearTowers:
    """A user linear in their profile, and an item that is its history beside its weighted linear content: what
    `fusion.trainer` trains."""

    compiled = True

    def __init__(self, items: Items) -> None:
        self._items = items
        self.masks = np.stack([items.known, *items.content_masks], axis=1)

    def profiles(self, likes: History) -> NDArray[np.float32]:
        items = self._items
        return joined_profiles(likes, items.sources, items.source_masks, decays=items.decays)

    def given(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """`rows` and the projected modalities, by place."""
        return {"rows": rows, **{str(place): x[rows] for place, x in enumerate(self._items.content)}}

    def vectors(
        self, weights: Mapping[str, Any], profiles: Any, given: Mapping[str, Any], shown: Any, *, xp: Any
    ) -> tuple[Any, Any]:
        history = xp.take(weights["history"], given["rows"], axis=0)
        content = [given[str(place)] for place in range(len(self._items.content))]
        users = xp.matmul(profiles, weights["user"]) + weights["user_bias"]
        return users, self.columns(weights, history, content, shown, xp=xp)

    def columns(self, weights: Mapping[str, Any], history: Any, content: Sequence[Any], shown: Any, *, xp: Any) -> Any:
        """[n, D]: an item's blocks side by side.

        Args:
            history: [n, r].
            content: [n, p_m] a modality.
            shown: [n, 1 + M], 1 or 0.
        """
        blocks = [xp.matmul(x, weights[f"item/{place}"]) for place, x in enumerate(content)]
        joined = xp.concatenate(blocks, axis=1)
        factors = self._items.weighting(weights, content, shown[:, 1:], xp=xp)
        if factors is not None:
            # one product for all blocks, so that the factors have one gradient (see `trainer.Network.compiled`)
            widths = [block.shape[1] for block in blocks]
            joined = joined * xp.matmul(factors, np.repeat(np.eye(len(widths), dtype=np.float32), widths, axis=1))
        return xp.concatenate([history * shown[:, :1], joined], axis=1)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: the most there may be.
        patience: epochs without a better validation figure before stopping.
        item_dropout: share of known items that a step shows by content alone (Volkovs et al. 2017, DropoutNet).
        items_per_step: the softmax runs over the whole catalog up to this size, beyond it over the batch's targets and
            so many items drawn uniformly.
        steps_per_epoch: the least and the most there may be; an epoch between them visits every user once.
        modality_dropout: share of items whose modality a step hides, drawn for each modality alone.
        optimizer: `adam` (Kingma and Ba 2015) or `sgd`, with Nesterov momentum.
        loss: `softmax` or `bpr`, see `fusion.losses`.
        precision: `auto`, or `float32` everywhere, see `fusion.trainer.compute_dtype`.
        checkpoint: folder in which every epoch leaves what is needed to go on from it; None for none.

    Raises:
        ValueError: a name is not known.
    """

    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    item_dropout: float
    items_per_step: int
    steps_per_epoch: tuple[int, int]
    modality_dropout: float = 0.0
    optimizer: str = "adam"
    loss: str = "softmax"
    precision: str = "auto"
    checkpoint: Path | None = None

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("loss", LOSSES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r}: expected one of {', '.join(known)}")


@dataclass(frozen=True)
class Example:
    """Users at a moment each; row i of the histories and of `targets` is of the i-th of them.

    Attributes:
        past: their likes before the moment.
        targets: CSR float32 [B, N], the likes that came next, every row summing to 1.
        later: everything from the moment on, likes or not.
    """

    past: History
    targets: sp.csr_matrix
    later: History


class Examples:
    """Draws training examples: a user's likes up to a random moment, and what followed."""

    def __init__(self, history: History, n_items: int) -> None:
        self._rows = history.where(np.lexsort((history.item, history.timestamp, history.user)))
        self._like_rows = np.nonzero(self._rows.weight > 0)[0]
        self._likes = self._rows.where(self._like_rows)
        self._count = np.bincount(self._likes.user, minlength=len(history.user_ids))
        self._first = np.cumsum(self._count) - self._count
        self._end = np.cumsum(np.bincount(history.user, minlength=len(history.user_ids)))
        self._n_items = n_items
        self.users = np.nonzero(self._count)[0]

    def draw(self, users: NDArray[np.int64], random: np.random.Generator) -> Example:
        """Each of `users` at a moment uniform over their likes, so that an example may start from nothing."""
        count = self._count[users]
        cut = random.integers(0, count)
        ahead = np.minimum(np.maximum(1, (HORIZON * count).astype(np.int64)), count - cut)
        given, owner = _ranges(self._first[users], cut)
        past = _of(users, owner, self._likes.where(given))
        moment = self._like_rows[self._first[users] + cut]
        after, owner = _ranges(moment, self._end[users] - moment)
        later = _of(users, owner, self._rows.where(after))
        wanted, row = _ranges(self._first[users] + cut, ahead)
        weight = self._likes.weight[wanted]
        share = weight / np.bincount(row, weight, minlength=len(users))[row]
        shape = (len(users), self._n_items)
        targets = sp.csr_matrix((share.astype(np.float32), (row, self._likes.item[wanted])), shape=shape)
        return Example(past, targets, later)


def _of(users: NDArray[np.int64], owner: NDArray[np.int64], rows: History) -> History:
    """`rows` as a history of `users` alone, row i belonging to the user at place `owner[i]`."""
    return replace(rows, user_ids=users.astype(np.str_), user=owner.astype(np.int32))


def _ranges(first: NDArray[np.int64], length: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers first_i, first_i + 1, ... of every range, one after another, and which range each is of."""
    owner = np.repeat(np.arange(len(first)), length)
    start = np.cumsum(length) - length
    return np.arange(len(owner)) - start[owner] + first[owner], owner


class Candidates:
    """Which items a step's softmax runs over, and the log of the chance that each was among them.

    A uniform sample beside the batch's own targets: an item is among them with probability
    p = 1 - (1 - sampled/N) e^(-expected count as a target). Adding -log p to its logit in the partition function alone
    keeps that sum unbiased (Horvitz and Thompson 1952; the logQ correction of Bengio and Senécal 2008).
    """

    def __init__(self, likes: History, n_items: int, *, recipe: Recipe) -> None:
        self._all = np.arange(n_items)
        self._sampled = min(n_items, recipe.items_per_step)
        users = max(1, len(np.unique(likes.user)))
        expected = np.bincount(likes.item, minlength=n_items) * HORIZON * min(1.0, recipe.batch_size / users)
        self._log_p = np.log(1 - (1 - self._sampled / n_items) * np.exp(-expected)).astype(np.float32)

    def draw(
        self, targets: sp.csr_matrix, random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """int64 [C] rows, ascending, and float32 [C] log-probabilities."""
        if self._sampled == len(self._all):
            return self._all, np.zeros(len(self._all), np.float32)
        drawn = random.choice(len(self._all), self._sampled, replace=False)
        rows = np.union1d(drawn, targets.indices)
        return rows, self._log_p[rows]


def train(
    start: Towers,
    items: Items,
    likes: History,
    *,
    recipe: Recipe,
    seed: int,
    validate: Callable[[Towers], float] | None,
    progress: bool,
) -> tuple[Towers, FitLog]:
    """Fits the towers; with `validate`, keeps the weights of the best epoch."""
    best, log = train_network(
        start.named(),
        LinearTowers(items),
        likes,
        recipe=recipe,
        seed=seed,
        validate=None if validate is None else lambda weights: validate(start.with_named(weights)),
        progress=progress,
    )
    return start.with_named(best), log


def train_network(
    start: Weights,
    network: Network,
    likes: History,
    *,
    recipe: Recipe,
    seed: int,
    validate: Callable[[Weights], float] | None,
    progress: bool,
) -> tuple[Weights, FitLog]:
    """Fits a network's weights; with `validate`, keeps those of the best epoch."""
    trainer = Trainer(start, network, recipe=recipe, seed=seed)
    random = np.random.default_rng(seed)
    examples = Examples(likes, len(network.masks))
    candidates = Candidates(likes, len(network.masks), recipe=recipe)

    def epoch() -> tuple[Weights, float]:
        losses = [
            trainer.step(examples.draw(users, random), candidates=candidates, random=random)
            for users in batches(examples.users, random, recipe=recipe)
        ]
        return trainer.variables.weights(), float(np.mean(losses))

    checkpoint = None
    if recipe.checkpoint:
        made_from = training_identity(start, likes, recipe=recipe, seed=seed)
        checkpoint = Checkpoint(recipe.checkpoint, identity=made_from, trained=trainer.variables, random=random)
    return best_epoch(epoch, start, recipe=recipe, validate=validate, progress=progress, checkpoint=checkpoint)


def training_identity(start: Weights, history: History, *, recipe: Recipe, seed: int) -> str:
    """What tells a training from others: its recipe, wherever it leaves its checkpoints, seed, history and start."""
    arrays = {f"history/{name}": array for name, array in vars(history).items()}
    return identity(replace(recipe, checkpoint=None), seed, arrays=arrays | {f"start/{n}": a for n, a in start.items()})


def best_epoch(
    run: Callable[[], tuple[Weights, float]],
    start: Weights,
    *,
    recipe: Recipe,
    validate: Callable[[Weights], float] | None,
    progress: bool,
    checkpoint: Checkpoint | None = None,
) -> tuple[Weights, FitLog]:
    """Runs epochs, each of which gives the weights after it and its loss, and keeps the weights that validate best,
    those at the start among them; without `validate`, the last. With a checkpoint, it goes on after the last epoch
    that it holds, to the same end as if it had never stopped."""
    began = time.monotonic()
    first = Progress(0, 0, 0.0, () if validate is None else (validate(start),))
    stands, best = (checkpoint.read(first) if checkpoint else None) or (first, start)
    began -= stands.seconds
    bar = tqdm(total=recipe.epochs, initial=stands.epoch, desc="train", unit="epoch", disable=not progress)
    with bar:
        while stands.epoch < recipe.epochs and not _waited(stands, recipe, validated=validate is not None):
            weights, loss = run()
            figures = stands.valid_ndcg if validate is None else (*stands.valid_ndcg, validate(weights))
            better = validate is None or figures[-1] > max(figures[:-1])
            epoch = stands.epoch + 1
            best, best_at = (weights, epoch) if better else (best, stands.best_epoch)
            stands = Progress(epoch, best_at, time.monotonic() - began, figures)
            if checkpoint:
                checkpoint.write(stands, best)
            bar.set_postfix({"loss": f"{loss:.4f}"} | ({"ndcg": f"{figures[-1]:.4f}"} if figures else {}))
            bar.update()
    return best, FitLog(stands.epoch, stands.best_epoch, time.monotonic() - began, list(stands.valid_ndcg[1:]))


def _waited(stands: Progress, recipe: Recipe, *, validated: bool) -> bool:
    """Whether so many epochs have passed without a better one that no more are run."""
    return validated and stands.epoch > 0 and stands.epoch - stands.best_epoch >= recipe.patience


def batches(users: NDArray[np.int64], random: np.random.Generator, *, recipe: Recipe) -> Iterator[NDArray[np.int64]]:
    """Users in random order, every one once before any twice."""
    least, most = recipe.steps_per_epoch
    steps = min(most, max(least, -(-len(users) // recipe.batch_size)))
    rounds = -(-steps * recipe.batch_size // len(users))
    shuffled = np.concatenate([random.permutation(users) for _ in range(rounds)])
    for step in range(steps):
        yield shuffled[step * recipe.batch_size : (step + 1) * recipe.batch_size]
