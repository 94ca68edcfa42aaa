"""What a ranking model is trained by. Every function takes `xp`, which is NumPy or `keras.ops`.

Both losses compare what a user liked next with C candidates, item j of which was drawn with probability p_j: dividing
by p_j keeps their sums those over the whole catalog (Horvitz and Thompson 1952).
"""

from typing import Any

LOSSES = ("softmax", "bpr")


def softmax(logits: Any, targets: Any, log_p: Any, *, xp: Any) -> Any:
    """Softmax cross-entropy with the logQ correction (Bengio and Senécal 2008), a mean over users [].

    Args:
        logits: [B, C].
        targets: [B, C], summing to 1 a row.
        log_p: [C].
    """
    corrected = logits - log_p
    top = xp.max(corrected, axis=1, keepdims=True)
    partition = xp.log(xp.sum(xp.exp(corrected - top), axis=1)) + top[:, 0]
    return xp.mean(partition - xp.sum(targets * logits, axis=1))


def bpr(logits: Any, liked: Any, shares: Any, *, xp: Any) -> Any:
    """Bayesian personalised ranking (Rendle et al. 2009, BPR-Opt without its regulariser): -ln sigmoid(x_ui - x_uj), a
    mean over users u and their S liked items i [], in expectation over items j drawn by the user's `shares`.

    Args:
        logits: [B, C].
        liked: int [B, S], places among the candidates.
        shares: [B, C], see `negative_shares`.
    """
    margins = xp.expand_dims(xp.take_along_axis(logits, liked, axis=1), 2) - xp.expand_dims(logits, 1)
    return xp.mean(xp.sum(xp.logaddexp(-margins, 0.0) * xp.expand_dims(shares, 1), axis=2))


def negative_shares(had: Any, log_p: Any, *, xp: Any) -> Any:
    """[B, C]: 1 / p_j for items that the user has not had, made to sum to 1 a row (all 0 where nothing is left), so
    that popular items, which are candidates more often, are negatives no more often than others.

    Args:
        had: [B, C], above 0 where the item was liked before or is a target.
        log_p: [C].
    """
    weights = xp.where(had > 0, 0.0, xp.exp(-log_p))
    total = xp.sum(weights, axis=1, keepdims=True)
    return weights / xp.where(total > 0, total, 1.0)
