"""The multi-task network as functions of its named weights: a shared trunk, a head for each task, and their losses.

An item's trunk is the sum of its parts, z = q + b + sum over modalities of mask_m φ_m(x_m): exactly W F + b over the
concatenation F of the parts' last hidden layers. A user is a linear map of the mean parts of what they like.

Every function takes `xp`, NumPy for inference and `keras.ops` for training, so that one code computes both. Arrays are
float32 unless noted otherwise; d is the width of the trunk, M the number of modalities with a projection. The weights:

| name | shape | of |
| --- | --- | --- |
| `history` | [K, d + 1] | q of every known item, and its bias |
| `<modality>/hidden`, `/hidden_bias`, `/out`, `/out_bias` | [p, h], [h], [h, d], [d] | φ_m |
| `user`, `user_bias` | [P, d], [d] | profile → user; the vector of a user without a like |
| `offset` | [] | the interaction head: sigmoid(u · z + bias + offset) |
| `rating`, `rating_bias` | [3 d], [] | the rating head |
| `category`, `category_bias` | [d, C], [C] | the category head |
| `uncertainty` | [3] | s of each of `TASKS` |

and where there are sequences those of `fusion.training.layers`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History, Sequences, rows_at
from fusion.data.history_features import mapped_profiles
from fusion.training.layers import sequence_features, sequence_inputs
from fusion.training.trainer import Weights

BLOCK = 2048
"""Number of items whose sequences are held at once."""
TASKS = ("interaction", "rating", "category")

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class MultitaskItems:
    """The network over the items of a catalog.

    Attributes:
        content: modality → float32 [N, p_m], 0 where missing; only modalities with a projection.
        sequences: of some of these modalities, standardised.
        masks: bool [N, 1 + M], whether the item has each part, history first.
        place: int64 [N], the item's row in the weights' `history`; -1 where there is none.
        labels: int64 [N], the item's category; -1 where it has none to learn from.
        categories: number of categories.
        decays: the recency decays; a profile has the means of the parts under each of them.
    """

    content: Mapping[str, NDArray[np.float32]]
    sequences: Mapping[str, Sequences]
    masks: NDArray[np.bool_]
    place: NDArray[np.int64]
    labels: NDArray[np.int64]
    categories: int
    decays: tuple[float | None, ...]

    def __len__(self) -> int:
        return len(self.place)

    def one_hot(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(rows), categories], 1 at the label of each row that has one."""
        return (self.labels[rows, None] == np.arange(self.categories)).astype(np.float32)

    def item_inputs(self, rows: NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        """The inputs of `item_parts`, as in `fusion.training.trainer.Network`."""
        content = {m: x[rows] for m, x in self.content.items()}
        return content | sequence_inputs(self.sequences, rows) | {"place": np.maximum(self.place[rows], 0)}

    def parts(self, weights: Weights) -> list[NDArray[np.float32]]:
        """The `item_parts` of every item, computed in bounded blocks of items."""
        blocks = []
        for start in range(0, max(1, len(self)), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self)))
            history, shown = rows_at(weights["history"], self.place[rows]), self.masks[rows].astype(np.float32)
            blocks.append(item_parts(weights, history, self.item_inputs(rows), list(self.content), shown, xp=np))
        return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]

    def users(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), d], u."""
        return mapped_profiles(
            likes,
            without_bias(self.parts(weights)),
            list(self.masks.T),
            decays=self.decays,
            kernel=weights["user"],
            bias=weights["user_bias"],
            users=users,
        )

    def item_vectors(self, weights: Weights) -> NDArray[np.float32]:
        """float32 [N, D], the parts side by side."""
        return np.hstack(self.parts(weights))

    def user_vectors(self, weights: Weights, likes: History, *, users: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(users), D], in the layout of an item's vector: u for every part, and 1 for the bias."""
        found = self.users(weights, likes, users=users)
        return np.hstack([found, np.ones((len(found), 1), np.float32), *[found] * len(self.content)])


