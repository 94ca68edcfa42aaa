"""The weights of a stack's scorers for one population, a Keras model."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from fusion.models.stack.questions import Rankings

PRIOR = 0.1
"""The weight of every scorer before anything was seen: of scores at unit spread, the equal-weight sum."""
PRIOR_USERS = 1.0
"""How many users the prior counts for."""
STEPS, LEARNING_RATE = 200, 0.05
DECIMALS = 4
"""Weights are rounded, so that they do not differ in their last bits from machine to machine."""


def fit_weights(rankings: Rankings | None) -> Mapping[str, float]:
    """Scorer → its weight, 0 or more; no scorer, which then has `PRIOR`, where there is nothing to learn from.

    Minimises the mean over users of the cross-entropy between what they liked and the softmax of the weighted sum of
    the scores over their pool (ListNet's top-one loss, Cao et al. 2007), plus `PRIOR_USERS` over the number of users
    times the squared distance of the weights from the prior. The loss is convex in the weights.
    """
    if rankings is None:
        return {}
    import tensorflow as tf

    n_scorers = len(rankings.scorers)
    model = _weight_model(n_scorers)
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    weigh = model.get_layer("weigh")
    weigh.set_weights([np.full((n_scorers, 1), PRIOR)])
    weigh.kernel_regularizer.strength.assign(PRIOR_USERS / len(rankings))
    target = rankings.relevant / rankings.relevant.sum(axis=1, keepdims=True)

    def of_any_length(
        scores: tf.Tensor, present: tf.Tensor, target: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        # data whose type does not tell their lengths goes through the graph of the fit before
        scores = tf.compat.v1.placeholder_with_default(scores, (None, None, n_scorers))
        present, target = (tf.compat.v1.placeholder_with_default(each, (None, None)) for each in (present, target))
        return {"scores": scores, "present": present}, target

    everything = tf.data.Dataset.from_tensors((rankings.scores, rankings.present, target.astype(np.float32)))
    model.fit(everything.map(of_any_length).cache().repeat(STEPS), shuffle=False, verbose=0)
    found = np.round(weigh.get_weights()[0][:, 0].astype(np.float64), DECIMALS)
    return dict(zip(rankings.scorers, found.tolist(), strict=True))


@cache
def _weight_model(n_scorers: int) -> Any:
    """The compiled model, scores float32 [Q, P, S] and `present` bool [Q, P] → logits float32 [Q, P], whose layer
    `weigh` has the weights. A process builds it once and fits it again and again: building takes longer than a fit."""
    import keras
    from keras import ops

    class NearPrior(keras.regularizers.Regularizer):
        """`strength` times the squared distance from the prior."""

        def __init__(self) -> None:
            self.strength = keras.Variable(0.0, trainable=False)

        def __call__(self, weights: Any) -> Any:
            return self.strength * ops.sum(ops.square(weights - PRIOR))

    scores = keras.Input((None, n_scorers), name="scores")
    present = keras.Input((None,), name="present", dtype="bool")
    weigh = keras.layers.Dense(
        1, use_bias=False, kernel_constraint=keras.constraints.NonNeg(), kernel_regularizer=NearPrior(), name="weigh"
    )
    # items that are not in a user's pool get no share of the softmax
    logits = ops.where(present, ops.squeeze(weigh(scores), axis=-1), -1e9)
    model = keras.Model([scores, present], logits)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        steps_per_execution=STEPS // 4,
    )
    model.optimizer.build(model.trainable_variables)
    return model
