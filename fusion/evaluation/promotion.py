"""Promotion: a non-inferiority test of a model against references, on the figures of the same users."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm


@dataclass(frozen=True)
class Verdict:
    """Whether a model may serve, and why.

    Attributes:
        may_serve: the decision.
        reasons: one clause for each reference compared with, or why there was no comparison.
        refused: names of the populations in which it is worse than a reference, or has no figure.
        judged: whether there were likes of enough users to tell anything.
        close: in some population it is below a reference, by less than two standard errors.
    """

    may_serve: bool
    reasons: tuple[str, ...]
    refused: tuple[str, ...] = ()
    judged: bool = False
    close: bool = False

    def __str__(self) -> str:
        return "; ".join(self.reasons)


@dataclass(frozen=True)
class PairedMean:
    """Mean over users of a candidate's figure minus a reference's, and the standard error of that mean."""

    difference: float
    standard_error: float

    def not_worse(self, errors: float = 1.0) -> bool:
        """The candidate is not worse by more than so many standard errors (law 6)."""
        return self.difference >= -errors * self.standard_error

    @property
    def slightly_worse(self) -> bool:
        """The candidate is worse, by no more than two standard errors."""
        return self.difference < 0 and self.not_worse(2)

    @property
    def clearly_better(self) -> bool:
        """The candidate is better by more than one standard error (the one-standard-error rule, Breiman et al.
        1984)."""
        return self.difference > self.standard_error


def paired_mean(candidate_per_user: NDArray[np.floating], reference_per_user: NDArray[np.floating]) -> PairedMean:
    """Compares two models on float [n], one figure a user each (higher is better), the same users in the same order.

    The standard error of a paired mean difference is s / sqrt(n) with s the sample deviation (n - 1) of the
    differences; it is 0 for one user.

    Raises:
        ValueError: the arrays differ in shape, are empty or contain NaN.
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
    return PairedMean(float(difference.mean()), error)


@dataclass(frozen=True)
class Compared:
    """One clause of a verdict: a population's figures of the candidate beside those of a reference.

    Attributes:
        population, reference: their names.
        figure: such as `ndcg@20`.
        difference, standard_error: as of `PairedMean`; a clause has four decimals of each.
        holds: whether the candidate holds its own.
    """

    population: str
    reference: str
    figure: str
    difference: float
    standard_error: float
    holds: bool

    def __str__(self) -> str:
        return (
            f"{self.population}: {'holds its own against' if self.holds else 'WORSE than'} {self.reference} "
            f"({self.figure} {self.difference:+.4f} ± {self.standard_error:.4f})"
        )


_COMPARISON = re.compile(
    r"(?:with the weights of \S+, )?(?P<population>.+): (?P<word>holds its own against|WORSE than) "
    r"(?P<reference>\S+) \((?P<figure>\S+) (?P<difference>[+-][\d.]+) ± (?P<error>[\d.]+)\)"
)


def comparisons(verdict: str) -> list[Compared]:
    """The comparisons that the words of a `Verdict` tell of, one a population and reference; other clauses are left
    out. Where a population was judged again with earlier weights, the later judgement counts.

    >>> comparisons("a: WORSE than b (ndcg@20 -0.1000 ± 0.0200); a model serves")
    [Compared(population='a', reference='b', figure='ndcg@20', difference=-0.1, standard_error=0.02, holds=False)]
    """
    found = {}
    for clause in filter(None, map(_COMPARISON.fullmatch, verdict.split("; "))):
        name, word, reference, figure, difference, error = clause.groups()
        found[name, reference] = Compared(
            name, reference, figure, float(difference), float(error), holds=word != "WORSE than"
        )
    return list(found.values())


MIN_USERS = 10
"""With figures of fewer users nothing is known of a population."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A population on whose held-out likes a model is judged.

    Attributes:
        name: for the reasons, and unique.
        candidate: float [n], the model's figure of each user; None where it has none.
        references: name → float [n], the figure of each of the same users; the model may not be worse than any.
        likes: number of held-out likes.
    """

    name: str
    candidate: NDArray[np.floating] | None
    references: Mapping[str, NDArray[np.floating]]
    likes: int


def judge(populations: Sequence[Judged], *, figure: str, over_a_judged: bool = False) -> Verdict:
    """Law 6: a model may serve if on no population's held-out likes it is worse than a reference.

    Worse is lower by more standard errors than an equally good model would be by chance on any of the populations once
    in six times: one with a single population, 1.6 with three (Bonferroni's correction).

    A population with figures of fewer than `MIN_USERS` users is not judged. With held-out likes, a model without a
    figure may not serve; with none anywhere, or of too few users, it may serve untested.

    Args:
        figure: name of the figure, for the reasons.
        over_a_judged: it would take the place of a model that was judged; then it may not serve untested.
    """
    asked = [population for population in populations if population.likes]
    known = [p for p in asked if p.candidate is not None and len(p.candidate) >= MIN_USERS]
    errors = float(norm.isf(norm.sf(1) / max(1, len(known))))
    refused, reasons, close = [], [], False
    for population in asked:
        if population.candidate is None:
            refused.append(population.name)
            reasons.append(f"{population.name}: no {figure} to judge by, though {population.likes} likes were held out")
        elif population not in known:
            reasons.append(f"{population.name}: not judged, {len(population.candidate)} users of at least {MIN_USERS}")
        else:
            means = {name: paired_mean(population.candidate, each) for name, each in population.references.items()}
            compared = [
                Compared(population.name, name, figure, mean.difference, mean.standard_error, mean.not_worse(errors))
                for name, mean in means.items()
            ]
            close |= any(mean.slightly_worse for mean in means.values())
            reasons += map(str, compared)
            if not all(each.holds for each in compared):
                refused.append(population.name)
    may_serve = not refused
    if over_a_judged and not known:
        may_serve = False
        reasons.append("too few held-out likes to tell anything, and the last promoted model was judged: it goes on")
    reasons = reasons or ["no held-out likes to judge by"]
    return Verdict(may_serve, tuple(reasons), refused=tuple(refused), judged=bool(known), close=close)


def clearly_best(figures: Sequence[NDArray[np.float64]]) -> int:
    """Index of the array, float64 [n] with one figure a user, that has the highest mean; 0 unless that one is clearly
    better than the first (`PairedMean.clearly_better`), or with a single user."""
    best = int(np.argmax([per_user.mean() for per_user in figures]))
    return best if len(figures[0]) > 1 and paired_mean(figures[best], figures[0]).clearly_better else 0
