"""Model-level fusion: a joint embedding of history and all modalities, whose tokens attend to each other.

An item has a token t_k for its history and for each modality. Its vector is the sum over its present tokens of
mask_k (t_k + s_k), where s_k is the part of token k in the pooled output of self-attention. u · z is then a sum over
tokens, exactly 0 for those that the item lacks.

The functions of the network take `xp`, NumPy for inference and `keras.ops` for training, so that one code computes
both. Arrays are float32 unless noted otherwise; d is the width, M the number of modalities with a projection, S = 1 + M
tokens, H the heads. The weights:

| name | shape | of |
| --- | --- | --- |
| `history` | [K, d + 1] | q of every known item, and its bias |
| `embedding` | [S, d] | added to a token by its kind, history first |
| `<modality>/project` | [p, d] | mean vector → token |
| `query`, `key`, `value`, `out` | [d, d] | the attention |
| `user`, `user_bias` | [P, d], [d] | profile → user; the vector of a user without a like |

and where there are sequences those of `fusion.training.layers`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution
from pydantic import PositiveFloat, PositiveInt, validate_call

from fusion.data.catalog import Catalog, History, Sequences, like_matrix, positions, rows_at
from fusion.data.history_features import UserProfilesMixin, scaled_factors
from fusion.models.base import FitContext, Space
from fusion.models.trained import Trained
from fusion.training import layers
from fusion.training.config import TrainingConfig
from fusion.training.layers import fit_scales, masked_softmax, scaled_sequences, sequence_features, sequence_inputs
from fusion.training.trainer import Weights
from schemas.table import MODALITIES

Arrays = Mapping[str, Any]

BLOCK = 2048
"""Number of items whose tokens are held at once."""
ITEM_RMS = 0.22
"""Root mean square of the initial q of known items that have no content: the scores of a user who is the mean of what
they liked then have about the spread of those of a trained model."""
PROFILE_RMS = 1 / 64
"""Root mean square of the factors in a user's profile."""
NOISE = 0.01
RIDGE = 0.1
"""Of the initial projections, as a share of the number of items that they are fitted on."""


