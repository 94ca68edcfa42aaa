"""Model-level fusion: a joint embedding of history and all modalities, whose tokens attend to each other."""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution
from pydantic import PositiveFloat, PositiveInt, validate_call

from fusion.models.base import FitContext, Space
from fusion.models.trained import FACTOR_RMS, Trained
from fusion.training.config import TrainingConfig
from fusion.training.layers import NOISE, HideBlocks, SequenceReader, masked_softmax
from fusion.training.ranker import LAST, STEPS, Ranker
from schemas.table import MODALITIES

ITEM_RMS = 0.22
"""Root mean square of the initial q of known items that have no content: the scores of a user who is the mean of what
they liked then have about the spread of those of a trained model."""
RIDGE = 0.1
"""Of the initial projections, as a share of the number of items that they are fitted on."""


@keras.saving.register_keras_serializable("nightweave")
class SharedAttention(layers.Layer):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2.2) among an item's S tokens, whose pooled output is
    shared out among them: the part of token k is concat over heads h of (a_hk V_hk), times `out`, where a_hk is the
    attention that the token receives, a mean over the present tokens. The parts sum to the mean output.

    Args:
        heads: they share the width d.
        width: d.
    """

    def __init__(self, heads: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.width = heads, width
        last_layer = keras.initializers.RandomNormal(stddev=NOISE / width**0.5)
        # as scale-free as layer normalisation, in two uses of its input instead of four (see `Ranker`)
        self.norm = layers.RMSNormalization(dtype=self.dtype_policy)
        self.query_key_value = layers.Dense(3 * width, use_bias=False, dtype=self.dtype_policy)
        self.out = layers.Dense(width, use_bias=False, kernel_initializer=last_layer, dtype=self.dtype_policy)

    def call(self, tokens: Any, shown: Any) -> Any:
        """[n, S, d], exactly 0 for a token that is not shown.

        Args:
            tokens: [n, S, d], exactly 0 where not shown.
            shown: [n, S], 1 or 0.
        """
        each = self.width // self.heads
        query, key, value = (
            ops.reshape(part, (-1, tokens.shape[1], self.heads, each))
            for part in ops.split(self.query_key_value(self.norm(tokens)), 3, axis=2)
        )
        logits = ops.einsum("nqhe,nkhe->nhqk", query, key) / each**0.5
        attention = masked_softmax(logits, shown[:, None, None, :])
        present = shown / ops.maximum(ops.sum(shown, axis=1, keepdims=True), 1.0)
        received = ops.einsum("nq,nhqk->nkh", present, attention)
        return self.out(ops.reshape(received[..., None] * value, (-1, tokens.shape[1], self.width)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads, "width": self.width}


@keras.saving.register_keras_serializable("nightweave")
class JointRanker(Ranker):
    """Items whose tokens, one for history and one for each modality, stand side by side: [t_0 + s_0, b, t_1 + s_1,
    ...]. A user's u is repeated for each, so that a score is u · sum over tokens of (t_k + s_k), plus b.

    Args:
        width: d, of a token.
        heads: of the attention.
        units: of the recurrent layers.
        known, content, steps, profile, hidden: see `Ranker`.
    """

    def __init__(
        self,
        *,
        known: int,
        content: Mapping[str, int],
        steps: Mapping[str, int],
        profile: int,
        hidden: list[float],
        width: int,
        heads: int,
        units: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
        policy = self.dtype_policy
        self.embedding = layers.Embedding(known + 1, width + 1, dtype=policy)  # q and b; row 0 for all not known
        self.project = [layers.Dense(width, use_bias=False, name=m, dtype=policy) for m in content]
        self.read = {m: SequenceReader(units, width, dtype=policy) for m in steps}
        kinds = keras.initializers.RandomNormal(stddev=NOISE)
        self.kinds = self.add_weight(shape=(1 + len(content), width), initializer=kinds, name="kinds")
        self.attention = SharedAttention(heads, width, dtype=policy)
        self.user = layers.Dense(width, dtype=policy)
        self.hide = HideBlocks(hidden, dtype=policy)
        self.make_weights()

    def users(self, profiles: Any) -> Any:
        user = self.user(profiles)
        return ops.concatenate([user, ops.ones_like(user[:, :1]), ops.tile(user, (1, len(self.project)))], axis=1)

    def items(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        shown = self.hide(inputs["shown"], training=training)
        present = shown[:, :, None]
        history = self.embedding(inputs["known"])
        tokens = ops.stack([history[:, :-1], *(self.token(layer, inputs) for layer in self.project)], axis=1)
        tokens = (tokens + ops.cast(self.kinds, tokens.dtype)) * present
        parts = tokens + self.attention(tokens * 1.0, shown)  # a copy, whose two gradients are one of `tokens`
        bias = history[:, -1:] * shown[:, :1]
        rest = ops.reshape(parts[:, 1:], (ops.shape(parts)[0], len(self.project) * parts.shape[2]))
        return ops.concatenate([parts[:, 0], bias, rest], axis=1)

    def token(self, layer: layers.Layer, inputs: Mapping[str, Any]) -> Any:
        """[n, d]: a modality's vector projected, and what is read from its sequence where the item has one."""
        token = layer(inputs[layer.name])
        if layer.name in self.read:
            token = token + self.read[layer.name](inputs[layer.name + STEPS], inputs[layer.name + LAST])
        return token


