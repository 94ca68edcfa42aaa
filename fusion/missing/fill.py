"""What a model is given of the items: their vectors as configured, and what they lack filled in."""

from fusion.data.catalog import Catalog, History
from fusion.data.reviews import Reviews
from fusion.data.standardise import prepare
from fusion.missing.registry import create
from schemas.config import Fusion, Missing


def fill(catalog: Catalog, known: History, how: Missing, *, seed: int) -> Catalog:
    """The catalog with missing vectors filled in by a policy that is fitted on it and on the likes that are known.

    Raises:
        ValueError: no policy has that name, or it takes no such parameter.
    """
    policy = create(how.policy, how.parameters)
    policy.fit(catalog, known.likes(), seed=seed)
    return policy.fill(catalog)


def model_input(catalog: Catalog, reviews: Reviews, known: History, how: Fusion) -> Catalog:
    """The catalog as a model that knows a part of the history is given it: `prepare`, then `fill`.

    Its masks mark what a model may use; those of the catalog with its reviews mark what the items have.
    """
    return fill(prepare(catalog, reviews, known, how), known, how.missing, seed=how.seed)