class Joint(Trained):
    """score(u, i) = u · z_i + b_i, where z_i is the sum over the item's tokens of t_k + s_k: t_k is its history q_i or
    a projected modality, plus a learnt embedding of the token's kind, and s_k the token's part of the pooled output of
    multi-head self-attention among the item's tokens (see `attention_parts`). u is linear in the user's profile: the
    means, over the items they like, of closed-form history factors and projected modalities, once with equal weights
    and once with recent likes weighing more.

    What a token adds depends on the others, by the attention. The parts t_k + s_k stand side by side in an item's
    vector, and u is repeated for each: the sum over blocks is the score. Where the catalog has sequences of audio or
    video, a GRU over the sequence adds to the token. In training, the history and the modalities of random items are
    hidden (dropout), so that any subset of tokens learns to score alone.

    Args:
        width: of the joint space.
        heads: of the attention; they share the width.
        units: of the recurrent layers.
        dims: columns that a modality's vectors are projected onto before learning.
        ridge: of the closed-form factors.
        decay: likes after which a like weighs 1/e in the recent part of the profile.
        training: see `fusion.training.config.TrainingConfig`.

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
    defaults = TrainingConfig(loss="bpr", untuned_epochs=16, modality_dropout=0.1, items_per_step=2048)

    @validate_call
    def __init__(
        self,
        *,
        width: PositiveInt = 64,
        heads: PositiveInt = 4,
        units: PositiveInt = 32,
        dims: PositiveInt = 128,
        ridge: PositiveFloat = 800.0,
        decay: PositiveFloat = 10.0,
        **training: Any,
    ) -> None:
        super().__init__(locals())
        if width % heads:
            raise ValueError(f"width {width}: expected a multiple of heads, {heads}")
        self.width, self.heads, self.units, self.dims = width, heads, units, dims
        self.ridge, self.decay = ridge, decay

    @property
    def _widths(self) -> dict[str, int]:
        learnt = self._modalities
        return {"history": self.width + 1, **{m: self.width if m in learnt else 0 for m in MODALITIES}}

    def _initialise(self, context: FitContext) -> "tuple[JointItems, Weights]":
        likes, n_items = context.train.likes(), len(context.catalog)
        matrix = like_matrix(likes, n_items)
        factors = scaled_factors(matrix, rank=self.width, ridge=self.ridge, seed=context.seed, size=PROFILE_RMS)
        scales = fit_scales(context.catalog, self._modalities)
        self._learnt = {"factors": factors[matrix.getnnz(axis=0) > 0], **scales}
        items = self._network(context.catalog)
        return items, initial_weights(items, likes, width=self.width, units=self.units, seed=context.seed)

    def _network(self, catalog: Catalog) -> "JointItems":
        place = positions(self._item_ids, catalog.item_ids)
        return JointItems(
            content=self._content(catalog, self._modalities),
            sequences=scaled_sequences(catalog, self._learnt),
            masks=self._block_masks(catalog, self._modalities),
            place=place,
            factors=rows_at(self._learnt["factors"], place),
            decays=(None, self.decay),
            heads=self.heads,
        )


@dataclass(frozen=True)
class JointItems(UserProfilesMixin):
    """The network over the items of a catalog (`fusion.training.trainer.Network`).

    Attributes:
        content: modality → float32 [N, p_m], 0 where missing; only modalities with a projection.
        sequences: of some of these modalities, standardised.
        masks: bool [N, 1 + M], whether the item has each token, history first.
        place: int64 [N], the item's row in the weights' `history`; -1 where there is none.
        factors: float32 [N, r], closed-form factors of history, 0 where there are none.
        decays: the recency decays; a profile has the means of the factors and the content under each of them.
        heads: of the attention.
    """

    content: Mapping[str, NDArray[np.float32]]
    sequences: Mapping[str, Sequences]
    masks: NDArray[np.bool_]
    place: NDArray[np.int64]
    factors: NDArray[np.float32]
    decays: tuple[float | None, ...]
    heads: int

    compiled = False

    def __len__(self) -> int:
        return len(self.place)

    def item_inputs(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        content = {m: x[rows] for m, x in self.content.items()}
        return content | sequence_inputs(self.sequences, rows) | {"place": np.maximum(self.place[rows], 0)}

    def vectors(
        self,
        weights: Mapping[str, Any],
        profiles: Mapping[str, Any],
        inputs: Mapping[str, Any],
        shown: Any,
        *,
        xp: Any,
    ) -> tuple[Any, Any]:
        users = map_profiles(weights, profiles["means"], xp=xp)
        history = xp.take(weights["history"], inputs["place"], axis=0)
        return (
            repeat_user(users, len(self.content), xp=xp),
            self._columns(weights, history, inputs, shown, xp=xp),
        )

    def item_vectors(self, weights: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        width = weights["out"].shape[0]
        vectors = np.empty((len(self), width * self.masks.shape[1] + 1), np.float32)
        for start in range(0, len(self), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self)))
            history = rows_at(weights["history"], self.place[rows])
            shown = self.masks[rows].astype(np.float32)
            vectors[rows] = self._columns(weights, history, self.item_inputs(rows), shown, xp=np)
        return vectors

    def user_vectors(
        self, weights: Mapping[str, NDArray[np.float32]], likes: History, *, users: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        return repeat_user(super().user_vectors(weights, likes, users=users), len(self.content), xp=np)

    def _columns(
        self, weights: Mapping[str, Any], history: Any, inputs: Mapping[str, Any], shown: Any, *, xp: Any
    ) -> Any:
        """[n, S d + 1], given the history weights [n, d + 1], the item inputs and `shown` [n, S]."""
        tokens = item_tokens(weights, history[:, :-1], inputs, tuple(self.content), xp=xp)
        parts = token_parts(weights, tokens, shown, heads=self.heads, xp=xp)
        return join_parts(parts, history[:, -1:] * shown[:, :1], xp=xp)


def initial_weights(
    items: JointItems, likes: History, *, width: int, units: int, seed: int
) -> dict[str, NDArray[np.float32]]:
    """The weights before training; the same seed gives the same.

    The projections together are the ridge regression of the known items' factors on their content; q is its residual,
    the bias the centred log of the number of likes, and u the recent mean of the factors. The attention and the
    recurrent units start random (Glorot and Bengio 2010; recurrent kernels orthogonal, Saxe et al. 2014), with last
    layers near 0, so that both add next to nothing at first.
    """
    random = np.random.default_rng(seed)
    known = items.masks[:, 0]
    factors = np.zeros((int(known.sum()), width))
    factors[:, : items.factors.shape[1]] = items.factors[known] * (ITEM_RMS / PROFILE_RMS)
    weights: dict[str, NDArray[Any]] = {}
    # all modalities side by side [K, p], so that one regression shares the factors out among them
    content = np.hstack([np.zeros((len(factors), 0)), *(x[known] for x in items.content.values())])
    normal = content.T @ content + RIDGE * max(1, len(factors)) * np.eye(content.shape[1])
    solved = np.linalg.solve(normal, content.T @ factors)  # [p, d]
    ends = np.cumsum([x.shape[1] for x in items.content.values()])
    for (modality, x), end in zip(items.content.items(), ends, strict=True):
        weights[f"{modality}/project"] = solved[end - x.shape[1] : end]
        if modality in items.sequences:
            inputs = items.sequences[modality].values.shape[2]
            weights |= layers.initial_weights(modality, inputs, units=units, width=width, random=random)
    popularity = np.log1p(np.bincount(likes.item, minlength=len(items))[known])
    bias = popularity - (popularity.mean() if len(popularity) else 0.0)
    weights |= {
        "history": np.hstack([factors - content @ solved, bias[:, None]]),
        "embedding": random.normal(0, NOISE, (items.masks.shape[1], width)),
        "query": layers.glorot(random, width, width),
        "key": layers.glorot(random, width, width),
        "value": layers.glorot(random, width, width),
        "out": random.normal(0, NOISE / np.sqrt(width), (width, width)),
        "user": _user_kernel(items, width=width, random=random),
        "user_bias": np.zeros(width),
    }
    # an unknown item takes row 0 and its history is then masked: without a known item that row must exist all the same
    weights["history"] = weights["history"] if len(factors) else np.zeros((1, width + 1))
    return {name: array.astype(np.float32) for name, array in weights.items()}


def _user_kernel(items: JointItems, *, width: int, random: np.random.Generator) -> NDArray[np.float64]:
    """[P, d]: the identity on the recent factors, in the scale of q, and noise on all other columns of the profile."""
    columns = sum(source.shape[1] for source in items.sources)
    kernel = random.normal(0, NOISE, (len(items.decays), columns, width))
    rank = items.factors.shape[1]
    kernel[-1, :rank, :rank] += np.eye(rank) * (ITEM_RMS / PROFILE_RMS)
    return kernel.reshape(-1, width)


def item_tokens(weights: Arrays, history: Any, inputs: Arrays, modalities: tuple[str, ...], *, xp: Any) -> Any:
    """[n, S, d]: the tokens of history and of each modality. Those that the item lacks hold arbitrary numbers.

    A modality's token is W x + e, plus the sequence features R h where the item has a sequence of it.

    Args:
        history: [n, d], q.
        inputs: `<modality>` [n, p], and the arrays of `fusion.training.layers.sequence_inputs`.
    """
    tokens = [history]
    for modality in modalities:
        token = xp.matmul(inputs[modality], weights[f"{modality}/project"])
        if f"{modality}/values" in inputs:
            token = token + sequence_features(weights, modality, inputs, token, xp=xp)
        tokens.append(token)
    return xp.stack(tokens, axis=1) + weights["embedding"]


def token_parts(weights: Arrays, tokens: Any, shown: Any, *, heads: int, xp: Any) -> Any:
    """[n, S, d]: t_k + s_k, exactly 0 where not shown.

    Args:
        tokens: [n, S, d].
        shown: [n, S], 1 or 0.
    """
    return (tokens + attention_parts(weights, tokens, shown, heads=heads, xp=xp)) * xp.expand_dims(shown, 2)


def attention_parts(weights: Arrays, tokens: Any, shown: Any, *, heads: int, xp: Any) -> Any:
    """[n, S, d]: each token's part of the pooled output of multi-head self-attention (Vaswani et al. 2017, section
    3.2.2) over the normalised tokens: concat over heads h of (a_hk V_hk), times `out`, where a is `pooled_attention`.
    Their sum over k is the mean output of the present tokens.

    Args:
        tokens: [n, S, d].
        shown: [n, S], 1 or 0.
    """
    n, count, width = tokens.shape
    x = normalised(tokens, xp=xp)

    def split(name: str) -> Any:
        """[n, H, S, d / H]"""
        return xp.transpose(xp.reshape(xp.matmul(x, weights[name]), (n, count, heads, width // heads)), (0, 2, 1, 3))

    attended = pooled_attention(split("query"), split("key"), shown, xp=xp)
    # [n, H, S, 1] * [n, H, S, d / H], then the heads of a token side by side again: [n, S, H, d / H] → [n, S, d]
    values = xp.transpose(xp.expand_dims(attended, 3) * split("value"), (0, 2, 1, 3))
    return xp.matmul(xp.reshape(values, (n, count, width)), weights["out"])


def pooled_attention(query: Any, key: Any, shown: Any, *, xp: Any) -> Any:
    """[n, H, S]: the attention that each token receives, a mean over the present tokens; sums to 1 for each head.

    Scaled dot-product attention softmax(Q Kᵀ / sqrt(d_k)) (Vaswani et al. 2017, eq. 1) among the present tokens.

    Args:
        query, key: [n, H, S, d / H].
        shown: [n, S], 1 or 0.
    """
    logits = xp.matmul(query, xp.swapaxes(key, 2, 3)) / float(np.sqrt(query.shape[3]))
    attention = masked_softmax(logits, shown[:, None, None, :], xp=xp)  # [n, H, S queries, S keys]
    present = xp.expand_dims(xp.expand_dims(shown, 1), 2)
    count = xp.maximum(xp.sum(shown, axis=1), 1.0)
    # [n, 1, 1, S] @ [n, H, S, S] sums over the present queries
    return xp.matmul(present, attention)[:, :, 0] / count[:, None, None]


def normalised(x: Any, *, xp: Any) -> Any:
    """Layer normalisation (Ba, Kiros and Hinton 2016) over the last axis, without gain or bias."""
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + 1e-6)


def join_parts(parts: Any, bias: Any, *, xp: Any) -> Any:
    """[n, S d + 1]: an item's vector: the history part and the bias, then the parts of modalities, side by side.

    Args:
        parts: [n, S, d].
        bias: [n, 1], 0 where the history is not shown.
    """
    n, count, width = parts.shape
    return xp.concatenate([parts[:, 0], bias, xp.reshape(parts[:, 1:], (n, (count - 1) * width))], axis=1)


def map_profiles(weights: Arrays, profiles: Any, *, xp: Any) -> Any:
    """Profiles [n, P] → users [n, d]."""
    return xp.matmul(profiles, weights["user"]) + weights["user_bias"]


def repeat_user(users: Any, modalities: int, *, xp: Any) -> Any:
    """[n, S d + 1]: a user's vector, in the layout of `join_parts`: u for every part, and 1 for the bias."""
    return xp.concatenate([users, xp.ones_like(users[:, :1]), *[users] * modalities], axis=1)
