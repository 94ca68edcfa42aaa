"""The policies for missing modalities by name."""

from importlib import import_module
from typing import Any

from fusion.missing.policy import Policy

POLICIES = {
    "drop": "fusion.missing.masks:Drop",
    "generator": "fusion.missing.translated:Generator",
    "mean": "fusion.missing.constant:Mean",
    "median": "fusion.missing.constant:Median",
    "neighbours": "fusion.missing.neighbours:Neighbours",
    "none": "fusion.missing.masks:Untouched",
    "pagerank": "fusion.missing.pagerank:PageRank",
    "regression": "fusion.missing.translated:Regression",
}
"""Name → module:class. The module is imported when the policy is asked for."""


def create(name: str, parameters: dict[str, Any] | None = None) -> Policy:
    """An unfitted policy.

    Raises:
        ValueError: no policy has that name, or it takes no such parameter.
    """
    if name not in POLICIES:
        raise ValueError(f"missing-modality policy {name!r}: unknown; choose one of {', '.join(sorted(POLICIES))}")
    module, _, attribute = POLICIES[name].partition(":")
    policy: type[Policy] = getattr(import_module(module), attribute)
    try:
        return policy(**(parameters or {}))
    except TypeError as error:
        raise ValueError(f"missing-modality policy {name!r}: {error}") from error
