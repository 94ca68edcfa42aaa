"""The policies for missing modalities by name."""

from typing import Any

from fusion.data.arguments import create_by_name
from fusion.missing.policy import Policy

POLICIES = {
    "drop": "fusion.missing.masks:Drop",
    "generator": "fusion.missing.translated:Generator",
    "mean": "fusion.missing.constant:Mean",
    "median": "fusion.missing.constant:Median",
    "neighbours": "fusion.missing.neighbours:Neighbours",
    "none": "fusion.missing.masks:Untouched",
    "regression": "fusion.missing.translated:Regression",
}
"""Name → module:class. The module is imported when a policy is created."""


def create(name: str, parameters: dict[str, Any] | None = None) -> Policy:
    """An unfitted policy: of that name, or of a class of one's own that is named as `module:Class`.

    Raises:
        ValueError: no policy has that name, or it takes no such parameter.
    """
    made: Policy = create_by_name("missing-modality policy", POLICIES, name, parameters, base=Policy)
    return made