class Joint(Trained):
    """score(u, i) = u · z_i + b_i, where z_i is the sum over the item's tokens of t_k + s_k: t_k is its history q_i or
    a projected modality, plus a learnt embedding of the token's kind, and s_k the token's part of the pooled output of
    self-attention among the item's tokens (`SharedAttention`). u is linear in the user's profile.

    What a token adds depends on the others, by the attention; the sum over blocks is the score all the same. Where the
    catalog has sequences of audio or video, a GRU over the sequence adds to the token. In training, the history and the
    modalities of random items are hidden, so that any subset of tokens learns to score alone.

    Before training the projections together are the ridge regression of the known items' closed-form factors on their
    content; q is its residual, b the centred log of the number of likes, and u the recent mean of the factors. The
    attention and what is read from sequences add next to nothing.

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
        self.rank, self.heads, self.units, self.dims, self.ridge, self.decay = width, heads, units, dims, ridge, decay

    @property
    def _widths(self) -> dict[str, int]:
        learnt = self._modalities
        return {"history": self.rank, "popularity": 1, **{m: self.rank if m in learnt else 0 for m in MODALITIES}}

    def _made(self, context: FitContext, arrays: Mapping[str, NDArray[Any]], *, dtype: str) -> JointRanker:
        factors, known, width = self._learnt["factors"], arrays["known"] > 0, self.rank
        shape = self._shape(arrays)
        network = JointRanker(width=width, heads=self.heads, units=self.units, dtype=dtype, **shape)
        wanted = np.pad(factors * (ITEM_RMS / FACTOR_RMS), ((0, 0), (0, width - factors.shape[1])))
        kernels, residual = regression([arrays[m][known] for m in shape["content"]], wanted)
        for layer, kernel in zip(network.project, kernels, strict=True):
            layer.set_weights([kernel])
        history = np.hstack([residual, self._popularity(context)])
        network.embedding.set_weights([np.pad(history, ((1, 0), (0, 0)))])
        network.user.set_weights(recent_factors(factors.shape[1], shape["profile"], width, seed=context.seed))
        return network


def regression(
    content: list[NDArray[Any]], wanted: NDArray[np.float64]
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """A kernel [p, d] for each part of the content [K, p] of known items: together the ridge regression of `wanted`
    [K, d] on all of them; and its residual [K, d]."""
    features = np.hstack([np.zeros((len(wanted), 0)), *content])
    normal = features.T @ features + RIDGE * max(1, len(wanted)) * np.eye(features.shape[1])
    solved = np.linalg.solve(normal, features.T @ wanted)
    kernels = np.split(solved, np.cumsum([part.shape[1] for part in content])[:-1]) if content else []
    return kernels, wanted - features @ solved


def recent_factors(rank: int, profile: int, width: int, *, seed: int) -> list[NDArray[np.float64]]:
    """The initial kernel [P, d] and bias [d] from a profile to u: the recent mean of the factors, in the scale of q,
    and noise."""
    kernel = np.random.default_rng(seed).normal(0, NOISE, (profile, width))
    kernel[profile // 2 + np.arange(rank), np.arange(rank)] += ITEM_RMS / FACTOR_RMS
    return [kernel, np.zeros(width)]
