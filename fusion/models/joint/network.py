"""The joint embedding as functions of its named weights: tokens of history and modalities, which attend to each other.

An item's vector is the sum of its present tokens' parts, z = sum over k of mask_k (t_k + s_k), where s_k is token k's
share of what attention puts out. u · z is then a sum over tokens, exactly 0 for those that the item lacks.

Every function takes `xp`, which is NumPy where a model is used and `keras.ops` where it is trained, so that both
compute the same by the same lines. Arrays are float32 unless said otherwise; d is the width, M the number of modalities
that play a part, S = 1 + M, H the heads. The weights:

| name | shape | of |
| --- | --- | --- |
| `history` | [K, d + 1] | q of every known item, and its bias |
| `embedding` | [S, d] | what says which token it is, history first |
| `<modality>/project` | [p, d] | mean vector → token |
| `query`, `key`, `value`, `out` | [d, d] | the attention |
| `user`, `user_bias` | [P, d], [d] | profile → user; the vector of a user without a like |

and where there are sequences those of `fusion.training.gru`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fusion.models.linear.modality_weights import masked_softmax
from fusion.training.gru import course

Arrays = Mapping[str, Any]


def tokens(weights: Arrays, history: Any, given: Arrays, modalities: tuple[str, ...], *, xp: Any) -> Any:
    """[n, S, d]: t of history and of each modality. What tokens of an absent modality hold means nothing.

    A modality's token is W x + e, and where the item has a sequence of it R h more, h being the GRU's last state.

    Args:
        history: [n, d], q.
        given: `<modality>` [n, p], and what `fusion.training.gru.steps` makes of their sequences.
    """
    found = [history]
    for modality in modalities:
        token = xp.matmul(given[modality], weights[f"{modality}/project"])
        if f"{modality}/values" in given:
            token = token + course(weights, modality, given, token, xp=xp)
        found.append(token)
    return xp.stack(found, axis=1) + weights["embedding"]


def normalised(x: Any, *, xp: Any) -> Any:
    """Layer normalisation (Ba, Kiros and Hinton 2016) over the last axis, without gain or bias."""
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + 1e-6)


def pooled_attention(query: Any, key: Any, shown: Any, *, xp: Any) -> Any:
    """[n, H, S]: how much each token is attended to, a mean over the tokens that are there; sums to 1 a head.

    Scaled dot-product attention softmax(Q Kᵀ / sqrt(d_k)) (Vaswani et al. 2017, eq. 1) among the present tokens.

    Args:
        query, key: [n, H, S, d / H].
        shown: [n, S], 1 or 0.
    """
    logits = xp.matmul(query, xp.swapaxes(key, 2, 3)) / float(np.sqrt(query.shape[3]))
    attention = masked_softmax(logits, shown[:, None, None, :], xp=xp)
    present = xp.expand_dims(xp.expand_dims(shown, 1), 2)
    count = xp.maximum(xp.sum(shown, axis=1), 1.0)
    return xp.matmul(present, attention)[:, :, 0] / count[:, None, None]


def shares(weights: Arrays, tokens: Any, shown: Any, *, heads: int, xp: Any) -> Any:
    """[n, S, d]: what each token has of the pooled output of multi-head self-attention (Vaswani et al. 2017, section
    3.2.2) over the normalised tokens: concat over heads h of (a_hk V_hk), times `out`, where a is `pooled_attention`.
    Their sum over k is the mean output of the present tokens.

    Args:
        tokens: [n, S, d].
        shown: [n, S], 1 or 0.
    """
    n, count, width = tokens.shape
    x = normalised(tokens, xp=xp)

    def split(name: str) -> Any:
        return xp.transpose(xp.reshape(xp.matmul(x, weights[name]), (n, count, heads, width // heads)), (0, 2, 1, 3))

    attended = pooled_attention(split("query"), split("key"), shown, xp=xp)
    values = xp.transpose(xp.expand_dims(attended, 3) * split("value"), (0, 2, 1, 3))
    return xp.matmul(xp.reshape(values, (n, count, width)), weights["out"])


def parts(weights: Arrays, tokens: Any, shown: Any, *, heads: int, xp: Any) -> Any:
    """[n, S, d]: t_k + s_k, exactly 0 where not shown."""
    return (tokens + shares(weights, tokens, shown, heads=heads, xp=xp)) * xp.expand_dims(shown, 2)


def item_vectors(parts: Any, bias: Any, *, xp: Any) -> Any:
    """[n, S d + 1]: the history part and the bias, then the parts of modalities, side by side.

    Args:
        parts: [n, S, d].
        bias: [n, 1], 0 where the history is not shown.
    """
    n, count, width = parts.shape
    return xp.concatenate([parts[:, 0], bias, xp.reshape(parts[:, 1:], (n, (count - 1) * width))], axis=1)


def users(weights: Arrays, profiles: Any, *, xp: Any) -> Any:
    """Profiles [n, P] → users [n, d]."""
    return xp.matmul(profiles, weights["user"]) + weights["user_bias"]


def user_vectors(users: Any, modalities: int, *, xp: Any) -> Any:
    """[n, S d + 1], what meets an item's vector: u for every part, and 1 for the bias."""
    return xp.concatenate([users, xp.ones_like(users[:, :1]), *[users] * modalities], axis=1)