def item_parts(
    weights: Arrays, history: Any, inputs: Arrays, modalities: Sequence[str], shown: Any, *, xp: Any
) -> list[Any]:
    """An item's parts: [n, d + 1] of history (q and the bias) and [n, d] a modality, exactly 0 where not shown.

    Args:
        history: [n, d + 1].
        inputs: `<modality>` [n, p_m], and the arrays of `fusion.training.layers.sequence_inputs`.
        shown: [n, 1 + M], 1 or 0 for each part, history first.
    """
    towers = (tower(weights, modality, inputs, xp=xp) for modality in modalities)
    return [part * shown[:, place : place + 1] for place, part in enumerate((history, *towers))]


def tower(weights: Arrays, modality: str, inputs: Arrays, *, xp: Any) -> Any:
    """φ_m: [n, p] → [n, d], one hidden layer of rectified linear units; plus the sequence features of the items that
    have a sequence."""
    hidden = xp.matmul(inputs[modality], weights[f"{modality}/hidden"]) + weights[f"{modality}/hidden_bias"]
    out = xp.matmul(xp.maximum(hidden, 0), weights[f"{modality}/out"]) + weights[f"{modality}/out_bias"]
    if f"{modality}/values" in inputs:
        out = out + sequence_features(weights, modality, inputs, out, xp=xp)
    return out


def without_bias(items: Sequence[Any]) -> list[Any]:
    """The parts of items, [n, d] each."""
    history, *content = items
    return [history[:, :-1], *content]


def map_profiles(weights: Arrays, profiles: Any, *, xp: Any) -> Any:
    """Profiles [n, P] → users [n, d]."""
    return xp.matmul(profiles, weights["user"]) + weights["user_bias"]


def interaction(weights: Arrays, user: Any, items: Sequence[Any], *, xp: Any) -> Any:
    """Users [B, d] and the parts of R items → logits [B, R] of a like."""
    trunk = sum(without_bias(items))
    return xp.matmul(user, xp.transpose(trunk)) + items[0][:, -1] + weights["offset"]


def rating(weights: Arrays, user: Any, trunk: Any, *, xp: Any) -> Any:
    """Users and items in pairs, both [n, d] → standardised ratings [n]."""
    return xp.matmul(xp.concatenate([user * trunk, user, trunk], axis=1), weights["rating"]) + weights["rating_bias"]


def category(weights: Arrays, items: Sequence[Any], *, xp: Any) -> Any:
    """The parts of items → logits [n, C], from the content parts alone."""
    return xp.matmul(sum(items[1:]), weights["category"]) + weights["category_bias"]


def interaction_loss(logits: Any, targets: Any, negatives: Any, *, xp: Any) -> Any:
    """Binary cross-entropy, a mean over users [].

    Args:
        logits: [B, R].
        targets: [B, R], the weight of each positive.
        negatives: [B, R], the weight of each negative.
    """
    softplus = xp.logaddexp(logits, 0.0)
    return xp.mean(xp.sum(targets * (softplus - logits) + negatives * softplus, axis=1))


def rating_loss(predicted: Any, rated: Any, *, xp: Any) -> Any:
    """Mean squared error [] of ratings [n]; 0 where n is 0."""
    return xp.sum((predicted - rated) ** 2) / xp.maximum(xp.sum(xp.ones_like(rated)), 1.0)


def category_loss(logits: Any, labels: Any, *, xp: Any) -> Any:
    """Softmax cross-entropy [], a mean over the rows that have a label.

    Args:
        logits: [n, C].
        labels: [n, C], 1 at a row's category; all 0 where it has none.
    """
    largest = xp.max(logits, axis=1, keepdims=True)
    log_partition = xp.log(xp.sum(xp.exp(logits - largest), axis=1, keepdims=True))
    return -xp.sum(labels * (logits - largest - log_partition)) / xp.maximum(xp.sum(labels), 1.0)


def total_loss(losses: Any, uncertainty: Any, present: Any, *, xp: Any) -> Any:
    """sum over the present tasks of exp(-s_t) L_t + s_t [] (Kendall, Gal and Cipolla 2018, arXiv:1705.07115): least at
    s_t = log L_t, so that every task's weight tends to 1 / L_t.

    Args:
        losses, uncertainty: [T].
        present: [T], 1 or 0; a task without data adds nothing and its s stays as it is.
    """
    return xp.sum(present * (xp.exp(-uncertainty) * losses + uncertainty))
