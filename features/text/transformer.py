"""A Transformer encoder in Keras."""

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def transformer(*, width: int, depth: int, heads: int, inner: int, epsilon: float, precision: str) -> "keras.Model":
    """BERT's encoder (Devlin et al. 2019): attention and two dense layers, each added to its input and normalised.

    Args:
        width: numbers a token.
        depth: number of blocks.
        heads: attention heads; they divide `width`.
        inner: width of the feed-forward layer.
        epsilon: that of the layer normalisations.
        precision: Keras' dtype policy.

    Returns: a model. Inputs: embedded tokens float32 [n, length, width], and a mask bool [n, length], False for
        padding. Output: the mean of the last layer over the unmasked tokens, float32 [n, width]; NaN in a row without
        any. The layers with weights are called `norm` and, in each block, `attention_0`, `attention_norm_0`, `inner_0`,
        `outer_0`, `output_norm_0`.
    """
    import keras
    from keras import layers, ops

    gelu = partial(keras.activations.gelu, approximate=False)
    embedded = keras.Input((None, width))
    present = keras.Input((None,), dtype="bool")
    seen = ops.expand_dims(present, 1)
    x = layers.LayerNormalization(epsilon=epsilon, dtype=precision, name="norm")(embedded)
    for block in range(depth):
        attend = layers.MultiHeadAttention(heads, width // heads, dtype=precision, name=f"attention_{block}")
        x = layers.add([x, attend(x, x, attention_mask=seen)], dtype=precision)
        x = layers.LayerNormalization(epsilon=epsilon, dtype=precision, name=f"attention_norm_{block}")(x)
        between = layers.Dense(inner, gelu, dtype=precision, name=f"inner_{block}")(x)
        x = layers.add([x, layers.Dense(width, dtype=precision, name=f"outer_{block}")(between)], dtype=precision)
        x = layers.LayerNormalization(epsilon=epsilon, dtype=precision, name=f"output_norm_{block}")(x)
    pooled = layers.GlobalAveragePooling1D(dtype="float32")(x, mask=present)
    return keras.Model([embedded, present], pooled)
