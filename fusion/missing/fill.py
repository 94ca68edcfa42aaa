"""The catalog that a model is given: prepared as configured, with missing vectors filled in."""

from fusion.data.catalog import Catalog, History
from fusion.data.reviews import Reviews
from fusion.data.standardise import prepare
from fusion.missing.registry import create
from schemas.config import Fusion, Missing


def fill(catalog: Catalog, known: History, how: Missing, *, seed: int) -> Catalog:
    """The catalog with missing vectors filled in by a policy fitted on it and on the known likes.

    Raises:
        ValueError: no policy has that name, or it takes no such parameter.
    """
    policy = create(how.policy, how.parameters)
    policy.fit(catalog, known.likes(), seed=seed)
    return policy.fill(catalog)


def model_input(catalog: Catalog, reviews: Reviews, known: History, how: Fusion) -> Catalog:
    """The model input for a known part of the history: `prepare`, then `fill`.

    Its masks mark the vectors that a model may use, filled in or observed; those of the catalog with its reviews mark
    the observed ones.
    """
    return fill(prepare(catalog, reviews, known, how), known, how.missing, seed=how.seed)
