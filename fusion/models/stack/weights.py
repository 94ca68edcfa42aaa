"""The weights of a stack's scorers for one population, a Keras model."""

from collections.abc import Mapping

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
    import keras
    import tensorflow as tf
    from keras import ops

    strength = PRIOR_USERS / len(rankings)
    scores = keras.Input(rankings.scores.shape[1:], name="scores")
    present = keras.Input(rankings.present.shape[1:], name="present", dtype="bool")
    weigh = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_initializer=keras.initializers.Constant(PRIOR),
        kernel_constraint=keras.constraints.NonNeg(),
        kernel_regularizer=lambda weights: strength * ops.sum(ops.square(weights - PRIOR)),
    )
    # items that are not in a user's pool get no share of the softmax
    logits = ops.where(present, ops.squeeze(weigh(scores), axis=-1), -1e9)
    model = keras.Model([scores, present], logits)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        steps_per_execution=STEPS // 4,
    )
    target = rankings.relevant / rankings.relevant.sum(axis=1, keepdims=True)
    everything = ({"scores": rankings.scores, "present": rankings.present}, target.astype(np.float32))
    model.fit(tf.data.Dataset.from_tensors(everything).repeat(STEPS), shuffle=False, verbose=0)
    found = np.round(weigh.get_weights()[0][:, 0].astype(np.float64), DECIMALS)
    return dict(zip(rankings.scorers, found.tolist(), strict=True))
