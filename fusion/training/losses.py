"""Ranking losses of scores of what a user liked next against other items, as Keras losses.

Each takes `y_true` and `y_pred` [B, S + C] (`fusion.training.examples.LikesDataset`): the first S columns are liked
items, with label 1; the others candidates, with label 0, or -1 where the user has had the item, which leaves it out.
"""

import keras
from keras import ops

LIKED_PER_USER = 4
"""S: so many of what a user liked next are drawn for each example, with replacement."""


@keras.saving.register_keras_serializable("nightweave")
class PairwiseLogistic(keras.losses.Loss):
    """Bayesian personalised ranking (Rendle et al. 2009, BPR-Opt without its regulariser): -ln sigmoid(x_ui - x_uj), a
    mean over the liked items i and the candidates j that are not left out."""

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """[B]"""
        liked, others = y_pred[:, :LIKED_PER_USER, None], y_pred[:, None, LIKED_PER_USER:]
        kept = ops.cast(y_true[:, None, LIKED_PER_USER:] == 0, y_pred.dtype)
        margins = ops.softplus(others - liked) * kept  # [B, S, C]
        return ops.mean(ops.sum(margins, axis=2), axis=1) / ops.maximum(ops.sum(kept, axis=(1, 2)), 1.0)


@keras.saving.register_keras_serializable("nightweave")
class SampledSoftmax(keras.losses.Loss):
    """Cross-entropy of the softmax over a liked item and the candidates that are not left out, a mean over the liked
    items. With candidates drawn uniformly it is the sampled softmax of Jean et al. (2015)."""

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """[B]"""
        liked, others = y_pred[:, :LIKED_PER_USER], y_pred[:, LIKED_PER_USER:]
        total = ops.logsumexp(ops.where(y_true[:, LIKED_PER_USER:] == 0, others, -1e9), axis=1, keepdims=True)
        # -ln(e^x / (e^x + e^total)) = ln(1 + e^(total - x))
        return ops.mean(ops.softplus(total - liked), axis=1)


LOSSES = {"bpr": PairwiseLogistic, "softmax": SampledSoftmax}
