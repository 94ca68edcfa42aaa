"""When one model may take the place of another, told by what each is worth to the same users."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Verdict:
    """`difference`: candidate minus reference, mean over users; `standard_error`: of that mean."""

    ok: bool
    difference: float
    standard_error: float


def holds_its_own(candidate_per_user: NDArray[np.floating], reference_per_user: NDArray[np.floating]) -> Verdict:
    """Law 6: whether a model is not worse than a reference by more than one standard error of the paired difference.

    Both arrays hold one figure a user (higher is better), the same users in the same order. The standard error of a
    paired mean difference is s / sqrt(n) with s the sample deviation (n - 1) of the differences; it is 0 for one user.

    Raises:
        ValueError: the arrays differ in shape, are empty or hold NaN.
    """
    if candidate_per_user.shape != reference_per_user.shape or candidate_per_user.ndim != 1:
        raise ValueError(
            f"shapes {candidate_per_user.shape} and {reference_per_user.shape}: expected one figure a user in both"
        )
    difference = candidate_per_user.astype(np.float64) - reference_per_user.astype(np.float64)
    if not len(difference) or np.isnan(difference).any():
        raise ValueError(
            f"{len(difference)} users, {int(np.isnan(difference).sum())} without a figure: nothing to judge"
        )
    error = float(difference.std(ddof=1) / np.sqrt(len(difference))) if len(difference) > 1 else 0.0
    mean = float(difference.mean())
    return Verdict(ok=mean >= -error, difference=mean, standard_error=error)


def clearly_best(figures: Sequence[NDArray[np.float64]]) -> int:
    """Which of several float64 [n], a figure a user each, has the highest mean; 0 where that is not more than one
    standard error of the paired difference above the first (the one-standard-error rule, Breiman et al. 1984)."""
    best = int(np.argmax([per_user.mean() for per_user in figures]))
    difference = figures[best] - figures[0]
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.inf
    return best if difference.mean() > error else 0
